// Evaluates a user's predicate over a batch.
import type { Batch } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { refused } from "./selected-output.ts";

export class Predicate<Row> {
  readonly #context: OperatorContext;
  readonly #what: string;
  readonly #test: (row: Row) => boolean;
  readonly #view: RowView & Row;

  constructor(context: OperatorContext, schema: Schema<Row>, what: string, test: (row: Row) => boolean) {
    this.#context = context;
    this.#what = what;
    this.#test = test;
    this.#view = rowView(schema);
  }

  /** Sets `passes[k]` to 1 or 0 for each position, or to `refused` where the predicate threw. */
  evaluate({ rows, selection, count }: Batch, passes: Uint8Array): void {
    const view = this.#view;
    const test = this.#test;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      view.point(rows, row);
      try {
        passes[k] = test(view) ? 1 : 0;
      } catch (cause) {
        passes[k] = refused;
        functionFailed(this.#context, this.#what, rows, row, view, cause);
      }
    }
  }
}
