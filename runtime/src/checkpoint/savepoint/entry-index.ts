// The last entry of each identity among some blocks: an open-addressing hash table in typed arrays, some forty bytes per entry.
import { murmur3 } from "../../base/murmur3.ts";

const firstCapacity = 1024;
const empty = -1;

/** Entries are numbered in the order in which their identities were first seen. */
export class EntryIndex {
  /** How many identities there are, deleted ones included. */
  count = 0;
  /** By number of the entry: which block its last version is in, where, and whether it was deleted. */
  blocks: Int32Array = new Int32Array(firstCapacity);
  starts: Int32Array = new Int32Array(firstCapacity);
  ends: Int32Array = new Int32Array(firstCapacity);
  deleted: Uint8Array = new Uint8Array(firstCapacity);
  #hashes: Int32Array = new Int32Array(firstCapacity);
  #tags: Uint8Array = new Uint8Array(firstCapacity);
  #identityStarts: Int32Array = new Int32Array(firstCapacity);
  #identityEnds: Int32Array = new Int32Array(firstCapacity);
  /** Twice as many places as entries, at least. */
  #table: Int32Array = new Int32Array(firstCapacity * 2).fill(empty);
  readonly #bytes: readonly Uint8Array[];

  /** `bytes[i]` are those of block i. */
  constructor(bytes: readonly Uint8Array[]) {
    this.#bytes = bytes;
  }

  /** Makes this the last version of its identity. */
  set(block: number, start: number, end: number, tag: number, identityStart: number, identityEnd: number, isDeletion: boolean): void {
    const bytes = this.#bytes[block] as Uint8Array;
    const hash = murmur3(bytes, identityStart, identityEnd, tag);
    const mask = this.#table.length - 1;
    let place = hash & mask;
    let entry = this.#table[place] as number;
    while (entry !== empty && !this.#isSame(entry, hash, tag, bytes, identityStart, identityEnd)) {
      place = (place + 1) & mask;
      entry = this.#table[place] as number;
    }
    if (entry === empty) {
      if (this.count === this.blocks.length) {
        this.#grow();
        this.set(block, start, end, tag, identityStart, identityEnd, isDeletion);
        return;
      }
      entry = this.count++;
      this.#table[place] = entry;
      this.#hashes[entry] = hash;
      this.#tags[entry] = tag;
    }
    this.blocks[entry] = block;
    this.starts[entry] = start;
    this.ends[entry] = end;
    this.deleted[entry] = isDeletion ? 1 : 0;
    this.#identityStarts[entry] = identityStart;
    this.#identityEnds[entry] = identityEnd;
  }

  #isSame(entry: number, hash: number, tag: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#hashes[entry] !== hash || this.#tags[entry] !== tag) return false;
    const other = this.#bytes[this.blocks[entry] as number] as Uint8Array;
    const otherStart = this.#identityStarts[entry] as number;
    if ((this.#identityEnds[entry] as number) - otherStart !== end - start) return false;
    for (let i = start, o = otherStart; i < end; i++, o++) if (bytes[i] !== other[o]) return false;
    return true;
  }

  #grow(): void {
    const capacity = this.blocks.length * 2;
    this.blocks = grownInts(this.blocks, capacity);
    this.starts = grownInts(this.starts, capacity);
    this.ends = grownInts(this.ends, capacity);
    this.deleted = grownBytes(this.deleted, capacity);
    this.#hashes = grownInts(this.#hashes, capacity);
    this.#tags = grownBytes(this.#tags, capacity);
    this.#identityStarts = grownInts(this.#identityStarts, capacity);
    this.#identityEnds = grownInts(this.#identityEnds, capacity);
    this.#table = new Int32Array(capacity * 2).fill(empty);
    const mask = this.#table.length - 1;
    for (let entry = 0; entry < this.count; entry++) {
      let place = (this.#hashes[entry] as number) & mask;
      while (this.#table[place] !== empty) place = (place + 1) & mask;
      this.#table[place] = entry;
    }
  }
}

function grownInts(from: Int32Array, capacity: number): Int32Array {
  const to = new Int32Array(capacity);
  to.set(from);
  return to;
}

function grownBytes(from: Uint8Array, capacity: number): Uint8Array {
  const to = new Uint8Array(capacity);
  to.set(from);
  return to;
}
