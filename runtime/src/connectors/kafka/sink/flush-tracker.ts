// Who waits for which batches: a flush is done when all batches that are not younger than it are acknowledged.

interface Flusher {
  readonly generation: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class FlushTracker {
  /** What batches that are closed now belong to; goes up with each flush. */
  generation = 0;
  readonly #outstanding = new Map<number, number>();
  #flushers: Flusher[] = [];

  add(generation: number): void {
    this.#outstanding.set(generation, (this.#outstanding.get(generation) ?? 0) + 1);
  }

  done(generation: number): void {
    const left = (this.#outstanding.get(generation) ?? 1) - 1;
    if (left > 0) {
      this.#outstanding.set(generation, left);
      return;
    }
    this.#outstanding.delete(generation);
    const waiting = this.#flushers;
    this.#flushers = waiting.filter((each) => this.#isOutstanding(each.generation));
    for (const flusher of waiting) if (!this.#flushers.includes(flusher)) flusher.resolve();
  }

  /** Settles when everything added so far is done; what is added later is not waited for. */
  flush(): Promise<void> {
    const generation = this.generation++;
    if (!this.#isOutstanding(generation)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#flushers.push({ generation, resolve, reject });
    });
  }

  fail(error: unknown): void {
    for (const flusher of this.#flushers.splice(0)) flusher.reject(error);
  }

  #isOutstanding(upTo: number): boolean {
    for (const generation of this.#outstanding.keys()) if (generation <= upTo) return true;
    return false;
  }
}
