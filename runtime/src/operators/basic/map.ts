// map: each row becomes one row by the user's function; its time and kind stay.
import type { Batch } from "../../core/batch/batch.ts";
import { rowKind } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";

export interface MapParams<In = unknown, Out = unknown> {
  readonly input: Schema<In>;
  readonly output: Schema<Out>;
  /**
   * Gets a view of the row that is valid during the call. On a changelog it must give equal rows for equal rows, or a retraction
   * does not meet what it retracts.
   */
  readonly fn: (row: In) => Out;
}

/** Rows for which the function throws, or gives a value that does not fit the output, go to the dead letters as FUNCTION_FAILED. */
export function map<In, Out>(params: MapParams<In, Out>): OperatorFactory {
  return (context) => {
    const view = rowView(params.input);
    const builder = new RowsBuilder(params.output, context.output());
    const { fn } = params;
    return {
      process({ rows, selection, count }: Batch): void {
        const times = rows.times;
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          const kind = rows.kindOf(row);
          view.point(rows, row);
          try {
            builder.write(fn(view), times[row] as number, kind);
          } catch (cause) {
            functionFailed(context, "the map function", rows, row, view, cause);
          }
          // The two rows of an update stay in one batch.
          if (kind !== rowKind.updateBefore) builder.flushIfFull();
        }
        builder.flush();
      },
    };
  };
}
