// The contract of an aggregate function: accumulators in columns, and loops over rows of a batch instead of calls per row.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";

/**
 * One aggregate over one input. An accumulator is a slot: a row of the columns that `accumulators` declares, so it can live
 * in a table of keyed state (and then it is in snapshots as plain rows), in a scratch buffer, or travel as a partial result.
 *
 * `columns` always holds exactly this function's own columns, in the order of `accumulators`. `slots[k]` is the accumulator
 * of the row `batch.selection[k]`; a slot may occur many times. Functions keep no state of their own between calls.
 */
export interface AggregateFunction {
  /** The columns of an accumulator, by names that are unique within the function. */
  readonly accumulators: RowSpec;
  /** The type of the result. */
  readonly resultSpec: FieldSpec;
  /** Makes `slots[0..count)` empty accumulators. They may hold anything before: the values of a slot's earlier use. */
  init(columns: readonly Column[], slots: Int32Array, count: number): void;
  /** Adds the rows of `batch`. */
  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void;
  /** Takes the rows of `batch` back. Only for functions that were resolved for an input with retractions. */
  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void;
  /** Adds accumulator `fromSlots[k]` to `toSlots[k]`, for k below `count`. Both stay usable: what is mutable is copied. */
  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void;
  /** Writes the results of `slots[0..count)` into rows `[row, row + count)` of `target`; mutable values are copied. */
  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void;
}

/** A column of an aggregate, asserted to be there once instead of at every use. */
export function columnAt(columns: readonly Column[], index: number): Column {
  const column = columns[index];
  if (column === undefined) throw new Error(`assertion failed: an aggregate has no column ${index}`);
  return column;
}

/** True where row `row` has a value. */
export function hasValue(column: Column, row: number): boolean {
  return column.nulls === null || column.nulls[row] === 0;
}
