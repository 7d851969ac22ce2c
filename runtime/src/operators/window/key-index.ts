// Keys outside of state: numbers distinct (namespace, key) pairs from 0 on, for merging panes and for partial aggregation.
import { ByteWriter } from "../../base/bytes.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { type KeyBatch, readKeyInto } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";

const two32 = 4294967296;

/** An open-addressing hash table with linear probing, at most half full; forgotten as a whole by `reset`. */
export class KeyIndex {
  /** Numbers `[0, count)` are given out. */
  count = 0;
  /** The numbers that the last `findAll` gave out. */
  created: Int32Array = new Int32Array(64);
  readonly #layout: KeyLayout;
  readonly #integer: boolean;
  #places: Int32Array = new Int32Array(128).fill(-1);
  #hashes: Int32Array = new Int32Array(64);
  #namespaces: Float64Array = new Float64Array(64);
  /** The two words of an integer key, or where the bytes of another one start and end. */
  #low: Int32Array = new Int32Array(64);
  #high: Int32Array = new Int32Array(64);
  readonly #bytes = new ByteWriter(1024);

  constructor(layout: KeyLayout) {
    this.#layout = layout;
    this.#integer = layout.form === "integer";
  }

  /** Fills `slots[k]` with the number of key `k` under `namespaces[k]` (0 where null), new or not; returns how many are new. */
  findAll(keys: KeyBatch, namespaces: Float64Array | null, slots: Int32Array): number {
    const { count } = keys;
    this.#ensure(this.count + count);
    if (this.created.length < count) this.created = new Int32Array(count * 2);
    const { created } = this;
    const places = this.#places;
    const mask = places.length - 1;
    let createdCount = 0;
    for (let k = 0; k < count; k++) {
      const namespace = namespaces === null ? 0 : (namespaces[k] as number);
      const hash = mix(keys.hashes[k] as number, namespace);
      let at = hash & mask;
      let number = places[at] as number;
      while (number >= 0 && !this.#is(number, keys, k, hash, namespace)) {
        at = (at + 1) & mask;
        number = places[at] as number;
      }
      if (number < 0) {
        number = this.#add(keys, k, hash, namespace);
        places[at] = number;
        created[createdCount++] = number;
      }
      slots[k] = number;
    }
    return createdCount;
  }

  #is(number: number, keys: KeyBatch, k: number, hash: number, namespace: number): boolean {
    if (this.#hashes[number] !== hash || this.#namespaces[number] !== namespace) return false;
    if (this.#integer) return this.#low[number] === keys.low[k] && this.#high[number] === keys.high[k];
    const start = this.#low[number] as number;
    const length = (this.#high[number] as number) - start;
    const otherStart = keys.starts[k] as number;
    if ((keys.ends[k] as number) - otherStart !== length) return false;
    const own = this.#bytes.buffer;
    const other = keys.bytes;
    for (let i = 0; i < length; i++) if (own[start + i] !== other[otherStart + i]) return false;
    return true;
  }

  #add(keys: KeyBatch, k: number, hash: number, namespace: number): number {
    const number = this.count++;
    this.#hashes[number] = hash;
    this.#namespaces[number] = namespace;
    if (this.#integer) {
      this.#low[number] = keys.low[k] as number;
      this.#high[number] = keys.high[k] as number;
    } else {
      this.#low[number] = this.#bytes.length;
      keys.writeKey(k, this.#bytes);
      this.#high[number] = this.#bytes.length;
    }
    return number;
  }

  #ensure(count: number): void {
    if (count > this.#hashes.length) {
      const size = Math.max(count, this.#hashes.length * 2);
      const grow = (old: Int32Array): Int32Array => {
        const grown = new Int32Array(size);
        grown.set(old);
        return grown;
      };
      this.#hashes = grow(this.#hashes);
      this.#low = grow(this.#low);
      this.#high = grow(this.#high);
      const namespaces = new Float64Array(size);
      namespaces.set(this.#namespaces);
      this.#namespaces = namespaces;
    }
    if (count * 2 <= this.#places.length) return;
    let size = this.#places.length;
    while (size < count * 2) size *= 2;
    const places = new Int32Array(size).fill(-1);
    for (let number = 0; number < this.count; number++) {
      let at = (this.#hashes[number] as number) & (size - 1);
      while (places[at] !== -1) at = (at + 1) & (size - 1);
      places[at] = number;
    }
    this.#places = places;
  }

  namespaceOf(number: number): number {
    return this.#namespaces[number] as number;
  }

  /** Writes the key's fields into columns `targets` of `rows` at `row`. */
  copyKey(number: number, rows: Rows, row: number, targets: readonly number[]): void {
    const low = this.#low[number] as number;
    const high = this.#high[number] as number;
    if (!this.#integer) {
      readKeyInto(this.#layout, this.#bytes.buffer, low, high, rows, row, targets);
      return;
    }
    const column = rows.columns[targets[0] as number] as Column;
    const value = high * two32 + (low >>> 0);
    if (column.kind === "int64" && !Number.isSafeInteger(value)) column.setInt64(row, (BigInt(high) << 32n) | BigInt(low >>> 0));
    else column.numbers[row] = value;
  }

  /** Forgets all keys, keeps the memory. */
  reset(): void {
    this.count = 0;
    this.#bytes.reset();
    this.#places.fill(-1);
  }
}

// murmur3 has spread the key's bits already; a namespace is mostly a multiple of a large number, so it is spread here.
function mix(hash: number, namespace: number): number {
  if (namespace === 0) return hash;
  let h = Math.imul(hash ^ Math.imul(namespace | 0, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(Math.floor(namespace / two32) | 0, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) | 0;
}
