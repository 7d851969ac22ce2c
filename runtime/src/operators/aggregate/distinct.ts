// countDistinct, exact, and collectSet: the distinct values of a group, with their counts where rows may be taken back.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { countSpec, countStateSpec } from "./count.ts";
import { addToMultiset, checkValueLimit, multisetOf, ownedObjectSpec } from "./multiset.ts";
import { readKey, scalarOfKey, writeNull } from "./scalar.ts";

/** Keeps a multiset of the field's values; null is not a value. */
abstract class DistinctValues implements AggregateFunction {
  readonly accumulators: RowSpec = { values: ownedObjectSpec, distinct: countStateSpec };
  abstract readonly resultSpec: FieldSpec;
  readonly #name: string;
  readonly #field: number;
  readonly #limit: number;
  /** Over inserts a value's count does not matter: it stays 1, and an unchanged set is not written again. */
  readonly #counting: boolean;

  constructor(name: string, field: number, limit: number, retracting: boolean) {
    this.#name = name;
    this.#field = field;
    this.#limit = limit;
    this.#counting = retracting;
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      writeNull(columnAt(columns, 0), slots[k] as number);
      columnAt(columns, 1).numbers[slots[k] as number] = 0;
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
      if (hasValue(source, row)) this.#count(columns, slots[k] as number, readKey(source, row), by);
    }
  }

  #count(columns: readonly Column[], slot: number, key: string | number | bigint, by: number): void {
    const values = multisetOf(columnAt(columns, 0), slot);
    const before = values.get(key) ?? 0;
    if (!this.#counting && before > 0) return;
    const after = addToMultiset(values, key, by);
    if (before > 0 === after > 0) return;
    const { numbers } = columnAt(columns, 1);
    numbers[slot] = (numbers[slot] as number) + (after > 0 ? 1 : -1);
    checkValueLimit(this.#name, values.size, this.#limit);
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      for (const [key, times] of multisetOf(columnAt(from, 0), fromSlots[k] as number)) this.#count(to, toSlots[k] as number, key, times);
    }
  }

  abstract result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void;
}

/** How many different values the group has, exactly. */
export class CountDistinct extends DistinctValues {
  readonly resultSpec: FieldSpec = countSpec;

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const { numbers } = columnAt(columns, 1);
    for (let k = 0; k < count; k++) target.numbers[row + k] = numbers[slots[k] as number] as number;
  }
}

/** The different values of the group as a list, in the order in which each first came. */
export class CollectSet extends DistinctValues {
  readonly resultSpec: FieldSpec;
  readonly #element: FieldSpec;

  constructor(name: string, field: number, spec: FieldSpec, limit: number, retracting: boolean) {
    super(name, field, limit, retracting);
    this.#element = { type: spec.type, nullable: false, optional: false, aliases: [] };
    this.resultSpec = { type: { kind: "list", of: this.#element }, nullable: false, optional: false, aliases: [] };
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) {
      const list: unknown[] = [];
      for (const [key, times] of multisetOf(columnAt(columns, 0), slots[k] as number)) {
        if (times > 0) list.push(elementOf(this.#element, key));
      }
      target.objects[row + k] = list;
    }
  }
}

// Keys of 64-bit fields may be numbers, and booleans are 0 and 1: a list holds what a row object would.
function elementOf(spec: FieldSpec, key: string | number | bigint): unknown {
  const kind = spec.type.kind;
  if (kind === "boolean") return key === 1;
  if ((kind === "int64" && spec.type.as === "bigint") || (kind === "timestamp" && spec.type.unit === "ns")) return BigInt(key);
  return scalarOfKey(spec, key);
}
