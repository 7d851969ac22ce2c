// How far time had come for each key group: kept in state, so that a restored operator neither fires a window twice nor takes
// rows that the run before it called late.
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";

/**
 * After a restore the watermark starts again from nothing, and key groups may come from instances that had come differently
 * far. Until the watermark has passed them all, each key group is judged by what it had reached.
 */
export class Progress {
  /** The time reached by this run; -Infinity at its start. */
  reachedMs: number = -Infinity;
  readonly #firstGroup: number;
  readonly #maxParallelism: number;
  /** What each key group had reached before the restore; null once this run is past all of them. */
  #restored: Float64Array | null = null;

  constructor(context: OperatorContext) {
    const { from, to } = context.keyGroups;
    this.#firstGroup = from;
    this.#maxParallelism = context.maxParallelism;
    // Every instance sees all entries, because its key groups may come from any of them.
    const entries = context.state.list("progress", "union", () => this.#capture(from, to));
    const restored = new Float64Array(to - from).fill(-Infinity);
    for (const { key, value } of entries) {
      const [first = 0, end = 0] = key.split("-").map(Number);
      const timeMs = new DataView(value.buffer, value.byteOffset, value.byteLength).getFloat64(0, true);
      for (let group = Math.max(first, from); group < Math.min(end, to); group++) restored[group - from] = timeMs;
    }
    if (restored.some((timeMs) => timeMs > -Infinity)) this.#restored = restored;
  }

  /** True while key groups may differ. */
  get uneven(): boolean {
    return this.#restored !== null;
  }

  /** The time that the key group of a key with this hash has reached. */
  of(hash: number): number {
    if (this.#restored === null) return this.reachedMs;
    return Math.max(this.reachedMs, this.#restored[keyGroupOf(hash, this.#maxParallelism) - this.#firstGroup] as number);
  }

  /** The least and the greatest time that any key group has reached. */
  get leastMs(): number {
    return this.#restored === null ? this.reachedMs : Math.max(this.reachedMs, Math.min(...this.#restored));
  }

  get greatestMs(): number {
    return this.#restored === null ? this.reachedMs : Math.max(this.reachedMs, ...this.#restored);
  }

  advance(timeMs: number): void {
    if (timeMs > this.reachedMs) this.reachedMs = timeMs;
    if (this.#restored !== null && this.#restored.every((restored) => restored <= this.reachedMs)) this.#restored = null;
  }

  // One entry per run of key groups that have reached the same time.
  #capture(from: number, to: number): OperatorStateEntry[] {
    const entries: OperatorStateEntry[] = [];
    for (let first = from; first < to; ) {
      const timeMs = this.#groupMs(first);
      let end = first + 1;
      while (end < to && this.#groupMs(end) === timeMs) end++;
      // At the end of time all windows have fired and are gone: whoever goes on from such a snapshot starts anew.
      if (timeMs > -Infinity && timeMs < endOfTime) {
        const value = new Uint8Array(8);
        new DataView(value.buffer).setFloat64(0, timeMs, true);
        entries.push({ key: `${first}-${end}`, value });
      }
      first = end;
    }
    return entries;
  }

  #groupMs(group: number): number {
    return this.#restored === null ? this.reachedMs : Math.max(this.reachedMs, this.#restored[group - this.#firstGroup] as number);
  }
}
