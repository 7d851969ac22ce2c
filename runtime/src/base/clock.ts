// Processing time and sleeping, passed in so that tests own them.

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Never keeps the process alive by itself. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until it is told to move; due callbacks run in time order, then in order of creation. */
export class ManualClock implements Clock {
  #nowMs: number;
  #sequence = 0;
  readonly #pending = new Map<number, { readonly atMs: number; readonly callback: () => void }>();

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = this.#sequence++;
    this.#pending.set(id, { atMs: this.#nowMs + Math.max(0, delayMs), callback });
    return () => this.#pending.delete(id);
  }

  /** Moves time forward, running every callback that falls due on the way, each at its own time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      let next: { id: number; atMs: number; callback: () => void } | undefined;
      for (const [id, entry] of this.#pending) {
        if (entry.atMs <= untilMs && (next === undefined || entry.atMs < next.atMs)) next = { id, ...entry };
      }
      if (next === undefined) break;
      this.#pending.delete(next.id);
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}
