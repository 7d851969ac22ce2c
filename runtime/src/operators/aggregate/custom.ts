// Custom aggregates: a user's create, add, merge and result over an accumulator in one column.
import { MillraceError } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import { type Column, isMissing } from "../../core/batch/column.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { fits } from "../../core/batch/rows-builder.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import type { AnyCustomAggregate } from "./call.ts";
import { readValue, writeValue } from "./scalar.ts";

interface Calls {
  create(): unknown;
  add(state: unknown, row: unknown): unknown;
  retract?(state: unknown, row: unknown): unknown;
  merge(state: unknown, other: unknown): unknown;
  result(state: unknown): unknown;
}

export class Custom implements AggregateFunction {
  readonly accumulators: RowSpec;
  readonly resultSpec: FieldSpec;
  readonly #name: string;
  readonly #calls: Calls;
  readonly #state: FieldSpec;
  readonly #view: RowView;

  constructor(name: string, input: Schema, aggregate: AnyCustomAggregate) {
    this.#name = name;
    // The types of a user's functions were checked where the call was made; here all values are unknown.
    this.#calls = aggregate as unknown as Calls;
    const spec: FieldSpec =
      aggregate.state instanceof Schema
        ? { type: { kind: "struct", fields: aggregate.state.spec }, nullable: false, optional: false, aliases: [] }
        : aggregate.state.spec;
    // Missing in state that was written before the aggregate was added.
    this.#state = { ...spec, optional: true };
    this.accumulators = { state: this.#state };
    this.resultSpec = {
      ...aggregate.returns.spec,
      optional: false,
      nullable: aggregate.returns.spec.nullable || aggregate.returns.spec.optional,
    };
    this.#view = rowView(input);
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) this.#write(columnAt(columns, 0), slots[k] as number, this.#state, this.#calls.create());
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const column = columnAt(columns, 0);
    for (let k = 0; k < batch.count; k++) {
      const slot = slots[k] as number;
      this.#view.point(batch.rows, batch.selection[k] as number);
      this.#write(column, slot, this.#state, this.#calls.add(this.#read(column, slot), this.#view));
    }
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const column = columnAt(columns, 0);
    for (let k = 0; k < batch.count; k++) {
      const slot = slots[k] as number;
      this.#view.point(batch.rows, batch.selection[k] as number);
      this.#write(column, slot, this.#state, this.#calls.retract?.(this.#read(column, slot), this.#view));
    }
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    const column = columnAt(to, 0);
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      const merged = this.#calls.merge(this.#read(column, slot), this.#read(columnAt(from, 0), fromSlots[k] as number));
      this.#write(column, slot, this.#state, merged);
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const column = columnAt(columns, 0);
    for (let k = 0; k < count; k++)
      this.#write(target, row + k, this.resultSpec, this.#calls.result(this.#read(column, slots[k] as number)));
  }

  #read(column: Column, slot: number): unknown {
    if (hasValue(column, slot)) return readValue(this.#state, column, slot);
    return column.nulls?.[slot] === isMissing ? this.#calls.create() : null;
  }

  #write(column: Column, row: number, spec: FieldSpec, value: unknown): void {
    const absent = value === null || value === undefined;
    if (absent ? !spec.nullable && spec.type.kind !== "any" : !fits(spec, value)) {
      throw new MillraceError(
        "ROW_INVALID",
        `aggregate "${this.#name}"`,
        `a function of it returned a ${value === null ? "null" : typeof value} that is not a ${spec.type.kind}`,
        "return a value of the declared state and result types",
      );
    }
    writeValue(spec, column, row, value);
  }
}
