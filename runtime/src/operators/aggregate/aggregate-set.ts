// The aggregates of one operator together: their accumulators as one schema, and all of them bound to columns.
import type { Batch, Rows } from "../../core/batch/batch.ts";
import { Column } from "../../core/batch/column.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import type { AggregateFunction } from "./aggregate.ts";
import { Count, countStateSpec } from "./count.ts";

/** The column that counts the rows of a group over a changelog: a group of none is gone. */
const rowCountName = "rows$";
const rowCount = new Count();

/** Resolved aggregate calls. Made by `resolveAggregates`. */
export class AggregateSet {
  /** All accumulator columns; they come first in the value of a table that holds more. */
  readonly accumulators: Schema;
  /** The results, by the names of the calls. */
  readonly results: Schema;
  /** True where rows may be taken back: then the last accumulator column counts the group's rows. */
  readonly retracting: boolean;
  readonly functions: readonly AggregateFunction[];

  constructor(functions: ReadonlyMap<string, AggregateFunction>, retracting: boolean) {
    const accumulators: Record<string, FieldSpec> = {};
    const results: Record<string, FieldSpec> = {};
    for (const [name, entry] of functions) {
      for (const [part, spec] of Object.entries(entry.accumulators)) accumulators[`${name}$${part}`] = spec;
      results[name] = entry.resultSpec;
    }
    if (retracting) accumulators[rowCountName] = countStateSpec;
    this.accumulators = new Schema(accumulators);
    this.results = new Schema(results);
    this.retracting = retracting;
    this.functions = retracting ? [...functions.values(), rowCount] : [...functions.values()];
  }

  /** The fields of a table's value: the accumulators, then `more`. */
  stateSchema(more: RowSpec = {}): Schema {
    return new Schema({ ...this.accumulators.spec, ...more });
  }

  /** These aggregates over accumulators in `columns[first...]`. */
  bind(columns: readonly Column[], first = 0): BoundAggregates {
    return new BoundAggregates(this, columns, first);
  }
}

/** Aggregates whose accumulators are in certain columns. */
export class BoundAggregates {
  readonly #functions: readonly AggregateFunction[];
  readonly #columns: readonly (readonly Column[])[];
  readonly #resultCount: number;
  readonly #rowCounts: Column | null;

  constructor(set: AggregateSet, columns: readonly Column[], first: number) {
    this.#functions = set.functions;
    let at = first;
    this.#columns = set.functions.map((entry) => {
      const own = columns.slice(at, at + Object.keys(entry.accumulators).length);
      at += own.length;
      return own;
    });
    this.#resultCount = set.results.fields.length;
    this.#rowCounts = set.retracting ? (columns[at - 1] ?? null) : null;
  }

  init(slots: Int32Array, count: number): void {
    if (count === 0) return;
    for (let f = 0; f < this.#functions.length; f++) this.#function(f).init(this.#own(f), slots, count);
  }

  update(slots: Int32Array, batch: Batch): void {
    for (let f = 0; f < this.#functions.length; f++) this.#function(f).update(this.#own(f), slots, batch);
  }

  retract(slots: Int32Array, batch: Batch): void {
    for (let f = 0; f < this.#functions.length; f++) this.#function(f).retract(this.#own(f), slots, batch);
  }

  /** Adds accumulators of `from` (the same aggregates, bound to other columns) to these. */
  merge(from: BoundAggregates, fromSlots: Int32Array, slots: Int32Array, count: number): void {
    for (let f = 0; f < this.#functions.length; f++) this.#function(f).merge(from.#own(f), fromSlots, this.#own(f), slots, count);
  }

  /** Writes the results of `slots[0..count)` into rows from `row` on, columns from `firstColumn` on. */
  results(slots: Int32Array, count: number, rows: Rows, row: number, firstColumn: number): void {
    for (let f = 0; f < this.#resultCount; f++)
      this.#function(f).result(this.#own(f), slots, count, rows.columns[firstColumn + f] as Column, row);
  }

  /** Writes the results into columns of their own. */
  resultsInto(slots: Int32Array, count: number, targets: readonly Column[], row: number): void {
    for (let f = 0; f < this.#resultCount; f++) this.#function(f).result(this.#own(f), slots, count, targets[f] as Column, row);
  }

  /** How many rows the group of `slot` has: over inserts at least one, else nothing would be there. */
  rowCount(slot: number): number {
    return this.#rowCounts === null ? 1 : (this.#rowCounts.numbers[slot] as number);
  }

  #function(index: number): AggregateFunction {
    return this.#functions[index] as AggregateFunction;
  }

  #own(index: number): readonly Column[] {
    return this.#columns[index] as readonly Column[];
  }
}

/** All columns of rows, decoded. */
export function columnsOf(rows: Rows): readonly Column[] {
  return rows.schema.fields.map(({ index }) => rows.column(index));
}

/** Accumulators outside of state: for merging panes when a window fires, and for partial aggregation. Slots count from 0. */
export class AccumulatorBuffer {
  readonly columns: readonly Column[];
  readonly bound: BoundAggregates;

  constructor(set: AggregateSet, capacity = 1024) {
    this.columns = set.accumulators.fields.map((field) => new Column(field.column, capacity));
    this.bound = set.bind(this.columns);
  }

  ensure(capacity: number): void {
    for (const column of this.columns) column.ensure(capacity);
  }

  /** Forgets all accumulators, keeps the memory. */
  reset(): void {
    for (const column of this.columns) column.reset();
  }
}
