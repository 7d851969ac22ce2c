// Keyed state as operators see it: tables of entries per key, in columns, looked up a batch at a time.
import type { Column } from "../batch/column.ts";
import type { Rows } from "../batch/batch.ts";
import type { KeyBatch } from "../keys/key-batch.ts";
import type { KeyLayout } from "../keys/key-layout.ts";
import type { Schema } from "../schema/schema.ts";

/** How long entries live. Expired entries are never seen again, and are removed a few at a time as the table is used. */
export interface TimeToLive {
  readonly ttlMs: number;
  /** Which time counts: the clock's or the watermark's. */
  readonly time: "processing" | "event";
  /** What prolongs an entry's life: its writes, or its reads too. */
  readonly refresh: "write" | "read-write";
}

/** From the value an older version stored (decoded with its own schema, as a plain object) to one of today's schema. */
export type Migration = (old: Readonly<Record<string, unknown>>) => Record<string, unknown>;

/** Entries as people see them, where that is not what is stored: an aggregate shows its results, not its accumulators. */
export interface ShownEntries {
  readonly schema: Schema;
  /** Fills rows `[0, count)` of `rows`, which are of `schema` and have room, from the entries at `slots`. */
  show(slots: Int32Array, count: number, rows: Rows): void;
}

export interface TableSpec {
  /** Unique within the operator: part of the state's address in snapshots. */
  readonly name: string;
  readonly key: KeyLayout;
  /** The columns of an entry's value; a schema without fields makes a set. */
  readonly value: Schema;
  readonly ttl?: TimeToLive;
  /** Needed when `value` differs from the stored schema by more than added, removed, widened or renamed-by-alias fields. */
  readonly migrate?: Migration;
  /** What queries of the table give; without it the value. */
  readonly shown?: ShownEntries;
}

/** Called with the slots of some entries. It may change, touch and delete them; it must not look up or insert. */
export type SlotVisitor = (slots: Int32Array, count: number) => void;

/**
 * Entries by (namespace, key); a namespace is a safe integer such as a window's or pane's start (0 where there is none).
 *
 * An entry is addressed by its slot. Slots returned by `findAll` or `find`, and slots passed to a visitor, stay valid until the
 * next `findAll`, `find` or visit on this table: between those, a backend over disk may move entries out.
 * The arrays inside `columns` may be replaced when the table grows: read them again after each look-up.
 * Whoever changes a value calls `touch` or `touchAll`, or the change is not in the next checkpoint.
 */
export interface KeyedTable {
  readonly spec: TableSpec;
  /** One column per field of `spec.value`; the row number is the slot. A new entry has zeros, undefined and empty texts. */
  readonly columns: readonly Column[];
  /** How many entries there are, on disk included. */
  readonly size: number;
  /**
   * Finds the entries of all keys, at position k under `namespaces[k]` (or 0 where `namespaces` is null), and creates the missing
   * ones when `create` is set. Fills `slots[0..keys.count)`, -1 for an entry that is not there. Returns how many it created:
   * their slots are in `created[0..returned)`, each once.
   */
  findAll(keys: KeyBatch, namespaces: Float64Array | null, slots: Int32Array, create: boolean): number;
  readonly created: Int32Array;
  /** The entry of key `k` of `keys`, -1 when it is not there (and `create` is false). */
  find(keys: KeyBatch, k: number, namespace: number, create: boolean): number;
  /** Marks an entry changed. */
  touch(slot: number): void;
  touchAll(slots: Int32Array, count: number): void;
  delete(slot: number): void;
  /** Visits every entry of a namespace, in chunks. */
  visitNamespace(namespace: number, visitor: SlotVisitor): void;
  /** Visits every entry, in chunks, in no particular order. */
  visitAll(visitor: SlotVisitor): void;
  /** The namespaces that have entries, ascending, that are at most `upTo`. */
  namespaces(upTo?: number): readonly number[];
  namespaceOf(slot: number): number;
  hashOf(slot: number): number;
  /** Writes the key's fields into columns `targets` of `rows` at `row` (one target per key field). */
  copyKey(slot: number, rows: Rows, row: number, targets: readonly number[]): void;
  /** The key's canonical bytes, a copy. */
  keyBytes(slot: number): Uint8Array;
}

/** A sub-key: a sequence number or a safe integer, or a string. One table uses one kind. */
export type SubKey = number | string;

/**
 * Several entries per (namespace, key), told apart by a sub-key: lists, maps, join buffers. Each entry is stored on its own,
 * so changing one costs one. Slots follow the same rule as in `KeyedTable`.
 */
export interface KeyedMultiTable {
  readonly spec: TableSpec;
  readonly columns: readonly Column[];
  readonly size: number;
  /** All entries of a key in insertion order (of this run; by sub-key after a restore). The array is reused by the next call. */
  entriesOf(keys: KeyBatch, k: number, namespace: number): { readonly slots: Int32Array; readonly count: number };
  /** The entry of a key that `entriesOf` would give last, -1 when there is none. */
  lastOf(keys: KeyBatch, k: number, namespace: number): number;
  /** The entry with a sub-key, -1 when it is not there. */
  find(keys: KeyBatch, k: number, namespace: number, subKey: SubKey): number;
  /** Adds an entry, or finds the one that is there; marks it changed. */
  upsert(keys: KeyBatch, k: number, namespace: number, subKey: SubKey): number;
  touch(slot: number): void;
  delete(slot: number): void;
  /** Deletes all entries of a key. */
  deleteAll(keys: KeyBatch, k: number, namespace: number): void;
  subKeyOf(slot: number): SubKey;
  namespaceOf(slot: number): number;
  visitAll(visitor: SlotVisitor): void;
  copyKey(slot: number, rows: Rows, row: number, targets: readonly number[]): void;
  keyBytes(slot: number): Uint8Array;
}

/** Called for each due timer. `keys` holds exactly the timer's key, at position 0. */
export type TimerVisitor = (keys: KeyBatch, namespace: number, timeMs: number) => void;

/** Timers per (namespace, key, time); registering one twice is registering it once. They are state: snapshots hold them. */
export interface Timers {
  register(keys: KeyBatch, k: number, namespace: number, timeMs: number): void;
  delete(keys: KeyBatch, k: number, namespace: number, timeMs: number): void;
  /** Fires and removes every timer up to `untilMs` in time order; timers registered meanwhile that are due fire too. */
  fire(untilMs: number, visitor: TimerVisitor): void;
  /** The earliest timer's time; Infinity when there is none. */
  nextMs(): number;
  readonly size: number;
}

/** The keyed state of one operator instance. Declare tables when the operator is made: a restore fills them before the first batch. */
export interface KeyedState {
  table(spec: TableSpec): KeyedTable;
  multiTable(spec: TableSpec & { readonly subKey: "number" | "string" }): KeyedMultiTable;
  timers(name: string, key: KeyLayout, time: "event" | "processing"): Timers;
}
