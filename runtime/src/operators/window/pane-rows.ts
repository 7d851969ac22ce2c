// Assigns the rows of a batch to panes and sorts out those that are not simply on time.
import { MillraceError } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { Panes } from "./panes.ts";
import type { Progress } from "./progress.ts";

/** What becomes of a row: it waits for its windows, it fires some again, it is too late for all, it is between windows. */
export const fate = { onTime: 0, refires: 1, late: 2, outside: 3 } as const;
type Fate = (typeof fate)[keyof typeof fate];

export class PaneRows {
  /** The pane of each row, by its position in the batch. */
  panes: Float64Array = new Float64Array(0);
  /** The fate of each row; only filled where `assign` returned false. */
  fates: Uint8Array = new Uint8Array(0);
  /** The earliest pane of the batch. */
  leastMs: number = Infinity;
  readonly #layout: Panes;
  readonly #progress: Progress;
  readonly #latenessMs: number;
  readonly #uid: string;

  constructor(layout: Panes, progress: Progress, latenessMs: number, uid: string) {
    this.#layout = layout;
    this.#progress = progress;
    this.#latenessMs = latenessMs;
    this.#uid = uid;
  }

  /** Finds the panes of rows with these times, at `selection[0..count)`. True where all rows are on time. */
  assign(times: Float64Array, { selection, count }: Batch, keys: KeyBatch): boolean {
    this.#ensure(count);
    const { panes } = this;
    const layout = this.#layout;
    let leastMs = Infinity;
    let start = Number.NaN;
    let end = Number.NaN;
    let plain = true;
    for (let k = 0; k < count; k++) {
      const timeMs = times[selection[k] as number] as number;
      // Rows come in about the order of time, so the pane is mostly the one of the row before.
      if (!(timeMs >= start && timeMs < end)) {
        this.#checkTime(timeMs);
        layout.locate(timeMs);
        ({ start, end } = layout);
        if (start < leastMs) leastMs = start;
        if (plain) plain = this.#fateOf(start, this.#progress.greatestMs) === fate.onTime;
      }
      panes[k] = start;
    }
    this.leastMs = leastMs;
    if (!plain)
      for (let k = 0; k < count; k++) this.fates[k] = this.#fateOf(panes[k] as number, this.#progress.of(keys.hashes[k] as number));
    return plain;
  }

  /** As `assign`, for rows that bring their pane with them in a column. */
  take(given: Float64Array, { selection, count }: Batch, keys: KeyBatch): boolean {
    this.#ensure(count);
    let plain = true;
    this.leastMs = Infinity;
    for (let k = 0; k < count; k++) {
      const pane = given[selection[k] as number] as number;
      this.panes[k] = pane;
      if (pane < this.leastMs) this.leastMs = pane;
      const own = this.#fateOf(pane, this.#progress.of(keys.hashes[k] as number));
      this.fates[k] = own;
      if (own !== fate.onTime) plain = false;
    }
    return plain;
  }

  #fateOf(paneMs: number, reachedMs: number): Fate {
    const lastEnd = this.#layout.lastEnd(paneMs);
    if (lastEnd === -Infinity) return fate.outside;
    if (lastEnd - 1 + this.#latenessMs <= reachedMs) return fate.late;
    if (this.#latenessMs === 0) return fate.onTime;
    return this.#layout.nextEnd(paneMs, -Infinity) - 1 <= reachedMs ? fate.refires : fate.onTime;
  }

  #checkTime(timeMs: number): void {
    // Written so that not-a-number is refused too.
    if (timeMs >= -Number.MAX_SAFE_INTEGER && timeMs <= Number.MAX_SAFE_INTEGER) return;
    throw new MillraceError(
      "ROW_WITHOUT_TIME",
      `window "${this.#uid}"`,
      "a row has no event time",
      "assign timestamps and watermarks before the window, or use processing time",
    );
  }

  #ensure(count: number): void {
    if (this.panes.length >= count) return;
    this.panes = new Float64Array(Math.max(count, 1024));
    this.fates = new Uint8Array(this.panes.length);
  }
}
