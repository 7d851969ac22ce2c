// Keys that wait to be reconciled: each key once, at one worker at a time, changes before resyncs, failures later and later.
import type { Clock } from "../ports/machine.ts";

/** `change`: somebody has changed something. `resync`: only to look whether all is well. */
export type Priority = "change" | "resync";

export interface WorkqueueOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** The pause after the first failure of a key, ms; doubles with each further one. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

const minBackoffMs = 200;
const maxBackoffMs = 60_000;

export class Workqueue {
  readonly #options: WorkqueueOptions;
  readonly #ready: Readonly<Record<Priority, Set<string>>> = { change: new Set(), resync: new Set() };
  readonly #delayed = new Map<string, { readonly atMs: number; readonly priority: Priority; readonly cancel: () => void }>();
  readonly #processing = new Set<string>();
  /** Keys that changed while they were being processed. */
  readonly #again = new Map<string, Priority>();
  readonly #failures = new Map<string, number>();
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(options: WorkqueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#ready.change.size + this.#ready.resync.size;
  }

  get processing(): number {
    return this.#processing.size;
  }

  add(key: string, priority: Priority = "change"): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      if (this.#again.get(key) !== "change") this.#again.set(key, priority);
      return;
    }
    const { change, resync } = this.#ready;
    if (change.has(key)) return;
    if (priority === "change") resync.delete(key);
    else if (resync.has(key)) return;
    const taker = this.#waiting.shift();
    if (taker === undefined) this.#ready[priority].add(key);
    else {
      this.#processing.add(key);
      taker(key);
    }
  }

  /** Adds the key later; of several such requests the earliest counts. */
  addAfter(key: string, delayMs: number, priority: Priority = "change"): void {
    if (this.#closed) return;
    const atMs = this.#options.clock.now() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.atMs <= atMs) return;
    before?.cancel();
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key, priority);
    });
    this.#delayed.set(key, { atMs, priority, cancel });
  }

  /** Adds the key after a pause that grows with each failure. */
  retry(key: string, leastMs = 0): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const { minBackoffMs: least = minBackoffMs, maxBackoffMs: most = maxBackoffMs, random } = this.#options;
    const pauseMs = Math.min(most, least * 2 ** Math.min(20, failures - 1));
    this.addAfter(key, Math.max(leastMs, pauseMs * (0.75 + random() / 2)));
  }

  /** The key's failures are over. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, which is then this worker's alone until `done`; undefined when the queue is closed. */
  next(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    for (const priority of ["change", "resync"] as const) {
      const [key] = this.#ready[priority];
      if (key === undefined) continue;
      this.#ready[priority].delete(key);
      this.#processing.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again !== undefined) this.add(key, again);
  }

  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const taker of this.#waiting.splice(0)) taker(undefined);
  }
}
