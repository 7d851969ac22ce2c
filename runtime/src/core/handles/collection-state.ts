// Handles of states with several values per key: list and map. Each value is an entry of its own.
import { MillraceError } from "../../base/errors.ts";
import { fits } from "../batch/rows-builder.ts";
import type { KeyBatch } from "../keys/key-batch.ts";
import type { KeyedMultiTable, SubKey } from "../ports/state.ts";
import type { Schema } from "../schema/schema.ts";
import type { FieldSpec } from "../schema/type-spec.ts";
import type { BoundKey } from "./state-handles.ts";
import { type ValueAccess, valueAccess } from "./value-access.ts";

/** The values of the current key in the order they were added. */
export interface ListState<T> extends Iterable<T> {
  /** All values, in a new array. */
  get(): T[];
  /** Adds a copy at the end. */
  add(value: T): void;
  addAll(values: Iterable<T>): void;
  /** Puts `values` in the place of all that is there. */
  set(values: Iterable<T>): void;
  clear(): void;
  readonly size: number;
}

/** A map of the current key. What it iterates over is a copy of the entries as they were: the map may be changed meanwhile. */
export interface MapState<K, V> extends Iterable<[K, V]> {
  get(key: K): V | undefined;
  has(key: K): boolean;
  set(key: K, value: V): void;
  /** True when there was such an entry. */
  delete(key: K): boolean;
  clear(): void;
  keys(): K[];
  values(): V[];
  entries(): [K, V][];
  readonly size: number;
}

interface Declared {
  readonly schema: Schema;
  readonly scalar: boolean;
}

/** What list and map share: the entries of the bound key. */
class Entries<T> {
  readonly table: KeyedMultiTable;
  readonly access: ValueAccess<T>;
  readonly bound: BoundKey;

  constructor(table: KeyedMultiTable, declaration: Declared, bound: BoundKey) {
    this.table = table;
    this.access = valueAccess<T>(declaration.schema, declaration.scalar, table.columns);
    this.bound = bound;
  }

  get keys(): KeyBatch {
    if (this.bound.keys === null) throw new Error("state was used outside of the processing of a key");
    return this.bound.keys;
  }

  all(): { readonly slots: Int32Array; readonly count: number } {
    return this.table.entriesOf(this.keys, this.bound.k, this.bound.namespace);
  }

  find(subKey: SubKey): number {
    return this.table.find(this.keys, this.bound.k, this.bound.namespace, subKey);
  }

  write(subKey: SubKey, isNew: boolean, value: T): void {
    const slot = this.table.upsert(this.keys, this.bound.k, this.bound.namespace, subKey);
    try {
      this.access.write(slot, value);
    } catch (error) {
      if (isNew) this.table.delete(slot);
      throw error;
    }
  }

  clear(): void {
    this.table.deleteAll(this.keys, this.bound.k, this.bound.namespace);
  }

  read<R>(of: (slot: number) => R): R[] {
    const { slots, count } = this.all();
    const made: R[] = [];
    for (let i = 0; i < count; i++) made.push(of(slots[i] as number));
    return made;
  }
}

export class ListHandle<T> implements ListState<T> {
  readonly #entries: Entries<T>;

  constructor(table: KeyedMultiTable, declaration: Declared, bound: BoundKey) {
    this.#entries = new Entries(table, declaration, bound);
  }

  get(): T[] {
    return this.#entries.read((slot) => this.#entries.access.read(slot));
  }

  add(value: T): void {
    const { table, keys, bound } = this.#entries;
    // Positions only grow, so the one added last has the greatest.
    const last = table.lastOf(keys, bound.k, bound.namespace);
    this.#entries.write(last < 0 ? 0 : (table.subKeyOf(last) as number) + 1, true, value);
  }

  addAll(values: Iterable<T>): void {
    for (const value of values) this.add(value);
  }

  set(values: Iterable<T>): void {
    // The new values may come from the old ones.
    const all = [...values];
    this.clear();
    this.addAll(all);
  }

  clear(): void {
    this.#entries.clear();
  }

  get size(): number {
    return this.#entries.all().count;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.get()[Symbol.iterator]();
  }
}

export class MapHandle<K, V> implements MapState<K, V> {
  readonly #entries: Entries<V>;
  readonly #key: FieldSpec;

  constructor(table: KeyedMultiTable, declaration: Declared & { readonly key: FieldSpec }, bound: BoundKey) {
    this.#entries = new Entries(table, declaration, bound);
    this.#key = declaration.key;
  }

  /** How keys of a field's type are stored: 64-bit integers as their digits, because sub-keys are safe integers or strings. */
  static subKeyKind(key: FieldSpec): "number" | "string" {
    const { type } = key;
    return type.kind === "string" || type.kind === "enum" || isBigInt(key) ? "string" : "number";
  }

  get(key: K): V | undefined {
    const slot = this.#entries.find(this.#subKey(key));
    return slot < 0 ? undefined : this.#entries.access.read(slot);
  }

  has(key: K): boolean {
    return this.#entries.find(this.#subKey(key)) >= 0;
  }

  set(key: K, value: V): void {
    const subKey = this.#subKey(key);
    this.#entries.write(subKey, this.#entries.find(subKey) < 0, value);
  }

  delete(key: K): boolean {
    const slot = this.#entries.find(this.#subKey(key));
    if (slot >= 0) this.#entries.table.delete(slot);
    return slot >= 0;
  }

  clear(): void {
    this.#entries.clear();
  }

  keys(): K[] {
    return this.#entries.read((slot) => this.#keyOf(slot));
  }

  values(): V[] {
    return this.#entries.read((slot) => this.#entries.access.read(slot));
  }

  entries(): [K, V][] {
    return this.#entries.read((slot) => [this.#keyOf(slot), this.#entries.access.read(slot)]);
  }

  get size(): number {
    return this.#entries.all().count;
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    return this.entries()[Symbol.iterator]();
  }

  #subKey(key: K): SubKey {
    if (!fits(this.#key, key)) {
      throw new MillraceError(
        "ROW_INVALID",
        "a map state",
        `${String(key)} is not a ${this.#key.type.kind}`,
        "use keys of the declared type",
      );
    }
    return typeof key === "bigint" ? key.toString() : (key as SubKey);
  }

  #keyOf(slot: number): K {
    const subKey = this.#entries.table.subKeyOf(slot);
    return (isBigInt(this.#key) ? BigInt(subKey) : subKey) as K;
  }
}

function isBigInt({ type }: FieldSpec): boolean {
  return (type.kind === "int64" && type.as === "bigint") || (type.kind === "timestamp" && type.unit === "ns");
}
