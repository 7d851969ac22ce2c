// Counters and gauges of a task's instances, by uid and subtask; read when metrics are scraped.
import type { InstanceCounters } from "./operator-instance.ts";

export interface InstanceMetrics {
  readonly uid: string;
  readonly subtask: number;
  readonly counters: InstanceCounters;
  readonly counts: ReadonlyMap<string, number>;
  readonly gauges: ReadonlyMap<string, () => number>;
}

export class TaskMetrics {
  readonly #instances = new Map<
    string,
    { uid: string; subtask: number; counters: InstanceCounters; counts: Map<string, number>; gauges: Map<string, () => number> }
  >();

  #of(uid: string, subtask: number): { counters: InstanceCounters; counts: Map<string, number>; gauges: Map<string, () => number> } {
    const id = `${uid}/${subtask}`;
    let found = this.#instances.get(id);
    if (found === undefined) {
      found = { uid, subtask, counters: { rowsIn: 0, rowsOut: 0 }, counts: new Map(), gauges: new Map() };
      this.#instances.set(id, found);
    }
    return found;
  }

  counters(uid: string, subtask: number): InstanceCounters {
    return this.#of(uid, subtask).counters;
  }

  count(uid: string, subtask: number, name: string, by: number): void {
    const { counts } = this.#of(uid, subtask);
    counts.set(name, (counts.get(name) ?? 0) + by);
  }

  gauges(uid: string, subtask: number, read: Readonly<Record<string, () => number>>): void {
    for (const [name, one] of Object.entries(read)) this.gauge(uid, subtask, name, one);
  }

  gauge(uid: string, subtask: number, name: string, read: () => number): void {
    this.#of(uid, subtask).gauges.set(name, read);
  }

  instances(): readonly InstanceMetrics[] {
    return [...this.#instances.values()];
  }
}
