// When runs are due by a cron expression in a time zone, also over the changes of summer time.
import { Cron } from "croner";
import type { DueSeen } from "./observed.ts";

const hour = 3_600_000;
/** How far to look back, from near to far: the first window that holds a time holds the latest one. */
const windowsMs = [60_000, hour, 24 * hour, 32 * 24 * hour, 400 * 24 * hour];
/** More times than this in one window cannot be: cron knows no seconds here. */
const maxTimes = 1500;

/** `afterMs`: times up to this have been served. Throws for an expression or a time zone that is none. */
export function dueTimes(cron: string, timeZone: string, afterMs: number, nowMs: number): DueSeen {
  const pattern = new Cron(cron, { timezone: timeZone, mode: "5-part", paused: true });
  const following = (fromMs: number): number | undefined => pattern.nextRun(new Date(fromMs))?.getTime();
  return { missedMs: latestUntil(following, afterMs, nowMs), nextMs: following(nowMs) };
}

function latestUntil(following: (fromMs: number) => number | undefined, afterMs: number, nowMs: number): number | undefined {
  for (const windowMs of windowsMs) {
    const fromMs = Math.max(afterMs, nowMs - windowMs);
    let latest: number | undefined;
    let next = following(fromMs);
    for (let times = 0; next !== undefined && next <= nowMs && times < maxTimes; times++) {
      latest = next;
      next = following(next);
    }
    if (latest !== undefined || fromMs === afterMs) return latest;
  }
  return undefined;
}
