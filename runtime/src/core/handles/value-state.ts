// Handles of states with one value per key: value, reducing, aggregating.
import type { KeyBatch } from "../keys/key-batch.ts";
import type { KeyedTable } from "../ports/state.ts";
import type { Schema } from "../schema/schema.ts";
import type { Aggregator } from "./declarations.ts";
import type { BoundKey } from "./state-handles.ts";
import { type ValueAccess, valueAccess } from "./value-access.ts";

/** One value of the current key. */
export interface ValueState<T> {
  /** The value; undefined where the key has none. Lists, maps and structs in it are the state's own: copy them to change them. */
  get(): T | undefined;
  /** Stores a copy. Throws ROW_INVALID for a value that does not fit, and then leaves the old one. */
  set(value: T): void;
  clear(): void;
}

/** All values added for the current key, reduced to one. */
export interface ReducingState<T> {
  get(): T | undefined;
  add(value: T): void;
  clear(): void;
}

/** An accumulator of the values added for the current key, and its result. */
export interface AggregatingState<In, Out> {
  /** The result so far; undefined where nothing was added. */
  get(): Out | undefined;
  add(value: In): void;
  clear(): void;
}

const unknownSlot = -2;

export class ValueHandle<T> implements ValueState<T> {
  readonly #table: KeyedTable;
  readonly #access: ValueAccess<T>;
  readonly #bound: BoundKey;
  // The entry of the bound key, found once per binding: nobody else uses the table, so the slot stays valid until then.
  #slot = unknownSlot;
  #version = -1;

  constructor(table: KeyedTable, declaration: { readonly schema: Schema; readonly scalar: boolean }, bound: BoundKey) {
    this.#table = table;
    this.#access = valueAccess<T>(declaration.schema, declaration.scalar, table.columns);
    this.#bound = bound;
  }

  get(): T | undefined {
    const slot = this.#find(false);
    return slot < 0 ? undefined : this.#access.read(slot);
  }

  set(value: T): void {
    const known = this.#find(false);
    const slot = known < 0 ? this.#find(true) : known;
    try {
      this.#access.write(slot, value);
    } catch (error) {
      if (known < 0) this.clear();
      throw error;
    }
    this.#table.touch(slot);
  }

  clear(): void {
    const slot = this.#find(false);
    if (slot >= 0) this.#table.delete(slot);
    this.#slot = -1;
  }

  /** Looks the keys of a batch up, so that a backend over disk has them at hand. */
  prefetch(keys: KeyBatch, slots: Int32Array): void {
    this.#table.findAll(keys, null, slots, false);
    this.#slot = unknownSlot;
    this.#version = -1;
  }

  #find(create: boolean): number {
    const bound = this.#bound;
    if (this.#version === bound.version && (this.#slot >= 0 || !create)) return this.#slot;
    if (bound.keys === null) throw new Error("state was used outside of the processing of a key");
    this.#slot = this.#table.find(bound.keys, bound.k, bound.namespace, create);
    this.#version = bound.version;
    return this.#slot;
  }
}

export class ReducingHandle<T> implements ReducingState<T> {
  readonly #value: ValueHandle<T>;
  readonly #reduce: (a: T, b: T) => T;

  constructor(value: ValueHandle<T>, reduce: (a: T, b: T) => T) {
    this.#value = value;
    this.#reduce = reduce;
  }

  get(): T | undefined {
    return this.#value.get();
  }

  add(value: T): void {
    const old = this.#value.get();
    this.#value.set(old === undefined ? value : this.#reduce(old, value));
  }

  clear(): void {
    this.#value.clear();
  }
}

type Calls<In, Acc, Out> = Omit<Aggregator<In, Acc, Out>, "accumulator">;

export class AggregatingHandle<In, Acc, Out> implements AggregatingState<In, Out> {
  readonly #value: ValueHandle<Acc>;
  readonly #aggregator: Calls<In, Acc, Out>;

  constructor(value: ValueHandle<Acc>, aggregator: Calls<In, Acc, Out>) {
    this.#value = value;
    this.#aggregator = aggregator;
  }

  get(): Out | undefined {
    const accumulator = this.#value.get();
    return accumulator === undefined ? undefined : this.#aggregator.result(accumulator);
  }

  add(value: In): void {
    this.#value.set(this.#aggregator.add(this.#value.get() ?? this.#aggregator.create(), value));
  }

  clear(): void {
    this.#value.clear();
  }
}
