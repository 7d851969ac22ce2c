// Rows and batches. `Rows` are columns with a time and a kind per row; a `Batch` is a selection of rows on its way through a chain.
import type { Schema } from "../schema/schema.ts";
import { Column } from "./column.ts";
import type { RawRecords } from "./raw-records.ts";

/** What a row of a changelog says about the row it carries. An append-only stream has inserts only. */
export const rowKind = { insert: 0, updateBefore: 1, updateAfter: 2, delete: 3 } as const;
export type RowKind = (typeof rowKind)[keyof typeof rowKind];
/** True for the kinds that take a row back. */
export function isRetraction(kind: number): boolean {
  return kind === 1 || kind === 3;
}

/** The event time of a row that has none. */
export const noTime: number = Number.NEGATIVE_INFINITY;

/** Fills columns when they are first asked for: a decoder over fetched bytes. */
export interface LazyColumns {
  /** Fills column `index` of `rows` for every row that is not bad. May fill other columns too. */
  fill(rows: Rows, index: number): void;
}

/**
 * The data of a batch. Its owner reuses it from batch to batch, so rows are valid only during the synchronous call that
 * hands them on: whoever keeps values copies them.
 */
export class Rows {
  readonly schema: Schema;
  readonly columns: readonly Column[];
  /** 1 per column that holds this batch's values; lazily decoded columns start at 0. */
  readonly ready: Uint8Array;
  /** Rows `[0, size)` exist; a batch selects from them. */
  size = 0;
  capacity: number;
  /** Event time per row, ms since the epoch; `noTime` where a row has none. */
  times: Float64Array;
  /** Row kind per row; null when all rows are inserts. */
  kinds: Uint8Array | null = null;
  /**
   * Where the rows come from when they are fresh from a source: for dead letters and error messages. It has one entry per row, so
   * a record that gave two rows (a change with its image before and after) is in it twice.
   */
  origin: RawRecords | null = null;
  lazy: LazyColumns | null = null;

  constructor(schema: Schema, capacity: number) {
    this.schema = schema;
    this.capacity = capacity;
    this.columns = schema.fields.map((field) => new Column(field.column, capacity));
    this.ready = new Uint8Array(schema.fields.length);
    this.times = new Float64Array(capacity);
  }

  /** The column of field `index`, decoded if it was not yet. */
  column(index: number): Column {
    if (this.ready[index] === 0) this.#fill(index);
    return this.columns[index] as Column;
  }

  #fill(index: number): void {
    if (this.lazy === null) throw new Error(`column ${index} of ${this.schema.fields[index]?.name} was read before it was written`);
    this.lazy.fill(this, index);
    this.ready[index] = 1;
  }

  ensure(capacity: number): void {
    if (capacity <= this.capacity) return;
    const size = Math.max(capacity, this.capacity * 2);
    const times = new Float64Array(size);
    times.set(this.times);
    this.times = times;
    if (this.kinds !== null) {
      const kinds = new Uint8Array(size);
      kinds.set(this.kinds);
      this.kinds = kinds;
    }
    for (const column of this.columns) column.ensure(size);
    this.capacity = size;
  }

  /** Sets the kind of a row; a column of kinds exists from the first row that is not an insert. */
  setKind(row: number, kind: RowKind): void {
    if (this.kinds === null) {
      if (kind === rowKind.insert) return;
      this.kinds = new Uint8Array(this.capacity);
    }
    this.kinds[row] = kind;
  }

  kindOf(row: number): RowKind {
    return this.kinds === null ? rowKind.insert : (this.kinds[row] as RowKind);
  }

  /** Forgets all rows, keeps the memory. */
  reset(): void {
    this.size = 0;
    this.kinds = null;
    this.origin = null;
    this.lazy = null;
    this.ready.fill(0);
    for (const column of this.columns) column.reset();
  }
}

let identity: Int32Array = new Int32Array(0);

/** `[0, 1, 2, ...]` of at least `count` entries; shared, never written by its users. */
export function identitySelection(count: number): Int32Array {
  if (identity.length < count) {
    const grown = new Int32Array(Math.max(count, identity.length * 2, 4096));
    for (let i = 0; i < grown.length; i++) grown[i] = i;
    identity = grown;
  }
  return identity;
}

/** A selection of rows: `selection[0..count)` are row numbers, ascending. Operators loop over it and hand on narrower ones. */
export class Batch {
  rows: Rows;
  selection: Int32Array;
  count: number;

  constructor(rows: Rows, selection: Int32Array = identitySelection(rows.size), count: number = rows.size) {
    this.rows = rows;
    this.selection = selection;
    this.count = count;
  }

  /** Points this batch at other rows; for operators that keep one batch and reuse it. */
  set(rows: Rows, selection: Int32Array, count: number): this {
    this.rows = rows;
    this.selection = selection;
    this.count = count;
    return this;
  }
}
