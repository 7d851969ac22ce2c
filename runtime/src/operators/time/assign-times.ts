// assignTimes: gives rows their event time from a field or by a function. Watermarks are the source's.
import { Batch } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { allColumns, RowShells } from "../rows/row-shell.ts";
import { fieldTimeMs, type TimeReader } from "../../core/time/field-time.ts";

export interface AssignTimesParams<Row = unknown> {
  readonly input: Schema<Row>;
  /** A field that holds the time: a timestamp of any unit, a date, or an integer of milliseconds. */
  readonly field?: string;
  /** Or a function that gives ms since the epoch. */
  readonly fn?: (row: Row) => number;
}

/** Rows whose time is null, missing or not a number go to the dead letters as FUNCTION_FAILED. Fractions of a ms are cut off. */
export function assignTimes<Row>(params: AssignTimesParams<Row>): OperatorFactory {
  const { input, field, fn } = params;
  if ((field === undefined) === (fn === undefined)) throw new Error("assignTimes takes a field or a function");
  return (context) => {
    const output = context.output();
    const shells = new RowShells(input, allColumns(input));
    const view = rowView(input);
    const read = field === undefined ? byFunction(fn as (row: Row) => number) : fieldTimeMs(input, field);
    let times = new Float64Array(0);
    let selected = new Int32Array(0);
    let out: Batch | undefined;
    return {
      process({ rows, selection, count }: Batch): void {
        if (times.length < rows.capacity) times = new Float64Array(rows.capacity);
        if (selected.length < count) selected = new Int32Array(Math.max(count, 1024));
        let n = 0;
        for (let k = 0; k < count; k++) {
          const row = selection[k] as number;
          view.point(rows, row);
          try {
            const timeMs = read(rows, row, view);
            if (!Number.isFinite(timeMs)) throw new RangeError(`${timeMs} is not a time`);
            times[row] = Math.floor(timeMs);
            selected[n++] = row;
          } catch (cause) {
            functionFailed(context, "assigning the event time", rows, row, view, cause);
          }
        }
        if (n === 0) return;
        const shell = shells.over(rows);
        shell.times = times;
        out ??= new Batch(shell);
        output.emit(out.set(shell, selected, n));
      },
    };
  };
}

function byFunction<Row>(fn: (row: Row) => number): TimeReader<Row> {
  return (_rows, _row, view) => fn(view);
}
