// The watermarks of a source instance's splits and what follows from all of them: the least of the active ones, who is idle, who must wait.
import { watermarkGenerator } from "./watermark-generators.ts";
import type { WatermarkGenerator, WatermarkStrategy } from "./watermark-strategy.ts";

/**
 * `waiting`: assigned, but its reader has not begun with it. Its silence is the reader's, so it is never idle, and it holds the others back:
 * its rows may have any time. Where splits follow each other in time it does not, for its rows are later than those of the splits before it.
 * `active`: its watermark holds the others back. `idle`: it showed no row for `idleAfterMs` and holds nobody back until it
 * does again. `finished`: it has ended, for good.
 */
export type SplitState = "waiting" | "active" | "idle" | "finished";

const moves: Readonly<Record<SplitState, readonly SplitState[]>> = {
  waiting: ["active", "finished"],
  active: ["idle", "finished"],
  idle: ["active", "finished"],
  finished: [],
};

interface Split {
  readonly generator: WatermarkGenerator;
  /** What a snapshot knew: a generator that starts anew must not go back behind it. */
  readonly restoredMs: number;
  state: SplitState;
  lastRowMs: number;
  paused: boolean;
}

/**
 * Pure bookkeeping: time comes in as `nowMs`, nothing is called back. The watermark never goes back, also when a split joins
 * that is behind. When no split is active it stands still: idleness proves nothing about event time.
 */
export class SplitWatermarks {
  readonly #strategy: WatermarkStrategy;
  readonly #idleAfterMs: number;
  readonly #maxDriftMs: number;
  /** Splits that have not begun hold nobody back. */
  readonly #inTimeOrder: boolean;
  readonly #splits = new Map<string, Split>();
  #reachedMs = -Infinity;

  constructor(strategy: WatermarkStrategy, { inTimeOrder = false }: { readonly inTimeOrder?: boolean } = {}) {
    this.#inTimeOrder = inTimeOrder;
    this.#strategy = strategy;
    this.#idleAfterMs = strategy.idleAfterMs ?? Infinity;
    this.#maxDriftMs = strategy.maxDriftMs ?? Infinity;
  }

  /** Takes in a split, at the watermark that a snapshot stored for it, if any. Unless it waits, its idleness counts from now. */
  add(splitId: string, nowMs: number, watermarkMs: number = -Infinity, state: "active" | "waiting" = "active"): void {
    const generator = watermarkGenerator(this.#strategy);
    this.#splits.set(splitId, { generator, restoredMs: watermarkMs, state, lastRowMs: nowMs, paused: false });
  }

  /** The reader has begun with a split: its idleness counts from now. */
  begin(splitId: string, nowMs: number): void {
    const split = this.#splits.get(splitId);
    if (split === undefined || split.state !== "waiting") return;
    split.lastRowMs = nowMs;
    move(split, "active");
  }

  /** Forgets a split that another instance reads from now on. */
  remove(splitId: string): void {
    this.#splits.delete(splitId);
  }

  /** Rows of a split have passed; `maxTimeMs` is the greatest of their event times. */
  advance(splitId: string, maxTimeMs: number, nowMs: number): void {
    const split = this.#splits.get(splitId);
    if (split === undefined) throw new Error(`split ${splitId} was not added`);
    split.generator.onBatch(maxTimeMs);
    split.lastRowMs = nowMs;
    if (split.state === "idle" || split.state === "waiting") move(split, "active");
  }

  /** Rows of a split are there and wait for their turn: it is not idle, and it was not until now. */
  present(splitId: string, nowMs: number): void {
    const split = this.#splits.get(splitId);
    if (split === undefined) return;
    split.lastRowMs = nowMs;
    if (split.state === "idle") move(split, "active");
  }

  /** No more rows will come from a split. It holds nobody back any more. */
  finish(splitId: string): void {
    const split = this.#splits.get(splitId);
    if (split !== undefined && split.state !== "finished") move(split, "finished");
  }

  /**
   * The source was kept from reading for `durationMs` (back pressure): that silence is not idleness. Call it before the
   * first `current` or `idle` after the wait.
   */
  excuse(durationMs: number): void {
    for (const split of this.#splits.values()) split.lastRowMs += durationMs;
  }

  /** The watermark of the instance now: the least of its active splits, and never less than it was. */
  current(nowMs: number): number {
    const leastMs = this.#least(nowMs);
    if (leastMs !== Infinity && leastMs > this.#reachedMs) this.#reachedMs = leastMs;
    return this.#reachedMs;
  }

  /** True when no split is active or waiting: the instance then holds nobody downstream back. */
  idle(nowMs: number): boolean {
    this.#markIdle(nowMs);
    for (const split of this.#splits.values()) if (split.state === "active" || split.state === "waiting") return false;
    return true;
  }

  /**
   * The splits that are more than `maxDriftMs` ahead of the slowest active one and must not be read now. `slowestMs` lets the
   * slowest of other instances count too. A split without a watermark yet proves nothing and makes nobody wait.
   */
  pausedSplits(nowMs: number, slowestMs: number = Infinity): ReadonlySet<string> {
    const paused = new Set<string>();
    if (this.#maxDriftMs === Infinity) return paused;
    this.#markIdle(nowMs);
    let slowest = slowestMs;
    for (const split of this.#splits.values()) {
      const timeMs = watermarkOf(split);
      if (split.state === "active" && timeMs !== -Infinity && timeMs < slowest) slowest = timeMs;
    }
    for (const [splitId, split] of this.#splits) {
      const pause = split.state === "active" && watermarkOf(split) > slowest + this.#maxDriftMs;
      // While a split is kept waiting its silence is ours, not its own.
      if (split.paused) split.lastRowMs = nowMs;
      split.paused = pause;
      if (pause) paused.add(splitId);
    }
    return paused;
  }

  stateOf(splitId: string): SplitState | undefined {
    return this.#splits.get(splitId)?.state;
  }

  /** The watermark of each split that has one: what a snapshot stores next to the split's position. */
  bySplit(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const [splitId, split] of this.#splits) {
      const timeMs = watermarkOf(split);
      if (timeMs !== -Infinity) found.set(splitId, timeMs);
    }
    return found;
  }

  #least(nowMs: number): number {
    this.#markIdle(nowMs);
    let leastMs = Infinity;
    for (const split of this.#splits.values()) {
      if (split.state === "active" || (split.state === "waiting" && !this.#inTimeOrder)) leastMs = Math.min(leastMs, watermarkOf(split));
    }
    return leastMs;
  }

  #markIdle(nowMs: number): void {
    if (this.#idleAfterMs === Infinity) return;
    for (const split of this.#splits.values()) {
      if (split.state === "active" && !split.paused && nowMs - split.lastRowMs >= this.#idleAfterMs) move(split, "idle");
    }
  }
}

function watermarkOf(split: Split): number {
  return Math.max(split.restoredMs, split.generator.current());
}

function move(split: Split, to: SplitState): void {
  if (!moves[split.state].includes(to)) throw new Error(`a split cannot go from ${split.state} to ${to}`);
  split.state = to;
}
