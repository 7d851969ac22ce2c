// How long a group of a frame aggregate lives in event time: as its window does, as the time in its key does, or for ever.
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";

/**
 * `window`: groups belong to windows of one size; the input's bound column holds the window's start.
 * `time`: the grouping has a field of event time in it; the bound column holds that instant.
 * `always`: nothing bounds a group; the bound column holds 0.
 */
export type GroupLife =
  | { readonly kind: "window"; readonly sizeMs: number; readonly start: string; readonly end: string }
  | { readonly kind: "time"; readonly field: string; readonly spec: FieldSpec }
  | { readonly kind: "always" };

/** The namespace in state that holds a group: the end of its window, its instant, or 0. */
export function namespaceOf(life: GroupLife, boundMs: number): number {
  return life.kind === "window" ? boundMs + life.sizeMs : boundMs;
}

/** The last namespace whose groups are complete when no row at or before `watermarkMs` is to come. */
export function completeUpTo(life: GroupLife, watermarkMs: number): number {
  switch (life.kind) {
    case "window":
      // A window does not hold its end.
      return watermarkMs + 1;
    case "time":
      return watermarkMs;
    case "always":
      // The end of the input completes everything.
      return watermarkMs >= endOfTime ? Infinity : -Infinity;
  }
}
