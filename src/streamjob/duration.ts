// Durations of manifests, in the runtime's notation.

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const part = /^\s*(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h|d)\s*/;

/** Milliseconds, or undefined for what is no duration. */
export function durationMs(value: number | string): number | undefined {
  if (typeof value === "number") return value >= 0 ? value : undefined;
  let rest = value;
  let totalMs = 0;
  while (rest !== "") {
    const match = part.exec(rest);
    if (match === null) return undefined;
    totalMs += Number(match[1]) * (unitsMs[match[2] ?? ""] ?? 0);
    rest = rest.slice(match[0].length);
  }
  return value === "" ? undefined : totalMs;
}
