// Durations as people write them: `"10 s"`, `"1 h 30 min"`, or milliseconds as a number.
import { MillraceError } from "./errors.ts";

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const part = /^\s*(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h|d)\s*/;

/** Milliseconds of a duration; throws OPTION_INVALID naming `option` for anything that is not one, or is negative. */
export function parseDuration(value: number | string, option: string): number {
  if (typeof value === "number") {
    if (value >= 0 && !Number.isNaN(value)) return value;
  } else {
    let rest = value;
    let totalMs = 0;
    while (rest !== "") {
      const match = part.exec(rest);
      if (match === null) break;
      totalMs += Number(match[1]) * (unitsMs[match[2] as string] as number);
      rest = rest.slice(match[0].length);
    }
    if (rest === "" && value !== "") return totalMs;
  }
  throw new MillraceError(
    "OPTION_INVALID",
    `option ${option}`,
    `"${value}" is not a duration`,
    'give milliseconds or text such as "10 s" or "1 h 30 min"',
  );
}

/** A duration for people: `1.5 s`, `2 min`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return ms > 0 ? "never" : "-";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}
