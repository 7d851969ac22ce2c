// One side of a regular join: its rows by join key, each with how often it is there and how many matches it has.
import type { Batch, Rows } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, TimeToLive } from "../../core/ports/state.ts";
import { int53 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { KeyText } from "../rows/key-text.ts";
import { RowIdentity } from "../rows/row-identity.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { NullKeys } from "./join-keys.ts";

export interface ChangelogSideParams {
  readonly name: string;
  readonly schema: Schema;
  readonly key: KeyLayout;
  readonly unique: KeyLayout | undefined;
  readonly ttl: TimeToLive | undefined;
  /** True where rows without a match are given out. */
  readonly alone: boolean;
  /** True where rows count their matches. */
  readonly counts: boolean;
}

/** Copies and matches are notes 0 and 1 of an entry. */
const copiesNote = 0;
const matchesNote = 1;
/** Rows of one key whose hashes are equal are numbered on from the hash. */
const maxCollisions = 65_536;

export class ChangelogSide {
  readonly alone: boolean;
  readonly counts: boolean;
  readonly unique: boolean;
  readonly nulls: NullKeys;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #reader: KeyReader;
  readonly #identity: RowIdentity;
  readonly #uniqueOf: KeyText | undefined;

  constructor(context: OperatorContext, params: ChangelogSideParams) {
    const { name, schema, key, unique, ttl } = params;
    this.alone = params.alone;
    this.counts = params.counts;
    this.unique = unique !== undefined;
    this.nulls = new NullKeys(key);
    this.#reader = new KeyReader(key);
    const value = storedSchema(schema, { copies: int53(), matches: int53() });
    const subKey = unique === undefined ? "number" : "string";
    this.#table = context.keyed.multiTable({ name, key, value, subKey, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(schema, this.#table);
    this.#identity = new RowIdentity(schema);
    this.#uniqueOf = unique === undefined ? undefined : new KeyText(unique);
  }

  /** The rows as rows; the slot is the row number. */
  get rows(): Rows {
    return this.#stored.rows;
  }

  /** Reads the join keys of a batch; the rows given to `find` and `add` until the next call are of this batch. */
  read(batch: Batch): KeyBatch {
    this.#uniqueOf?.read(batch);
    return this.#reader.read(batch);
  }

  entriesOf(keys: KeyBatch, k: number): { readonly slots: Int32Array; readonly count: number } {
    return this.#table.entriesOf(keys, k, 0);
  }

  copiesOf(slot: number): number {
    return this.#stored.note(copiesNote).numbers[slot] as number;
  }

  /** Adds to the matches of an entry; returns how many there were. */
  addMatch(slot: number, by: number): number {
    const { numbers } = this.#stored.note(matchesNote);
    const before = numbers[slot] as number;
    numbers[slot] = Math.max(0, before + by);
    this.#table.touch(slot);
    return before;
  }

  /** The entry of a row, by its unique key or its values; -1 when it is not there. `thorough` also finds rows whose sub-key has changed. */
  find(keys: KeyBatch, k: number, rows: Rows, row: number, thorough: boolean): number {
    if (this.#uniqueOf !== undefined) return this.#table.find(keys, k, 0, this.#uniqueOf.at(k));
    this.#identity.look(rows, row);
    const first = this.#identity.hash() * maxCollisions;
    for (let n = 0; n < maxCollisions; n++) {
      const slot = this.#table.find(keys, k, 0, first + n);
      if (slot < 0) break;
      if (this.#identity.matches(this.rows, slot)) return slot;
    }
    return thorough ? this.#search(keys, k) : -1;
  }

  // A row that an older version of the schema stored has another hash than it has now, though its values are equal. And one
  // whose hash another had too stands behind a gap when that other is gone.
  #search(keys: KeyBatch, k: number): number {
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    for (let i = 0; i < count; i++) if (this.#identity.matches(this.rows, slots[i] as number)) return slots[i] as number;
    return -1;
  }

  /** True where an entry holds the values of a row. */
  holds(slot: number, rows: Rows, row: number): boolean {
    this.#identity.look(rows, row);
    return this.#identity.matches(this.rows, slot);
  }

  /** Prolongs an entry's life. */
  touch(slot: number): void {
    this.#table.touch(slot);
  }

  /** Adds a row, or one more copy of it. */
  add(keys: KeyBatch, k: number, rows: Rows, row: number, matches: number): void {
    // A copy that is not found here becomes an entry of its own: two entries of one copy are as good as one of two.
    let slot = this.unique ? -1 : this.find(keys, k, rows, row, false);
    if (slot >= 0) this.#addCopies(slot, 1);
    else {
      slot = this.#table.upsert(keys, k, 0, this.#uniqueOf === undefined ? this.#freeSubKey(keys, k) : this.#uniqueOf.at(k));
      this.#stored.store(rows, row, slot);
      this.#stored.note(copiesNote).numbers[slot] = 1;
    }
    this.#stored.note(matchesNote).numbers[slot] = matches;
    this.#table.touch(slot);
  }

  #addCopies(slot: number, by: number): number {
    const { numbers } = this.#stored.note(copiesNote);
    const copies = (numbers[slot] as number) + by;
    numbers[slot] = copies;
    return copies;
  }

  #freeSubKey(keys: KeyBatch, k: number): number {
    const first = this.#identity.hash() * maxCollisions;
    for (let n = 0; n < maxCollisions; n++) if (this.#table.find(keys, k, 0, first + n) < 0) return first + n;
    throw new Error(`more than ${maxCollisions} rows of a key have one hash`);
  }

  /** Takes away one copy of an entry. */
  remove(slot: number): void {
    if (this.#addCopies(slot, -1) > 0) this.#table.touch(slot);
    else this.#table.delete(slot);
  }
}
