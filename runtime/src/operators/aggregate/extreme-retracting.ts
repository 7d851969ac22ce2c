// min and max over a changelog: the extreme beside all values with their counts, so that a value can be taken back.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { type Direction, resultOf } from "./extreme.ts";
import { addToMultiset, checkValueLimit, defaultValueLimit, multisetOf, ownedObjectSpec } from "./multiset.ts";
import { compareScalars, readKey, readScalar, type Scalar, type ScalarKey, scalarOfKey, writeNull, writeScalar } from "./scalar.ts";

export class RetractingExtreme implements AggregateFunction {
  readonly accumulators: RowSpec;
  readonly resultSpec: FieldSpec;
  readonly #name: string;
  readonly #field: number;
  readonly #direction: Direction;

  constructor(name: string, field: number, spec: FieldSpec, direction: Direction) {
    this.#name = name;
    this.#field = field;
    this.#direction = direction;
    this.resultSpec = resultOf(spec);
    this.accumulators = { value: { ...this.resultSpec, nullable: true }, counts: ownedObjectSpec };
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      writeNull(columnAt(columns, 0), slots[k] as number);
      writeNull(columnAt(columns, 1), slots[k] as number);
    }
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#change(columns, slots, batch, 1);
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#change(columns, slots, batch, -1);
  }

  #change(columns: readonly Column[], slots: Int32Array, batch: Batch, by: number): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (hasValue(source, row)) this.#count(columns, slots[k] as number, readScalar(source, row), readKey(source, row), by);
    }
  }

  // Changes one value's count, and the extreme with it.
  #count(columns: readonly Column[], slot: number, value: Scalar, key: ScalarKey, by: number): void {
    const best = columnAt(columns, 0);
    const counts = multisetOf(columnAt(columns, 1), slot);
    const count = addToMultiset(counts, key, by);
    checkValueLimit(this.#name, counts.size, defaultValueLimit);
    const order = hasValue(best, slot) ? compareScalars(value, readScalar(best, slot)) * this.#direction : 1;
    if (count > 0) {
      if (order > 0) writeScalar(best, slot, value);
    } else if (order === 0) this.#search(columns, slot);
  }

  #search(columns: readonly Column[], slot: number): void {
    const best = columnAt(columns, 0);
    let found: Scalar | undefined;
    for (const [key, count] of multisetOf(columnAt(columns, 1), slot)) {
      if (count <= 0) continue;
      const value = scalarOfKey(this.resultSpec, key) as Scalar;
      if (found === undefined || compareScalars(value, found) * this.#direction > 0) found = value;
    }
    if (found === undefined) writeNull(best, slot);
    else writeScalar(best, slot, found);
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      for (const [key, times] of multisetOf(columnAt(from, 1), fromSlots[k] as number)) {
        this.#count(to, toSlots[k] as number, scalarOfKey(this.resultSpec, key) as Scalar, key, times);
      }
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) copyValue(columnAt(columns, 0), slots[k] as number, target, row + k);
  }
}
