// Doubly linked lists over the slots of a table: the entries of a namespace, or of a key with several entries, in insertion order.

const none = -1;

/** Every slot is in at most one list. A list is a small number that its owner hands out; an unknown one is empty. */
export class SlotLists {
  /** Per list: its first and last slot, -1 when it is empty. */
  #heads: Int32Array = new Int32Array(16).fill(none);
  #tails: Int32Array = new Int32Array(16).fill(none);
  /** Per slot: its neighbours in its list. */
  #next: Int32Array = new Int32Array(0);
  #previous: Int32Array = new Int32Array(0);

  get sizeBytes(): number {
    return (this.#heads.length + this.#next.length) * 8;
  }

  ensureSlots(capacity: number): void {
    const next = new Int32Array(capacity);
    next.set(this.#next);
    this.#next = next;
    const previous = new Int32Array(capacity);
    previous.set(this.#previous);
    this.#previous = previous;
  }

  first(list: number): number {
    return list < this.#heads.length ? (this.#heads[list] as number) : none;
  }

  last(list: number): number {
    return list < this.#tails.length ? (this.#tails[list] as number) : none;
  }

  next(slot: number): number {
    return this.#next[slot] as number;
  }

  append(list: number, slot: number): void {
    if (list >= this.#heads.length) this.#ensureLists(list + 1);
    const last = this.#tails[list] as number;
    this.#previous[slot] = last;
    this.#next[slot] = none;
    this.#tails[list] = slot;
    if (last === none) this.#heads[list] = slot;
    else this.#next[last] = slot;
  }

  remove(list: number, slot: number): void {
    const previous = this.#previous[slot] as number;
    const next = this.#next[slot] as number;
    if (previous === none) this.#heads[list] = next;
    else this.#next[previous] = next;
    if (next === none) this.#tails[list] = previous;
    else this.#previous[next] = previous;
  }

  /** Forgets the order of a list: its owner appends its slots again. */
  reset(list: number): void {
    if (list >= this.#heads.length) return;
    this.#heads[list] = none;
    this.#tails[list] = none;
  }

  #ensureLists(count: number): void {
    const size = Math.max(count, this.#heads.length * 2);
    const heads = new Int32Array(size).fill(none);
    heads.set(this.#heads);
    this.#heads = heads;
    const tails = new Int32Array(size).fill(none);
    tails.set(this.#tails);
    this.#tails = tails;
  }
}
