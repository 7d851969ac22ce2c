// Panes: the pieces of time between any two neighbouring bounds of aligned windows. A row is aggregated once, in its pane;
// a window's result is merged from its panes when it fires.
// S. Krishnamurthy, C. Wu, M. Franklin, "On-the-fly sharing for streamed aggregation" (SIGMOD 2006): paired windows. They are at most
// two panes per slide, however large the size and the slide's smallest common piece would be small.
import type { AlignedWindow } from "./window-spec.ts";

/*
 * size 10, slide 4: windows start at 0, 4, 8 and end at 10, 14, 18; 10 mod 4 = 2.
 *
 *   window 0   |-------------------|
 *   window 4           |-------------------|
 *   panes      | 0 | 2 | 4 | 6 | 8 |10 |12 |
 *
 * A pane is named by its start, a window by its end: unlike its start that is different for each, in cumulate windows too.
 */
export abstract class Panes {
  /** The bounds of the pane that `locate` found. */
  start: number = Number.NaN;
  end: number = Number.NaN;

  /** Finds the pane that holds `timeMs`: sets `start` and `end`. */
  abstract locate(timeMs: number): void;
  /** The start of the window that ends at `endMs`. */
  abstract startOf(endMs: number): number;
  /** The end of the first window that holds the pane and ends after `afterMs`; Infinity when there is none. */
  abstract nextEnd(paneMs: number, afterMs: number): number;
  /** The end of the last window that holds the pane; -Infinity for a pane between windows. */
  abstract lastEnd(paneMs: number): number;
  /** Time from a window's end to the next one's that holds the same pane. */
  abstract readonly stepMs: number;

  /** The ends after `afterMs` and up to `untilMs` of windows that hold the pane, ascending. */
  ends(paneMs: number, afterMs: number, untilMs: number): number[] {
    const found: number[] = [];
    const last = Math.min(this.lastEnd(paneMs), untilMs);
    for (let end = this.nextEnd(paneMs, afterMs); end <= last; end += this.stepMs) found.push(end);
    return found;
  }
}

class SlidingPanes extends Panes {
  readonly stepMs: number;
  readonly #sizeMs: number;
  readonly #offsetMs: number;
  /** Where a window's end cuts a slide in two; the slide itself where it does not. */
  readonly #cutMs: number;

  constructor(sizeMs: number, slideMs: number, offsetMs: number) {
    super();
    this.stepMs = slideMs;
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
    this.#cutMs = sizeMs < slideMs ? sizeMs : sizeMs % slideMs === 0 ? slideMs : sizeMs % slideMs;
  }

  #slideOf(timeMs: number): number {
    return Math.floor((timeMs - this.#offsetMs) / this.stepMs) * this.stepMs + this.#offsetMs;
  }

  locate(timeMs: number): void {
    const slide = this.#slideOf(timeMs);
    const cut = slide + this.#cutMs;
    this.start = timeMs < cut ? slide : cut;
    this.end = timeMs < cut ? cut : slide + this.stepMs;
  }

  startOf(endMs: number): number {
    return endMs - this.#sizeMs;
  }

  lastEnd(paneMs: number): number {
    const last = this.#slideOf(paneMs) + this.#sizeMs;
    return last > paneMs ? last : -Infinity;
  }

  nextEnd(paneMs: number, afterMs: number): number {
    const last = this.#slideOf(paneMs) + this.#sizeMs;
    const bound = Math.max(paneMs, afterMs);
    if (last <= bound) return Infinity;
    return last - (Math.ceil((last - bound) / this.stepMs) - 1) * this.stepMs;
  }
}

class CumulatePanes extends Panes {
  readonly stepMs: number;
  readonly #sizeMs: number;
  readonly #offsetMs: number;

  constructor(sizeMs: number, stepMs: number, offsetMs: number) {
    super();
    this.stepMs = stepMs;
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
  }

  #windowOf(timeMs: number): number {
    return Math.floor((timeMs - this.#offsetMs) / this.#sizeMs) * this.#sizeMs + this.#offsetMs;
  }

  locate(timeMs: number): void {
    const window = this.#windowOf(timeMs);
    this.start = window + Math.floor((timeMs - window) / this.stepMs) * this.stepMs;
    this.end = this.start + this.stepMs;
  }

  startOf(endMs: number): number {
    return this.#windowOf(endMs - 1);
  }

  lastEnd(paneMs: number): number {
    return this.#windowOf(paneMs) + this.#sizeMs;
  }

  nextEnd(paneMs: number, afterMs: number): number {
    const first = paneMs + this.stepMs;
    if (first > afterMs) return first;
    const next = first + (Math.floor((afterMs - first) / this.stepMs) + 1) * this.stepMs;
    return next > this.lastEnd(paneMs) ? Infinity : next;
  }
}

/** The panes of aligned windows. Windows and panes are computed in doubles, so times and bounds must be safe integers or fractions. */
export function panesOf(window: AlignedWindow): Panes {
  const offsetMs = window.offsetMs ?? 0;
  switch (window.kind) {
    case "tumbling":
      return new SlidingPanes(window.sizeMs, window.sizeMs, offsetMs);
    case "sliding":
      return new SlidingPanes(window.sizeMs, window.slideMs, offsetMs);
    case "cumulate":
      return new CumulatePanes(window.sizeMs, window.stepMs, offsetMs);
  }
}
