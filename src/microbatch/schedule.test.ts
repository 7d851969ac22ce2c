// When runs are due: the latest time that was missed and the next one, over time zones, summer time and long absences.
import { expect, test } from "vitest";
import { dueTimes } from "./schedule.ts";

const utc = (text: string): number => Date.parse(`${text}Z`);
const due = (cron: string, zone: string, after: string, now: string): readonly (string | undefined)[] => {
  const { missedMs, nextMs } = dueTimes(cron, zone, utc(after), utc(now));
  return [missedMs, nextMs].map((ms) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16)));
};

test.each<[string, string, string, string, string | undefined, string]>([
  ["nothing is due yet", "30 2 * * *", "2026-03-01T02:30:00", "2026-03-01T12:00:00", undefined, "2026-03-02T02:30"],
  ["due just now", "30 2 * * *", "2026-03-01T02:30:00", "2026-03-02T02:30:00", "2026-03-02T02:30", "2026-03-03T02:30"],
  [
    "after a long absence only the latest",
    "*/5 * * * *",
    "2026-01-01T00:00:00",
    "2026-03-01T12:02:00",
    "2026-03-01T12:00",
    "2026-03-01T12:05",
  ],
  ["once a year", "0 0 1 1 *", "2024-06-01T00:00:00", "2026-03-01T00:00:00", "2026-01-01T00:00", "2027-01-01T00:00"],
])("%s", (_name, cron, after, now, missed, next) => {
  expect(due(cron, "Etc/UTC", after, now)).toEqual([missed, next]);
});

test("a time zone counts, also over the change to summer time", () => {
  // 2026-03-29: clocks go from 02:00 to 03:00 in Vienna.
  expect(due("0 4 * * *", "Europe/Vienna", "2026-03-28T03:00:00", "2026-03-28T12:00:00")).toEqual([undefined, "2026-03-29T02:00"]);
  expect(due("0 4 * * *", "Europe/Vienna", "2026-03-28T03:00:00", "2026-03-29T02:00:00")).toEqual(["2026-03-29T02:00", "2026-03-30T02:00"]);
});

test("what is no cron expression, or no time zone, is said", () => {
  expect(() => dueTimes("61 * * * *", "Etc/UTC", 0, 0)).toThrow("Invalid value for minute: 61");
  expect(() => dueTimes("* * * * * *", "Etc/UTC", 0, 0)).toThrow("requires exactly 5 parts");
  expect(() => dueTimes("* * * * *", "Europe/Atlantis", 0, 0)).toThrow("Europe/Atlantis");
});
