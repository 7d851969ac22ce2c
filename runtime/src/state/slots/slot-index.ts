// The hash index of a slot table: open addressing with linear probing over cells of (mixed hash, slot + 1).

const firstBuckets = 64;
const maxBuckets = 2 ** 29;

/** Spreads a key's hash and the salt of its list over 32 bits; the top bits choose the bucket. */
export function mix(hash: number, salt: number): number {
  // Key groups leave an instance only some of the low bits; the multiplication carries what differs to the top ones.
  return Math.imul(hash ^ salt, 0x9e3779b1);
}

/**
 * Cells are pairs in one array, so that a probe and its neighbours share a cache line. A bucket is the top bits of the mixed
 * hash: doubling then sends the cells of bucket b to 2b and 2b + 1, and a rehash is one sequential pass over both arrays
 * (millions of cells in some milliseconds), which is why growth needs no incremental rehash.
 * Deletion shifts the followers back (Knuth, TAOCP 6.4, algorithm R): there are no tombstones to clean up.
 */
export class SlotIndex {
  /** `[mixed, slot + 1]` per bucket; a slot + 1 of 0 means empty. */
  cells: Int32Array = new Int32Array(firstBuckets * 2);
  mask: number = firstBuckets - 1;
  shift: number = 32 - Math.log2(firstBuckets);
  count = 0;
  /** Where look-ups leave what they read ahead, so that the reads are not optimised away. */
  prefetched = 0;

  get sizeBytes(): number {
    return this.cells.byteLength;
  }

  /** What the index will take with `count` entries. */
  sizeBytesAt(count: number): number {
    return Math.max(this.cells.byteLength, 2 ** Math.ceil(Math.log2((count * 10) / 7)) * 8);
  }

  /** Adds a cell; the caller knows that the entry is not there yet. */
  insert(mixed: number, slot: number): void {
    if ((this.count + 1) * 10 > (this.mask + 1) * 7) this.#grow();
    this.count++;
    this.#place(this.cells, mixed, slot + 1);
  }

  remove(mixed: number, slot: number): void {
    const { cells, mask, shift } = this;
    let hole = mixed >>> shift;
    while (cells[hole * 2 + 1] !== slot + 1) {
      if (cells[hole * 2 + 1] === 0) throw new Error(`slot ${slot} is not in the index`);
      hole = (hole + 1) & mask;
    }
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const follower = cells[next * 2 + 1] as number;
      if (follower === 0) break;
      const home = (cells[next * 2] as number) >>> shift;
      // The follower may move into the hole unless its home lies behind the hole (cyclically in (hole, next]).
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      cells[hole * 2] = cells[next * 2] as number;
      cells[hole * 2 + 1] = follower;
      hole = next;
    }
    cells[hole * 2 + 1] = 0;
    this.count--;
  }

  clear(): void {
    this.cells.fill(0);
    this.count = 0;
  }

  #place(cells: Int32Array, mixed: number, stored: number): void {
    const mask = this.mask;
    let bucket = mixed >>> this.shift;
    while (cells[bucket * 2 + 1] !== 0) bucket = (bucket + 1) & mask;
    cells[bucket * 2] = mixed;
    cells[bucket * 2 + 1] = stored;
  }

  #grow(): void {
    const old = this.cells;
    const buckets = (this.mask + 1) * 2;
    if (buckets > maxBuckets) throw new RangeError(`a state table holds at most ${Math.floor(maxBuckets * 0.7)} entries`);
    const grown = new Int32Array(buckets * 2);
    this.mask = buckets - 1;
    this.shift -= 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] !== 0) this.#place(grown, old[at] as number, old[at + 1] as number);
    }
    this.cells = grown;
  }
}
