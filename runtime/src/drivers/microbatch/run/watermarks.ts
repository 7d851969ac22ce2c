// Event time of a query: per declared watermark the latest time less its delay, and of those the least (or the greatest) for all.
import type { BatchStages, ScanStage } from "../stages/stage.ts";

export type WatermarkPolicy = "min" | "max";

export class Watermarks {
  readonly #delaysMs: readonly number[];
  readonly #reachedMs: Float64Array;
  /** The latest time of all rows so far, those of inputs that hold time back among them. */
  readonly #latestMs: Float64Array;
  readonly #policy: WatermarkPolicy;
  #currentMs: number;

  /** `restoredMs` is the query's watermark when it was stopped. */
  constructor(
    delaysMs: readonly number[],
    policy: WatermarkPolicy,
    restored: { readonly currentMs: number; readonly each: readonly number[]; readonly latest: readonly number[] } | undefined,
  ) {
    this.#delaysMs = delaysMs;
    this.#policy = policy;
    this.#reachedMs = Float64Array.from(delaysMs, (_delay, index) => restored?.each[index] ?? -Infinity);
    this.#latestMs = Float64Array.from(delaysMs, (_delay, index) => restored?.latest[index] ?? -Infinity);
    this.#currentMs = restored?.currentMs ?? -Infinity;
  }

  /** The watermark that the next batch runs with. Never goes back. */
  get currentMs(): number {
    return this.#currentMs;
  }

  get each(): readonly number[] {
    return [...this.#reachedMs];
  }

  get latest(): readonly number[] {
    return [...this.#latestMs];
  }

  /** A batch had rows up to `latestMs` where watermark `index` is declared. While its input is `held`, that counts for nothing yet. */
  observe(index: number, latestMs: number, held = false): void {
    this.#latestMs[index] = Math.max(this.#latestMs[index] as number, latestMs);
    if (held) return;
    const reached = (this.#latestMs[index] as number) - (this.#delaysMs[index] as number);
    if (reached > (this.#reachedMs[index] as number)) this.#reachedMs[index] = reached;
  }

  /** After a batch: what it saw counts for the next one. True when event time has come further. */
  advance(): boolean {
    if (this.#reachedMs.length === 0) return false;
    // An input without a row yet says nothing of its time, so by `min` event time waits for it.
    const next = this.#policy === "min" ? Math.min(...this.#reachedMs) : Math.max(...this.#reachedMs);
    if (next <= this.#currentMs) return false;
    this.#currentMs = next;
    return true;
  }
}

/** The time columns of a source whose latest value some watermark needs. */
export function timeColumnsOf(stages: BatchStages, scan: ScanStage): readonly string[] {
  const columns = stages.watermarks.flatMap(({ from }) => (from.kind === "scan" && from.uid === scan.uid ? [from.column] : []));
  return [...new Set(columns)];
}
