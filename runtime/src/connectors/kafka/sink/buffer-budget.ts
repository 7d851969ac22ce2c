// How much unacknowledged output a sink instance may hold, over all of its producers.
import { Signal } from "../../../base/signal.ts";

export class BufferBudget {
  readonly #limitBytes: number;
  readonly #freed: Signal = new Signal();
  #usedBytes = 0;
  #failure: unknown;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  add(bytes: number): void {
    this.#usedBytes += bytes;
  }

  free(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#usedBytes < this.#limitBytes) this.#freed.notify();
  }

  /** No more room will come: whoever waits is told why. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#freed.notify();
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** Undefined while there is room; else settles when there is, or rejects when there never will be. */
  ready(): Promise<void> | undefined {
    if (this.#usedBytes < this.#limitBytes && this.#failure === undefined) return undefined;
    const waiting = this.#wait();
    // Whoever only asks whether there is room does not wait for the answer; a failure reaches them by `failure`.
    waiting.catch(() => undefined);
    return waiting;
  }

  async #wait(): Promise<void> {
    while (this.#usedBytes >= this.#limitBytes && this.#failure === undefined) await this.#freed.next();
    if (this.#failure !== undefined) throw this.#failure;
  }
}
