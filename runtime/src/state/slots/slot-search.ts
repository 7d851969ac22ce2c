// The loops that look keys up in a slot table: one per key form, without calls or objects per key.
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import { mix, type SlotIndex } from "./slot-index.ts";

/** From this many cells on the index and the heads no longer fit the processor's nearer caches. */
const prefetchCells = 1 << 18;
const chunkKeys = 64;

/**
 * Reads the cells and the heads that a chunk of keys will most likely need, and nothing else: loads that do not depend on each
 * other overlap, where the look-up itself would wait for them one by one. Returns a number that depends on all of them.
 */
function prefetch(index: SlotIndex, heads: Int32Array, hashes: Int32Array, from: number, to: number, salt: number): number {
  const { cells, shift } = index;
  let sum = 0;
  for (let k = from; k < to; k++) sum ^= cells[(mix(hashes[k] as number, salt) >>> shift) * 2] as number;
  for (let k = from; k < to; k++) {
    const stored = cells[(mix(hashes[k] as number, salt) >>> shift) * 2 + 1] as number;
    // An empty cell stands for slot 0 here: any line will do.
    sum ^= heads[(stored - (stored > 0 ? 1 : 0)) * 4] as number;
  }
  return sum;
}

/** Looks up integer keys `[from, to)` of one list. Fills `slots[from..to)`, appends misses, returns their new count. */
export function lookUpIntegers(
  index: SlotIndex,
  heads: Int32Array,
  keys: KeyBatch,
  from: number,
  to: number,
  list: number,
  salt: number,
  slots: Int32Array,
  misses: Int32Array,
  missCount: number,
): number {
  const { cells, mask, shift } = index;
  const { hashes, low, high } = keys;
  const isLarge = cells.length >= prefetchCells;
  let missed = missCount;
  for (let start = from; start < to; start += chunkKeys) {
    const end = Math.min(to, start + chunkKeys);
    if (isLarge) index.prefetched ^= prefetch(index, heads, hashes, start, end, salt);
    for (let k = start; k < end; k++) {
      const mixed = mix(hashes[k] as number, salt);
      const keyLow = low[k] as number;
      const keyHigh = high[k] as number;
      let bucket = mixed >>> shift;
      let found = -1;
      for (;;) {
        const stored = cells[bucket * 2 + 1] as number;
        if (stored === 0) break;
        if (cells[bucket * 2] === mixed) {
          const at = (stored - 1) * 4;
          if (heads[at + 1] === keyLow && heads[at + 2] === keyHigh && heads[at + 3] === list) {
            found = stored - 1;
            break;
          }
        }
        bucket = (bucket + 1) & mask;
      }
      slots[k] = found;
      if (found < 0) misses[missed++] = k;
    }
  }
  return missed;
}

/** The same for keys of bytes, text or composite. */
export function lookUpBytes(
  index: SlotIndex,
  heads: Int32Array,
  arena: Uint8Array,
  keys: KeyBatch,
  from: number,
  to: number,
  list: number,
  salt: number,
  slots: Int32Array,
  misses: Int32Array,
  missCount: number,
): number {
  const { cells, mask, shift } = index;
  const { hashes, starts, ends, bytes } = keys;
  const isLarge = cells.length >= prefetchCells;
  let missed = missCount;
  for (let chunk = from; chunk < to; chunk += chunkKeys) {
    const end = Math.min(to, chunk + chunkKeys);
    if (isLarge) index.prefetched ^= prefetch(index, heads, hashes, chunk, end, salt);
    for (let k = chunk; k < end; k++) {
      const mixed = mix(hashes[k] as number, salt);
      const start = starts[k] as number;
      const length = (ends[k] as number) - start;
      let bucket = mixed >>> shift;
      let found = -1;
      for (;;) {
        const stored = cells[bucket * 2 + 1] as number;
        if (stored === 0) break;
        if (cells[bucket * 2] === mixed) {
          const at = (stored - 1) * 4;
          if (heads[at + 2] === length && heads[at + 3] === list && sameBytes(arena, heads[at + 1] as number, bytes, start, length)) {
            found = stored - 1;
            break;
          }
        }
        bucket = (bucket + 1) & mask;
      }
      slots[k] = found;
      if (found < 0) misses[missed++] = k;
    }
  }
  return missed;
}

/** The slot of one key, -1 when it is not there. */
export function lookUpOne(
  index: SlotIndex,
  heads: Int32Array,
  arena: Uint8Array,
  keys: KeyBatch,
  k: number,
  list: number,
  salt: number,
): number {
  const { cells, mask, shift } = index;
  const integer = keys.layout.form === "integer";
  const first = integer ? (keys.low[k] as number) : (keys.starts[k] as number);
  const second = integer ? (keys.high[k] as number) : (keys.ends[k] as number) - first;
  const mixed = mix(keys.hashes[k] as number, salt);
  for (let bucket = mixed >>> shift; ; bucket = (bucket + 1) & mask) {
    const stored = cells[bucket * 2 + 1] as number;
    if (stored === 0) return -1;
    if (cells[bucket * 2] !== mixed) continue;
    const at = (stored - 1) * 4;
    if (heads[at + 3] !== list || heads[at + 2] !== second) continue;
    if (integer ? heads[at + 1] === first : sameBytes(arena, heads[at + 1] as number, keys.bytes, first, second)) return stored - 1;
  }
}

function sameBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}
