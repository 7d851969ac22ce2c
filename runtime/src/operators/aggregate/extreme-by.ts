// first, last, minBy and maxBy: one field's value from the row that is extreme in another field, or in time.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { type Direction, resultOf } from "./extreme.ts";
import { give, listAt, listOf, take } from "./owed-list.ts";
import { checkValueLimit, defaultValueLimit, ownedObjectSpec } from "./multiset.ts";
import {
  compareScalars,
  identityOf,
  ownedObject,
  readScalar,
  readValue,
  type Scalar,
  writeNull,
  writeScalar,
  writeValue,
} from "./scalar.ts";

/** Which row wins. Of rows that are equal in order, the earlier one to arrive wins, or with `lastWins` the later one. */
export interface ExtremeByRule {
  /** The field that gives the value. */
  readonly field: number;
  readonly spec: FieldSpec;
  /** The field that gives the order; null for the row's time. Rows without a value in it are ignored. */
  readonly by: { readonly index: number; readonly spec: FieldSpec } | null;
  readonly direction: Direction;
  readonly lastWins: boolean;
}

const timeSpec: FieldSpec = { type: { kind: "float64" }, nullable: true, optional: false, aliases: [] };

abstract class ExtremeByBase implements AggregateFunction {
  abstract readonly accumulators: RowSpec;
  readonly resultSpec: FieldSpec;
  protected readonly rule: ExtremeByRule;

  constructor(rule: ExtremeByRule) {
    this.rule = rule;
    // Where no row has an order there is no winner.
    const unordered = rule.by !== null && (rule.by.spec.nullable || rule.by.spec.optional);
    this.resultSpec = { ...resultOf(rule.spec), nullable: rule.spec.nullable || rule.spec.optional || unordered };
  }

  protected wins(order: Scalar, over: Scalar): boolean {
    const difference = compareScalars(order, over) * this.rule.direction;
    return this.rule.lastWins ? difference >= 0 : difference > 0;
  }

  /** The order of a row; undefined where it has none. */
  protected orderOf(batch: Batch, row: number): Scalar | undefined {
    if (this.rule.by === null) return batch.rows.times[row] as number;
    const column = batch.rows.column(this.rule.by.index);
    return hasValue(column, row) ? readScalar(column, row) : undefined;
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (const column of columns) for (let k = 0; k < count; k++) writeNull(column, slots[k] as number);
  }

  abstract update(columns: readonly Column[], slots: Int32Array, batch: Batch): void;
  abstract retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void;
  abstract merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void;
  abstract result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void;
}

/** Over inserts: the best row's value and order. */
export class ExtremeBy extends ExtremeByBase {
  readonly accumulators: RowSpec;

  constructor(rule: ExtremeByRule) {
    super(rule);
    const order = rule.by === null ? timeSpec : { ...resultOf(rule.by.spec), nullable: true };
    this.accumulators = { value: { ...this.resultSpec, nullable: true }, order };
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.rule.field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      const order = this.orderOf(batch, row);
      if (order !== undefined) this.#offer(columns, slots[k] as number, order, source, row);
    }
  }

  retract(): void {
    throw new Error("assertion failed: an aggregate over inserts was given a retraction");
  }

  #offer(columns: readonly Column[], slot: number, order: Scalar, source: Column, row: number): void {
    const orders = columnAt(columns, 1);
    if (hasValue(orders, slot) && !this.wins(order, readScalar(orders, slot))) return;
    const values = columnAt(columns, 0);
    // Missing is stored as null: the result's type has no missing.
    if (hasValue(source, row)) {
      copyValue(source, row, values, slot);
      if (values.kind === "object") values.objects[slot] = ownedObject(values.objects[slot]);
    } else writeNull(values, slot);
    writeScalar(orders, slot, order);
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    const orders = columnAt(from, 1);
    for (let k = 0; k < count; k++) {
      const slot = fromSlots[k] as number;
      if (hasValue(orders, slot)) this.#offer(to, toSlots[k] as number, readScalar(orders, slot), columnAt(from, 0), slot);
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) copyValue(columnAt(columns, 0), slots[k] as number, target, row + k);
  }
}

type Entry = readonly [order: Scalar, value: unknown];

/** Over a changelog: every row's order and value, so that the next best is known when the best is taken back. */
export class RetractingExtremeBy extends ExtremeByBase {
  readonly accumulators: RowSpec = { entries: ownedObjectSpec, owed: ownedObjectSpec };
  readonly #name: string;

  constructor(name: string, rule: ExtremeByRule) {
    super(rule);
    this.#name = name;
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#each(slots, batch, (slot, entry) => this.#give(columns, slot, entry));
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#each(slots, batch, (slot, entry) => this.#take(columns, slot, entry));
  }

  #give(columns: readonly Column[], slot: number, entry: Entry): void {
    const entries = listOf<Entry>(columnAt(columns, 0), slot);
    give(entries, listAt<Entry>(columnAt(columns, 1), slot), entry, entryIdentity);
    checkValueLimit(this.#name, entries.length, defaultValueLimit);
  }

  #take(columns: readonly Column[], slot: number, entry: Entry): void {
    const taken = take(listOf<Entry>(columnAt(columns, 0), slot), entry, entryIdentity);
    if (!taken) listOf<Entry>(columnAt(columns, 1), slot).push(entry);
  }

  #each(slots: Int32Array, batch: Batch, visit: (slot: number, entry: Entry) => void): void {
    const source = batch.rows.column(this.rule.field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      const order = this.orderOf(batch, row);
      if (order !== undefined) visit(slots[k] as number, [order, hasValue(source, row) ? readValue(this.rule.spec, source, row) : null]);
    }
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      for (const entry of listOf<Entry>(columnAt(from, 0), fromSlots[k] as number)) this.#give(to, slot, entry);
      for (const entry of listAt<Entry>(columnAt(from, 1), fromSlots[k] as number) ?? []) this.#take(to, slot, entry);
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) {
      let best: Entry | undefined;
      for (const entry of listOf<Entry>(columnAt(columns, 0), slots[k] as number)) {
        if (best === undefined || this.wins(entry[0], best[0])) best = entry;
      }
      writeValue(this.resultSpec, target, row + k, best === undefined ? null : best[1]);
    }
  }
}

// Equal entries are taken for each other: same order, same value.
function entryIdentity(entry: Entry): unknown {
  return identityOf([entry[0], entry[1]]);
}
