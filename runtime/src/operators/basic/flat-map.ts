// flatMap: each row becomes any number of rows, which the user's function hands to a callback.
import { type Batch, isRetraction, rowKind } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";

export interface FlatMapParams<In = unknown, Out = unknown> {
  readonly input: Schema<In>;
  readonly output: Schema<Out>;
  /** Calls `emit` for each row to give; only during the call. */
  readonly fn: (row: In, emit: (row: Out) => void) => void;
  /** More rows than this from one row are an error of that row. Default 100,000. */
  readonly maxPerRow?: number;
}

/**
 * All or nothing per row: where the function throws, what it had emitted for that row is taken back and the row goes to the
 * dead letters. On a changelog, rows that replace others come as deletes and inserts: their numbers need not be equal.
 */
export function flatMap<In, Out>(params: FlatMapParams<In, Out>): OperatorFactory {
  return (context) => {
    const view = rowView(params.input);
    const builder = new RowsBuilder(params.output, context.output());
    const { fn, maxPerRow = 100_000 } = params;
    let timeMs = 0;
    let kind: 0 | 3 = rowKind.insert;
    let left = 0;
    const emit = (row: Out): void => {
      if (left-- === 0) throw new Error(`it emitted more than ${maxPerRow} rows`);
      builder.write(row, timeMs, kind);
    };
    return {
      process({ rows, selection, count }: Batch): void {
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          const mark = builder.rows.size;
          timeMs = rows.times[row] as number;
          kind = isRetraction(rows.kindOf(row)) ? rowKind.delete : rowKind.insert;
          left = maxPerRow;
          view.point(rows, row);
          try {
            fn(view, emit);
          } catch (cause) {
            builder.rollback(mark);
            functionFailed(context, "the flatMap function", rows, row, view, cause);
          }
          builder.flushIfFull();
        }
        // Emitting after the call is a mistake that must not pass in silence.
        left = 0;
        builder.flush();
      },
    };
  };
}
