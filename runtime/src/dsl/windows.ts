// The windows of the DSL: `tumbling("10 s")` and the others, as the plain specs that operators take.
import { parseDuration } from "../base/duration.ts";
import type {
  CountWindow,
  CumulateWindow,
  GlobalWindow,
  SessionWindow,
  SlidingWindow,
  TumblingWindow,
} from "../operators/window/window-spec.ts";

/** A length of time: ms, or text such as `"10 s"`. */
export type Duration = number | string;

/** Windows of one size, side by side; `offset` shifts their starts. */
export function tumbling(size: Duration, options: { readonly offset?: Duration } = {}): TumblingWindow {
  return { kind: "tumbling", sizeMs: parseDuration(size, "size"), ...offsetOf(options) };
}

/** Windows of one size, one starting every `slide`. */
export function sliding(size: Duration, slide: Duration, options: { readonly offset?: Duration } = {}): SlidingWindow {
  return { kind: "sliding", sizeMs: parseDuration(size, "size"), slideMs: parseDuration(slide, "slide"), ...offsetOf(options) };
}

/** Per key, rows that are at most `gap` apart are in one window. */
export function session(gap: Duration): SessionWindow {
  return { kind: "session", gapMs: parseDuration(gap, "gap") };
}

/** Windows that grow by `step` up to `size`: results so far, at every step. */
export function cumulate(size: Duration, step: Duration, options: { readonly offset?: Duration } = {}): CumulateWindow {
  return { kind: "cumulate", sizeMs: parseDuration(size, "size"), stepMs: parseDuration(step, "step"), ...offsetOf(options) };
}

/** One window for all time; it gives results by its trigger. */
export function globalWindow(): GlobalWindow {
  return { kind: "global" };
}

/** Per key, every `size` rows; with a slide, the last `size` rows every `slide` rows. */
export function countWindow(size: number, slide?: number): CountWindow {
  return { kind: "count", size, ...(slide === undefined ? {} : { slide }) };
}

function offsetOf(options: { readonly offset?: Duration }): { readonly offsetMs?: number } {
  return options.offset === undefined ? {} : { offsetMs: parseDuration(options.offset, "offset") };
}
