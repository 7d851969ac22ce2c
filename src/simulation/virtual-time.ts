// Time that moves only when everything that could run now has run: the clock of the simulation, and of the processes in it.
import type { Clock } from "../ports/machine.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

const startMs = Date.UTC(2026, 0, 1);

export class VirtualTime implements Clock {
  #nowMs = startMs;
  #order = 0;
  /** A binary heap by time, then by order. */
  readonly #timers: Timer[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  /** A clock for one process: when it dies, its timers die with it. */
  process(): Clock & { die(): void } {
    let dead = false;
    return {
      now: () => this.#nowMs,
      after: (delayMs, callback) => (dead ? () => {} : this.after(delayMs, () => (dead ? undefined : callback()))),
      die: () => {
        dead = true;
      },
    };
  }

  /** Lets time pass until `done` holds (true) or `limitMs` have passed (false). */
  async until(done: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    for (;;) {
      // A turn of the event loop: every promise that could settle has.
      await new Promise((resolve) => setImmediate(resolve));
      if (done()) return true;
      const next = this.#pop(endMs);
      if (next === undefined) {
        this.#nowMs = endMs;
        return false;
      }
      this.#nowMs = next.atMs;
      next.callback?.();
    }
  }

  /** Lets so much time pass. */
  async pass(durationMs: number): Promise<void> {
    await this.until(() => false, durationMs);
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent] as Timer)) break;
      heap[at] = heap[parent] as Timer;
      at = parent;
    }
    heap[at] = timer;
  }

  // The next live timer that is due by `endMs`.
  #pop(endMs: number): Timer | undefined {
    for (;;) {
      const [top] = this.#timers;
      if (top === undefined || (top.callback !== undefined && top.atMs > endMs)) return undefined;
      this.#removeTop();
      if (top.callback !== undefined) return top;
    }
  }

  #removeTop(): void {
    const heap = this.#timers;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child++;
      if (!before(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
  }
}

const before = (a: Timer, b: Timer): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** A generator of numbers from 0 to below 1 that repeats for a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
