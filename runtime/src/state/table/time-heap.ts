// A binary heap of times, the earliest first.

export class TimeHeap {
  #times: Float64Array = new Float64Array(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The earliest time; Infinity when there is none. */
  first(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  push(time: number): void {
    if (this.#count === this.#times.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#times);
      this.#times = grown;
    }
    const times = this.#times;
    let at = this.#count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((times[parent] as number) <= time) break;
      times[at] = times[parent] as number;
      at = parent;
    }
    times[at] = time;
  }

  /** Takes the earliest time off. */
  pop(): void {
    const times = this.#times;
    const last = times[--this.#count] as number;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && (times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= last) break;
      times[at] = times[child] as number;
      at = child;
    }
    times[at] = last;
  }

  clear(): void {
    this.#count = 0;
  }
}
