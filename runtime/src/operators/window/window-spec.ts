// Windows as plain JSON: what a plan holds, and what is checked before a job starts.
import { MillraceError } from "../../base/errors.ts";

/** Windows of one size, side by side. A window holds its start and not its end; starts are multiples of the size plus the offset. */
export interface TumblingWindow {
  readonly kind: "tumbling";
  readonly sizeMs: number;
  readonly offsetMs?: number;
}

/** Windows of one size, one starting every `slideMs`. They overlap where the slide is smaller than the size. */
export interface SlidingWindow {
  readonly kind: "sliding";
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs?: number;
}

/** Per key: rows that are at most `gapMs` apart, directly or through others, are in one window. It ends a gap after its last row. */
export interface SessionWindow {
  readonly kind: "session";
  readonly gapMs: number;
}

/** Windows that grow from one start by steps up to the size, where the next start is: results so far, at every step. */
export interface CumulateWindow {
  readonly kind: "cumulate";
  readonly sizeMs: number;
  readonly stepMs: number;
  readonly offsetMs?: number;
}

/** One window for all time: it gives results only by a trigger. */
export interface GlobalWindow {
  readonly kind: "global";
}

/** Per key: every `size` rows; with a slide, the last `size` rows every `slide` rows. */
export interface CountWindow {
  readonly kind: "count";
  readonly size: number;
  readonly slide?: number;
}

export type AlignedWindow = TumblingWindow | SlidingWindow | CumulateWindow;
export type WindowSpec = AlignedWindow | SessionWindow | GlobalWindow | CountWindow;

/** How many windows one row may be in: a limit against specs that cost more than they tell. */
const windowsPerRowMax = 100_000;

/** True for windows whose bounds are the same for all keys. */
export function isAligned(window: WindowSpec): window is AlignedWindow {
  return window.kind === "tumbling" || window.kind === "sliding" || window.kind === "cumulate";
}

/** True for windows that have a start and an end in time, and so give the fields for them. */
export function hasBounds(window: WindowSpec): boolean {
  return isAligned(window) || window.kind === "session";
}

/** Throws WINDOW_INVALID for a spec that cannot be. */
export function checkWindow(window: WindowSpec): void {
  switch (window.kind) {
    case "tumbling":
      checkLength(window.kind, "sizeMs", window.sizeMs);
      checkOffset(window.kind, window.offsetMs);
      return;
    case "sliding":
      checkLength(window.kind, "sizeMs", window.sizeMs);
      checkLength(window.kind, "slideMs", window.slideMs);
      checkOffset(window.kind, window.offsetMs);
      checkCount(window.kind, window.sizeMs / window.slideMs);
      return;
    case "cumulate":
      checkLength(window.kind, "sizeMs", window.sizeMs);
      checkLength(window.kind, "stepMs", window.stepMs);
      checkOffset(window.kind, window.offsetMs);
      if (window.sizeMs % window.stepMs !== 0)
        invalid(window.kind, "its size is not a multiple of its step", "choose a step that divides the size");
      checkCount(window.kind, window.sizeMs / window.stepMs);
      return;
    case "session":
      checkLength(window.kind, "gapMs", window.gapMs);
      return;
    case "count":
      checkLength(window.kind, "size", window.size);
      if (window.slide !== undefined) {
        checkLength(window.kind, "slide", window.slide);
        checkCount(window.kind, window.size / window.slide);
      }
      return;
    case "global":
      return;
  }
}

function checkLength(kind: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) invalid(kind, `its ${name} is ${value}`, "give a positive whole number");
}

function checkOffset(kind: string, value: number | undefined): void {
  if (value !== undefined && !Number.isSafeInteger(value)) invalid(kind, `its offsetMs is ${value}`, "give a whole number");
}

function checkCount(kind: string, windows: number): void {
  if (windows > windowsPerRowMax) invalid(kind, `a row would be in ${Math.ceil(windows)} windows`, `keep it to ${windowsPerRowMax}`);
}

function invalid(kind: string, problem: string, next: string): never {
  throw new MillraceError("WINDOW_INVALID", `${kind} window`, problem, next);
}
