// Which rows of a table's changelog mean that their key is gone: retractions, and those that the user's `isDelete` says.
import { isRetraction, type Rows } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "./function-failed.ts";

export class DeleteRule {
  readonly #context: OperatorContext;
  readonly #isDelete: ((row: unknown) => boolean) | undefined;
  readonly #view: RowView;

  constructor(context: OperatorContext, schema: Schema<unknown>, isDelete: ((row: unknown) => boolean) | undefined) {
    this.#context = context;
    this.#isDelete = isDelete;
    this.#view = rowView(schema) as RowView;
  }

  /** A row's kind says all. */
  get isByKind(): boolean {
    return this.#isDelete === undefined;
  }

  /** Undefined where the user's function failed: such a row is a bad one, and is told. */
  isGone(rows: Rows, row: number): boolean | undefined {
    if (isRetraction(rows.kindOf(row))) return true;
    if (this.#isDelete === undefined) return false;
    this.#view.point(rows, row);
    try {
      return this.#isDelete(this.#view);
    } catch (cause) {
      functionFailed(this.#context, "the isDelete function", rows, row, this.#view, cause);
      return undefined;
    }
  }
}
