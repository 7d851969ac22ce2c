// The lists of timers: a small number for each (time, namespace) that has timers, and a heap of the times.
import { TimeHeap } from "./time-heap.ts";

export class TimerLists {
  /** Per time its list, or where several namespaces share it, their lists by namespace. */
  readonly #byTime = new Map<number, number | Map<number, number>>();
  readonly #heap = new TimeHeap();
  readonly #free: number[] = [];
  /** Per list. */
  readonly #times: number[] = [];
  readonly #namespaces: number[] = [];

  timeOf(list: number): number {
    return this.#times[list] as number;
  }

  namespaceOf(list: number): number {
    return this.#namespaces[list] as number;
  }

  find(timeMs: number, namespace: number): number {
    const entry = this.#byTime.get(timeMs);
    if (entry === undefined) return -1;
    if (typeof entry === "number") return this.#namespaces[entry] === namespace ? entry : -1;
    return entry.get(namespace) ?? -1;
  }

  acquire(timeMs: number, namespace: number): number {
    const found = this.find(timeMs, namespace);
    if (found >= 0) return found;
    const list = this.#free.pop() ?? this.#times.length;
    this.#times[list] = timeMs;
    this.#namespaces[list] = namespace;
    const entry = this.#byTime.get(timeMs);
    if (entry === undefined) {
      this.#byTime.set(timeMs, list);
      this.#heap.push(timeMs);
      this.#dropStale();
    } else if (typeof entry === "number") {
      this.#byTime.set(
        timeMs,
        new Map([
          [this.#namespaces[entry] as number, entry],
          [namespace, list],
        ]),
      );
    } else entry.set(namespace, list);
    return list;
  }

  /** Frees a list that has become empty. Its time stays in the heap until it comes up there. */
  release(list: number): void {
    const timeMs = this.#times[list] as number;
    const entry = this.#byTime.get(timeMs);
    if (typeof entry === "number") this.#byTime.delete(timeMs);
    else if (entry !== undefined) {
      entry.delete(this.#namespaces[list] as number);
      if (entry.size === 0) this.#byTime.delete(timeMs);
    }
    this.#free.push(list);
  }

  /** The earliest time that has timers; Infinity when there are none. */
  firstTime(): number {
    while (this.#heap.count > 0 && !this.#byTime.has(this.#heap.first())) this.#heap.pop();
    return this.#heap.first();
  }

  /** Some list of a time that has timers. */
  anyAt(timeMs: number): number {
    const entry = this.#byTime.get(timeMs);
    if (entry === undefined) return -1;
    return typeof entry === "number" ? entry : (entry.values().next().value ?? -1);
  }

  // Times whose timers were deleted, or that were pushed again after that, may not pile up.
  #dropStale(): void {
    if (this.#heap.count < 64 || this.#heap.count < this.#byTime.size * 2) return;
    this.#heap.clear();
    for (const timeMs of this.#byTime.keys()) this.#heap.push(timeMs);
  }
}
