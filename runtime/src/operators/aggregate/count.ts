// count: how many rows, or how many rows that have a value in a field.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt } from "./aggregate.ts";

/** The type of a count as a result. */
export const countSpec: FieldSpec = { type: { kind: "int64", as: "number" }, nullable: false, optional: false, aliases: [] };
/** A count in an accumulator: zero in state that was written before the aggregate was added. */
export const countStateSpec: FieldSpec = { ...countSpec, default: 0 };

/** The number of rows; with a field index, of rows where that field is neither null nor missing. */
export class Count implements AggregateFunction {
  readonly accumulators: RowSpec = { count: countStateSpec };
  readonly resultSpec: FieldSpec = countSpec;
  readonly #field: number;

  constructor(field = -1) {
    this.#field = field;
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    const { numbers } = columnAt(columns, 0);
    for (let k = 0; k < count; k++) numbers[slots[k] as number] = 0;
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    addCounts(columnAt(columns, 0).numbers, slots, batch, this.#field, 1);
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    addCounts(columnAt(columns, 0).numbers, slots, batch, this.#field, -1);
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    const source = columnAt(from, 0).numbers;
    const target = columnAt(to, 0).numbers;
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      target[slot] = (target[slot] as number) + (source[fromSlots[k] as number] as number);
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const { numbers } = columnAt(columns, 0);
    const results = target.numbers;
    for (let k = 0; k < count; k++) results[row + k] = numbers[slots[k] as number] as number;
  }
}

/** Adds `by` to the count of each row's slot, skipping rows without a value in field `field` (-1 for counting all). */
export function addCounts(counts: Float64Array, slots: Int32Array, batch: Batch, field: number, by: number): void {
  const { count, selection } = batch;
  const nulls = field === -1 ? null : batch.rows.column(field).nulls;
  if (nulls === null) {
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      counts[slot] = (counts[slot] as number) + by;
    }
    return;
  }
  for (let k = 0; k < count; k++) {
    if (nulls[selection[k] as number] !== 0) continue;
    const slot = slots[k] as number;
    counts[slot] = (counts[slot] as number) + by;
  }
}
