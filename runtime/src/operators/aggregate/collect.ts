// collect and stringAgg: all values of a group, in order of arrival.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { checkValueLimit, ownedObjectSpec } from "./multiset.ts";
import { identityOf, readValue, writeNull } from "./scalar.ts";

/** Keeps the values that are neither null nor missing. Taking a row back removes the earliest equal value. */
abstract class Values implements AggregateFunction {
  readonly accumulators: RowSpec = { values: ownedObjectSpec };
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
    for (let k = 0; k < count; k++) writeNull(columnAt(columns, 0), slots[k] as number);
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      const values = valuesOf(columnAt(columns, 0), slots[k] as number);
      values.push(readValue(this.element, source, row));
      checkValueLimit(this.#name, values.length, this.#limit);
    }
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      const values = valuesOf(columnAt(columns, 0), slots[k] as number);
      const value = identityOf(readValue(this.element, source, row));
      const at = values.findIndex((entry) => identityOf(entry) === value);
      if (at >= 0) values.splice(at, 1);
    }
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      const target = valuesOf(columnAt(to, 0), toSlots[k] as number);
      for (const value of valuesOf(columnAt(from, 0), fromSlots[k] as number)) target.push(value);
      checkValueLimit(this.#name, target.length, this.#limit);
    }
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
    for (let k = 0; k < count; k++) target.objects[row + k] = valuesOf(columnAt(columns, 0), slots[k] as number).slice();
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
      const values = valuesOf(columnAt(columns, 0), slots[k] as number);
      if (values.length === 0 && this.resultSpec.nullable) writeNull(target, row + k);
      else target.setText(row + k, values.join(this.#separator));
    }
  }
}

function valuesOf(column: Column, slot: number): unknown[] {
  const found = column.objects[slot];
  if (Array.isArray(found)) return found;
  const made: unknown[] = [];
  column.objects[slot] = made;
  if (column.nulls !== null) column.nulls[slot] = 0;
  return made;
}
