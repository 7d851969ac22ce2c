// min and max over inserts: the least or greatest value so far, one column.
import type { Batch } from "../../core/batch/batch.ts";
import { type Column, isMissing } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { compareScalars, readScalar, writeNull, writeScalar } from "./scalar.ts";

/** Which end of the order: -1 for min, 1 for max. */
export type Direction = -1 | 1;

/** The field without its default and names: the type of a result. */
export function resultOf(spec: FieldSpec): FieldSpec {
  return { type: spec.type, nullable: spec.nullable || spec.optional, optional: false, aliases: [] };
}

export class Extreme implements AggregateFunction {
  readonly accumulators: RowSpec;
  readonly resultSpec: FieldSpec;
  readonly #field: number;
  readonly #direction: Direction;
  /** Numbers that are never absent need no mark for "nothing yet": the first row replaces the value that `init` wrote. */
  readonly #plain: boolean;
  readonly #orNull: boolean;
  readonly #float: boolean;

  /** With `orNull` the result is null where there is no value; what is kept is the same. */
  constructor(field: number, spec: FieldSpec, numeric: boolean, direction: Direction, orNull = false) {
    const own = resultOf(spec);
    this.resultSpec = { ...own, nullable: own.nullable || orNull };
    this.#field = field;
    this.#direction = direction;
    this.#plain = numeric && !own.nullable;
    this.#orNull = orNull;
    this.#float = spec.type.kind === "float64" || spec.type.kind === "float32";
    // Missing in state that was written before the aggregate was added.
    this.accumulators = { value: { ...own, nullable: !this.#plain, optional: this.#plain } };
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    const values = columnAt(columns, 0);
    if (this.#plain && this.#orNull) for (let k = 0; k < count; k++) values.setAbsent(slots[k] as number, isMissing);
    else if (this.#plain) {
      // Not-a-number is the greatest of all, so it is where a minimum of floats starts.
      const start = this.#direction === 1 ? -Infinity : this.#float ? Number.NaN : Infinity;
      for (let k = 0; k < count; k++) values.numbers[slots[k] as number] = start;
      if (values.nulls !== null) for (let k = 0; k < count; k++) values.nulls[slots[k] as number] = 0;
    } else for (let k = 0; k < count; k++) writeNull(values, slots[k] as number);
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#take(batch.rows.column(this.#field), batch.selection, columnAt(columns, 0), slots, batch.count);
  }

  retract(): void {
    throw new Error("assertion failed: min and max over inserts were given a retraction");
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    this.#take(columnAt(from, 0), fromSlots, columnAt(to, 0), toSlots, count);
  }

  #take(source: Column, rows: Int32Array, target: Column, slots: Int32Array, count: number): void {
    if (!this.#plain || target.nulls !== null || source.nulls !== null) takeScalars(source, rows, target, slots, count, this.#direction);
    else if (this.#float) takeFloats(source.numbers, rows, target.numbers, slots, count, this.#direction);
    else if (this.#direction === 1) {
      const values = source.numbers;
      const best = target.numbers;
      for (let k = 0; k < count; k++) {
        const slot = slots[k] as number;
        const value = values[rows[k] as number] as number;
        if (value > (best[slot] as number)) best[slot] = value;
      }
    } else {
      const values = source.numbers;
      const best = target.numbers;
      for (let k = 0; k < count; k++) {
        const slot = slots[k] as number;
        const value = values[rows[k] as number] as number;
        if (value < (best[slot] as number)) best[slot] = value;
      }
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const values = columnAt(columns, 0);
    if (this.#orNull && this.#plain) {
      for (let k = 0; k < count; k++) {
        const slot = slots[k] as number;
        if (hasValue(values, slot)) writeScalar(target, row + k, values.numbers[slot] as number);
        else writeNull(target, row + k);
      }
    } else if (this.#plain) for (let k = 0; k < count; k++) target.numbers[row + k] = values.numbers[slots[k] as number] as number;
    else for (let k = 0; k < count; k++) copyValue(values, slots[k] as number, target, row + k);
  }
}

function takeFloats(
  values: Float64Array,
  rows: Int32Array,
  best: Float64Array,
  slots: Int32Array,
  count: number,
  direction: Direction,
): void {
  for (let k = 0; k < count; k++) {
    const slot = slots[k] as number;
    const value = values[rows[k] as number] as number;
    const current = best[slot] as number;
    if (direction === 1 ? value > current || Number.isNaN(value) : value < current || Number.isNaN(current)) best[slot] = value;
  }
}

function takeScalars(source: Column, rows: Int32Array, target: Column, slots: Int32Array, count: number, direction: Direction): void {
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number;
    if (!hasValue(source, row)) continue;
    const slot = slots[k] as number;
    const value = readScalar(source, row);
    if (!hasValue(target, slot) || compareScalars(value, readScalar(target, slot)) * direction > 0) writeScalar(target, slot, value);
  }
}
