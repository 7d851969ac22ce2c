// How many executors there should be: never outside the limits, more only behind the load, fewer only after the time that they must have been idle.
import type { ExecutorAllocation } from "millrace/api";
import fc from "fast-check";
import { expect, test } from "vitest";
import { allocate, type Load } from "./allocation.ts";

const at = (ms: number): string => new Date(ms).toISOString();
const limits = { min: 1, max: 8, idleMs: 60_000 };
const batch = (atMs: number, durationMs: number, backlog = 0): Load["batch"] => ({
  id: 1,
  completedAt: at(atMs),
  durationMs,
  inputRows: 100,
  backlog,
});
const load = (nowMs: number, durationMs: number, backlog = 0): Load => ({
  nowMs,
  running: true,
  idle: false,
  batch: batch(nowMs, durationMs, backlog),
  triggerMs: 1000,
});
const now = 1_000_000;

test.each<[string, ExecutorAllocation | undefined, Load, Partial<ExecutorAllocation>]>([
  ["begins with the fewest", undefined, load(now, 100), { executors: 1 }],
  ["a batch longer than its trigger wants more", { executors: 2, since: at(0) }, load(now, 1200), { executors: 4 }],
  ["records that pile up want more", { executors: 2, since: at(0) }, load(now, 100, 101), { executors: 3 }],
  ["never above the most", { executors: 8, since: at(0) }, load(now, 5000, 9999), { executors: 8 }],
  ["a batch from before the last change says nothing", { executors: 2, since: at(now) }, load(now, 5000), { executors: 2 }],
  ["little to do is noted", { executors: 4, since: at(0) }, load(now, 100), { executors: 4, lowSince: at(now) }],
  ["and followed after its time", { executors: 4, since: at(0), lowSince: at(now - 60_000) }, load(now, 100), { executors: 3 }],
  ["not before", { executors: 4, since: at(0), lowSince: at(now - 59_999) }, load(now, 100), { executors: 4 }],
  ["one fewer that would not do is kept", { executors: 2, since: at(0), lowSince: at(0) }, load(now, 500), { executors: 2 }],
  ["other limits count at once", { executors: 20, since: at(0) }, load(now, 100), { executors: 8, since: at(now) }],
])("%s", (_name, before, its, expected) => {
  expect(allocate(before, its, limits)).toMatchObject(expected);
});

test("whatever the load: within the limits, at most twice as many, and one fewer only after the idle time", () => {
  fc.assert(
    fc.property(
      fc.record({
        executors: fc.integer({ min: 0, max: 40 }),
        sinceMs: fc.integer({ min: 0, max: now }),
        lowMs: fc.option(fc.integer({ min: 0, max: now }), { nil: undefined }),
        durationMs: fc.integer({ min: 0, max: 10_000 }),
        backlog: fc.integer({ min: 0, max: 1000 }),
        triggerMs: fc.constantFrom(0, 1000),
        idle: fc.boolean(),
        running: fc.boolean(),
        min: fc.integer({ min: 0, max: 5 }),
        more: fc.integer({ min: 0, max: 20 }),
      }),
      ({ executors, sinceMs, lowMs, durationMs, backlog, triggerMs, idle, running, min, more }) => {
        const max = min + more;
        const before = { executors, since: at(sinceMs), ...(lowMs === undefined ? {} : { lowSince: at(lowMs) }) };
        const after = allocate(before, { ...load(now, durationMs, backlog), triggerMs, idle, running }, { min, max, idleMs: 60_000 });
        expect(after.executors).toBeGreaterThanOrEqual(min);
        expect(after.executors).toBeLessThanOrEqual(max);
        if (executors < min || executors > max) return;
        expect(after.executors).toBeLessThanOrEqual(Math.max(1, executors * 2));
        expect(after.executors).toBeGreaterThanOrEqual(executors - 1);
        if (after.executors < executors) expect(now - (lowMs ?? now)).toBeGreaterThanOrEqual(60_000);
        if (after.executors > executors) expect(running && !idle).toBe(true);
      },
    ),
  );
});
