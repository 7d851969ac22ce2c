// How far event time was at a committed offset, as text beside the offset: one time for a source's partition, one per upstream task for a repartition topic.
import type { ChannelTime } from "../exchange/repartition-input.ts";

const version = "1";
// Brokers take 4,096 bytes by default.
const mostBytes = 4000;

/** Times are kept as distances from the first one, in base 36; `-` stands for none, a trailing `~` for idle. */
export function encodeTimes(times: readonly ChannelTime[]): string {
  const base = times.find((each) => Number.isFinite(each.watermarkMs))?.watermarkMs ?? 0;
  const parts = times.map(({ watermarkMs, idle }) => {
    // Half a millisecond too early is safe, too late is not.
    const time = Number.isFinite(watermarkMs) ? (Math.floor(watermarkMs) - Math.floor(base)).toString(36) : "-";
    return idle ? `${time}~` : time;
  });
  const text = [version, Math.floor(base).toString(36), ...parts].join(",");
  // Without times windows close later after a restart, never too early.
  return text.length <= mostBytes ? text : "";
}

/** What was not written by `encodeTimes` counts as no times. */
export function decodeTimes(text: string): readonly ChannelTime[] {
  const [found, base, ...parts] = text.split(",");
  if (found !== version || base === undefined) return [];
  const baseMs = Number.parseInt(base, 36);
  return parts.map((part) => {
    const idle = part.endsWith("~");
    const time = idle ? part.slice(0, -1) : part;
    const watermarkMs = time === "-" ? -Infinity : baseMs + Number.parseInt(time, 36);
    return { watermarkMs: Number.isNaN(watermarkMs) ? -Infinity : watermarkMs, idle };
  });
}
