// The watermark that follows the last row of a bounded input: no time is beyond it.

export const endOfTime: number = Number.MAX_SAFE_INTEGER;

/** A watermark that comes `byMs` later than `timeMs` would; the end of time is not put off. */
export function delayedWatermark(timeMs: number, byMs: number): number {
  return timeMs >= endOfTime ? timeMs : timeMs - byMs;
}
