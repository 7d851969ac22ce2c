// collect and stringAgg: all values of a group, in order of arrival.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { checkValueLimit, ownedObjectSpec } from "./multiset.ts";
import { give, listAt, listOf, take } from "./owed-list.ts";
import { identityOf, readValue, writeNull } from "./scalar.ts";

/** Keeps the values that are neither null nor missing. Taking a row back removes the earliest equal value. */
abstract class Values implements AggregateFunction {
  readonly accumulators: RowSpec = { values: ownedObjectSpec, owed: ownedObjectSpec };
  abstract readonly resultSpec: FieldSpec;
  readonly #name: string;
  readonly #field: number;
  readonly #limit: number;
  protected readonly element: FieldSpec;

  constructor(name: string, field: number, spec: FieldSpec, limit: number) {
    this.#name = name;
    this.#field = field;
    this.#limit = limit;
    this.element = { type: spec.type, nullable: false, optional: false, aliases: [] };
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (const column of columns) for (let k = 0; k < count; k++) writeNull(column, slots[k] as number);
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      const values = this.#give(columns, slots[k] as number, readValue(this.element, source, row));
      checkValueLimit(this.#name, values.length, this.#limit);
    }
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      this.#take(columns, slots[k] as number, readValue(this.element, source, row));
    }
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      let values: unknown[] = [];
      for (const value of listOf<unknown>(columnAt(from, 0), fromSlots[k] as number)) values = this.#give(to, slot, value);
      checkValueLimit(this.#name, values.length, this.#limit);
      for (const value of listAt<unknown>(columnAt(from, 1), fromSlots[k] as number) ?? []) this.#take(to, slot, value);
    }
  }

  #give(columns: readonly Column[], slot: number, value: unknown): unknown[] {
    const values = listOf<unknown>(columnAt(columns, 0), slot);
    give(values, listAt<unknown>(columnAt(columns, 1), slot), value, identityOf);
    return values;
  }

  #take(columns: readonly Column[], slot: number, value: unknown): void {
    const taken = take(listOf<unknown>(columnAt(columns, 0), slot), value, identityOf);
    if (!taken) listOf<unknown>(columnAt(columns, 1), slot).push(value);
  }

  abstract result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void;
}

/** All values of a field as a list. */
export class Collect extends Values {
  readonly resultSpec: FieldSpec;

  constructor(name: string, field: number, spec: FieldSpec, limit: number) {
    super(name, field, spec, limit);
    this.resultSpec = { type: { kind: "list", of: this.element }, nullable: false, optional: false, aliases: [] };
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) target.objects[row + k] = listOf<unknown>(columnAt(columns, 0), slots[k] as number).slice();
  }
}

/** All texts of a field, joined; null where the field is nullable and the group has none. */
export class StringAggregate extends Values {
  readonly resultSpec: FieldSpec;
  readonly #separator: string;

  constructor(name: string, field: number, spec: FieldSpec, limit: number, separator: string) {
    super(name, field, spec, limit);
    this.#separator = separator;
    this.resultSpec = { type: { kind: "string" }, nullable: spec.nullable || spec.optional, optional: false, aliases: [] };
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) {
      const values = listOf<unknown>(columnAt(columns, 0), slots[k] as number);
      if (values.length === 0 && this.resultSpec.nullable) writeNull(target, row + k);
      else target.setText(row + k, values.join(this.#separator));
    }
  }
}
