// The number of pods: a table, and what holds whatever the lag is.
import fc from "fast-check";
import { expect, test } from "vitest";
import { scale, type ScaleLimits, type ScaleSeen, usefulReplicas } from "./scaling.ts";

const limits: ScaleLimits = { min: 1, max: 10, threads: 1, lagPerReplica: 1000, cooldownMs: 60_000, downAfterMs: 300_000 };
const nowMs = 10_000_000;
const seen = (its: Partial<ScaleSeen>): ScaleSeen => ({
  ...{ nowMs, current: 1, tasks: 12, lag: 0, settled: true, lastScaledMs: undefined, lowSinceMs: undefined },
  ...its,
});

test.each<[string, Partial<ScaleSeen>, Partial<ScaleLimits>, number]>([
  ["no lag, the fewest", {}, {}, 1],
  ["lag wants one step more", { lag: 9000 }, {}, 2],
  ["a step is one that spares the most loaded pod", { current: 4, lag: 9000 }, {}, 6],
  ["five pods would share twelve tasks no better than four", { current: 4, lag: 5000 }, {}, 4],
  ["never more than get work, whatever the lag", { current: 4, tasks: 4, lag: 1e9 }, {}, 4],
  ["threads count as pods", { current: 2, tasks: 4, lag: 1e9 }, { threads: 2 }, 2],
  ["too many are taken away at once", { current: 9, tasks: 4 }, {}, 4],
  ["too few are added at once", { current: 1 }, { min: 3 }, 3],
  ["not while pods restore", { lag: 9000, settled: false }, {}, 1],
  ["not within the cooldown", { lag: 9000, lastScaledMs: nowMs - 59_999 }, {}, 1],
  ["not fewer before the lag was low for long", { current: 4, lowSinceMs: nowMs - 299_999 }, {}, 4],
  ["fewer after", { current: 4, lowSinceMs: nowMs - 300_000 }, {}, 3],
  ["not fewer when the rest could not hold it", { current: 4, lag: 1501, lowSinceMs: 0 }, {}, 4],
  ["not without knowing the lag", { current: 4, lag: undefined, lowSinceMs: 0 }, {}, 4],
  ["to nothing where that is allowed", { current: 1, lowSinceMs: 0 }, { min: 0 }, 0],
  ["from nothing", { current: 0, lag: 1 }, { min: 0 }, 1],
])("%s", (_name, its, more, replicas) => {
  expect(scale(seen(its), { ...limits, ...more }).replicas).toBe(replicas);
});

test("whatever is seen: within the limits, never above what gets work, one step that the cooldown allows", () => {
  fc.assert(
    fc.property(
      fc.record({
        current: fc.integer({ min: 0, max: 30 }),
        tasks: fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }),
        lag: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
        settled: fc.boolean(),
        lastScaledMs: fc.option(fc.integer({ min: 0, max: nowMs }), { nil: undefined }),
        lowSinceMs: fc.option(fc.integer({ min: 0, max: nowMs }), { nil: undefined }),
      }),
      fc.record({ min: fc.integer({ min: 0, max: 5 }), more: fc.integer({ min: 1, max: 20 }), threads: fc.integer({ min: 1, max: 4 }) }),
      (its, { min, more, threads }) => {
        const own = { ...limits, min, max: min + more, threads };
        const { replicas } = scale(seen(its), own);
        const useful = its.tasks === undefined || its.tasks === 0 ? own.max : usefulReplicas(its.tasks, threads);
        const [least, most] = [Math.min(min, Math.min(own.max, useful)), Math.min(own.max, useful)];
        expect(replicas).toBeGreaterThanOrEqual(least);
        expect(replicas).toBeLessThanOrEqual(most);
        if (its.current < least || its.current > most || replicas === its.current) return;
        expect(its.settled).toBe(true);
        expect(nowMs - (its.lastScaledMs ?? 0)).toBeGreaterThanOrEqual(own.cooldownMs);
        if (replicas < its.current) {
          expect(nowMs - (its.lowSinceMs ?? nowMs)).toBeGreaterThanOrEqual(own.downAfterMs);
          expect(its.lag).toBeLessThanOrEqual((own.lagPerReplica * replicas) / 2);
        } else expect(its.lag).toBeGreaterThan(its.current * own.lagPerReplica - own.lagPerReplica);
      },
    ),
  );
});
