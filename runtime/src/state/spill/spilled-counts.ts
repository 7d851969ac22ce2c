// How many units of each list are not on the heap, and which keys may be among them: most look-ups of what is not there end here.

/**
 * The filter is a Bloom filter of two bits per unit. Units that come back stay in it; once half of its bits are set it says yes
 * too often to be worth asking, and says yes to all until everything has come back.
 */
export class SpilledCounts {
  count = 0;
  readonly #bits: number;
  #perList: Int32Array = new Int32Array(16);
  #filter: Int32Array | null = null;
  #bitsSet = 0;

  /** A filter of `filterBytes`, rounded down to a power of two. */
  constructor(filterBytes: number) {
    this.#bits = 2 ** Math.min(31, Math.floor(Math.log2(Math.max(64, filterBytes) * 8)));
  }

  get sizeBytes(): number {
    return this.#perList.byteLength + (this.#filter?.byteLength ?? 0);
  }

  add(list: number, hash: number): void {
    this.count++;
    if (list >= this.#perList.length) {
      const grown = new Int32Array(Math.max(list + 1, this.#perList.length * 2));
      grown.set(this.#perList);
      this.#perList = grown;
    }
    this.#perList[list] = (this.#perList[list] as number) + 1;
    if (this.#isFull()) return;
    this.#filter ??= new Int32Array(this.#bits / 32);
    this.#set(this.#filter, bitOf(hash, list, 0x9e3779b1) & (this.#bits - 1));
    this.#set(this.#filter, bitOf(hash, list, 0xc2b2ae35) & (this.#bits - 1));
  }

  remove(list: number): void {
    this.count--;
    this.#perList[list] = (this.#perList[list] as number) - 1;
    if (this.count > 0) return;
    this.#filter = null;
    this.#bitsSet = 0;
  }

  countOf(list: number): number {
    return list < this.#perList.length ? (this.#perList[list] as number) : 0;
  }

  /** False when no unit of `list` with this hash is below. */
  mayHold(list: number, hash: number): boolean {
    if (this.countOf(list) === 0) return false;
    if (this.#isFull() || this.#filter === null) return true;
    const first = bitOf(hash, list, 0x9e3779b1) & (this.#bits - 1);
    if (((this.#filter[first >>> 5] as number) & (1 << (first & 31))) === 0) return false;
    const second = bitOf(hash, list, 0xc2b2ae35) & (this.#bits - 1);
    return ((this.#filter[second >>> 5] as number) & (1 << (second & 31))) !== 0;
  }

  #isFull(): boolean {
    return this.#bitsSet * 2 >= this.#bits;
  }

  #set(filter: Int32Array, bit: number): void {
    const word = filter[bit >>> 5] as number;
    const changed = word | (1 << (bit & 31));
    if (changed === word) return;
    filter[bit >>> 5] = changed;
    this.#bitsSet++;
  }
}

function bitOf(hash: number, list: number, factor: number): number {
  const mixed = Math.imul(hash ^ Math.imul(list + 1, 0x85ebca6b), factor);
  return (mixed ^ (mixed >>> 15)) & 0x7fffffff;
}
