// Watermarks of a source: bounds, the least of the active splits, idleness, alignment, what a snapshot brings back.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runSeed } from "../../../../test/reference/random.ts";
import { SplitWatermarks } from "./split-watermarks.ts";
import { boundedOutOfOrderness, customWatermarks, monotonic, noWatermarks } from "./watermark-strategy.ts";

const seed = runSeed();

function of(
  strategy: ConstructorParameters<typeof SplitWatermarks>[0],
  splits: readonly string[] = ["a", "b"],
  nowMs = 0,
): SplitWatermarks {
  const made = new SplitWatermarks(strategy);
  for (const split of splits) made.add(split, nowMs);
  return made;
}

describe("the watermark of one split", () => {
  test("stays behind the greatest time by the bound and one more", () => {
    const watermarks = of(boundedOutOfOrderness(100), ["a"]);
    watermarks.advance("a", 1000, 0);
    expect(watermarks.current(0)).toBe(899);
    watermarks.advance("a", 700, 0);
    expect(watermarks.current(0)).toBe(899);
  });

  test("is the last time less one when times are monotonic, and never there without a strategy", () => {
    const ascending = of(monotonic(), ["a"]);
    ascending.advance("a", 50, 0);
    expect(ascending.current(0)).toBe(49);
    const never = of(noWatermarks(), ["a"]);
    never.advance("a", 50, 0);
    expect(never.current(0)).toBe(-Infinity);
  });

  test("comes from a generator of the user's own, one per split", () => {
    let made = 0;
    const watermarks = of(
      customWatermarks(() => {
        made++;
        let greatest = -Infinity;
        return { onBatch: (maxTimeMs) => void (greatest = maxTimeMs), current: () => greatest * 10 };
      }),
    );
    watermarks.advance("a", 3, 0);
    watermarks.advance("b", 2, 0);
    expect([made, watermarks.current(0)]).toEqual([2, 20]);
  });
});

describe("several splits", () => {
  test("the slowest active one decides, and a split that joins late does not turn time back", () => {
    const watermarks = of(monotonic());
    watermarks.advance("a", 1000, 0);
    expect(watermarks.current(0)).toBe(-Infinity);
    watermarks.advance("b", 501, 0);
    expect(watermarks.current(0)).toBe(500);
    watermarks.add("c", 0);
    watermarks.advance("c", 11, 0);
    expect(watermarks.current(0)).toBe(500);
  });

  test("a silent split is idle after its time, holds nobody back, and counts again with its next row", () => {
    const watermarks = of(monotonic({ idleAfter: 1000 }));
    watermarks.advance("a", 101, 0);
    watermarks.advance("b", 51, 0);
    watermarks.advance("a", 501, 999);
    expect(watermarks.current(999)).toBe(50);
    expect(watermarks.current(1000)).toBe(500);
    expect(watermarks.stateOf("b")).toBe("idle");
    watermarks.advance("b", 301, 1500);
    watermarks.advance("a", 901, 1500);
    expect(watermarks.current(1500)).toBe(500);
    watermarks.advance("b", 701, 1500);
    expect(watermarks.current(1500)).toBe(700);
  });

  test("all idle: time stands still and the source says that it is idle", () => {
    const watermarks = of(monotonic({ idleAfter: 10 }));
    watermarks.advance("a", 101, 0);
    watermarks.advance("b", 51, 0);
    expect(watermarks.current(5)).toBe(50);
    expect(watermarks.idle(5)).toBe(false);
    expect(watermarks.idle(10)).toBe(true);
    expect(watermarks.current(10)).toBe(50);
  });

  test("waiting for room downstream is not idleness", () => {
    const watermarks = of(monotonic({ idleAfter: 1000 }));
    watermarks.advance("a", 101, 0);
    watermarks.advance("b", 51, 0);
    watermarks.excuse(5000);
    expect(watermarks.current(5500)).toBe(50);
    expect(watermarks.stateOf("b")).toBe("active");
    watermarks.advance("a", 901, 6000);
    expect(watermarks.current(6000)).toBe(900);
  });

  test("a finished split holds nobody back and stays finished", () => {
    const watermarks = of(monotonic());
    watermarks.advance("a", 101, 0);
    watermarks.finish("b");
    watermarks.finish("b");
    expect(watermarks.current(0)).toBe(100);
    expect(watermarks.idle(0)).toBe(false);
    watermarks.finish("a");
    expect(watermarks.idle(0)).toBe(true);
  });

  test("a split that waits for its turn is never idle, and holds the others back until it has begun", () => {
    const watermarks = of(monotonic({ idleAfter: 1000 }), ["a"]);
    watermarks.add("b", 0, -Infinity, "waiting");
    watermarks.advance("a", 101, 0);
    watermarks.advance("a", 201, 5000);
    expect([watermarks.current(5000), watermarks.stateOf("b")]).toEqual([-Infinity, "waiting"]);
    // Idle at last is who was read and said nothing: time stands still, but not as if nothing were to come.
    expect([watermarks.idle(6000), watermarks.stateOf("a")]).toEqual([false, "idle"]);
    watermarks.begin("b", 6000);
    expect(watermarks.idle(6999)).toBe(false);
    expect(watermarks.idle(7000)).toBe(true);
    watermarks.advance("b", 51, 7000);
    watermarks.advance("a", 301, 7000);
    expect(watermarks.current(7000)).toBe(50);
  });

  test("a split that waits holds nobody back where splits follow each other in time, and time stands still between two of them", () => {
    const watermarks = new SplitWatermarks(monotonic({ idleAfter: 1000 }), { inTimeOrder: true });
    watermarks.add("a", 0, -Infinity, "waiting");
    watermarks.add("b", 0, -Infinity, "waiting");
    expect([watermarks.current(9000), watermarks.idle(9000)]).toEqual([-Infinity, false]);
    watermarks.begin("a", 9000);
    watermarks.advance("a", 101, 9000);
    expect(watermarks.current(9000)).toBe(100);
    watermarks.finish("a");
    expect([watermarks.current(99_000), watermarks.idle(99_000)]).toEqual([100, false]);
    watermarks.begin("b", 99_000);
    expect(watermarks.current(99_000)).toBe(100);
    watermarks.advance("b", 151, 99_000);
    expect(watermarks.current(99_000)).toBe(150);
  });

  test("a split that waits may end without having begun, and one that was restored holds the others at what it had reached", () => {
    const watermarks = of(monotonic(), ["a"]);
    watermarks.add("b", 0, 70, "waiting");
    watermarks.advance("a", 101, 0);
    expect(watermarks.current(0)).toBe(70);
    watermarks.finish("b");
    expect(watermarks.current(0)).toBe(100);
  });

  test("alignment pauses the splits too far ahead, until the slowest has caught up, and does not call them idle", () => {
    const watermarks = of(monotonic({ maxDrift: 100, idleAfter: 1000 }), ["a", "b", "c"]);
    watermarks.advance("a", 1001, 0);
    expect([...watermarks.pausedSplits(0)]).toEqual([]);
    watermarks.advance("b", 801, 0);
    watermarks.advance("c", 899, 0);
    expect([...watermarks.pausedSplits(0)]).toEqual(["a"]);
    watermarks.advance("b", 850, 900);
    watermarks.advance("c", 851, 900);
    expect([...watermarks.pausedSplits(1800)]).toEqual(["a"]);
    expect(watermarks.stateOf("a")).toBe("active");
    watermarks.advance("b", 901, 1850);
    watermarks.advance("c", 951, 1850);
    expect([...watermarks.pausedSplits(1850)]).toEqual([]);
    expect([...watermarks.pausedSplits(1850, 849)]).toEqual(["a", "c"]);
  });

  test("a snapshot's watermarks are not gone back behind", () => {
    const first = of(boundedOutOfOrderness(0));
    first.advance("a", 501, 0);
    first.advance("b", 401, 0);
    const second = new SplitWatermarks(boundedOutOfOrderness(0));
    for (const [split, timeMs] of first.bySplit()) second.add(split, 0, timeMs);
    expect(second.current(0)).toBe(400);
    second.advance("b", 300, 0);
    expect(second.current(0)).toBe(400);
    expect(new Map(second.bySplit())).toEqual(
      new Map([
        ["a", 500],
        ["b", 400],
      ]),
    );
  });
});

test(`equals a plain computation over the whole history (seed ${seed})`, () => {
  const step = fc.record({
    split: fc.constantFrom("a", "b", "c"),
    what: fc.constantFrom("row", "row", "row", "wait", "finish"),
    timeMs: fc.integer({ min: 0, max: 1000 }),
    waitMs: fc.integer({ min: 0, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 50 }), (steps, bound) => {
      const watermarks = of(boundedOutOfOrderness(bound, { idleAfter: 100 }), ["a", "b", "c"]);
      const finished = new Set<string>();
      const rows: { split: string; timeMs: number; atMs: number }[] = [];
      let nowMs = 0;
      let expected = -Infinity;
      for (const { split, what, timeMs, waitMs } of steps) {
        if (what === "wait") nowMs += waitMs;
        else if (finished.has(split)) continue;
        else if (what === "finish") {
          finished.add(split);
          watermarks.finish(split);
        } else {
          rows.push({ split, timeMs, atMs: nowMs });
          watermarks.advance(split, timeMs, nowMs);
        }
        const active = ["a", "b", "c"].filter(
          (name) => !finished.has(name) && nowMs - Math.max(0, ...rows.filter((row) => row.split === name).map((row) => row.atMs)) < 100,
        );
        const times = active.map(
          (name) => Math.max(-Infinity, ...rows.filter((row) => row.split === name).map((row) => row.timeMs)) - bound - 1,
        );
        if (times.length > 0) expected = Math.max(expected, Math.min(...times));
        expect(watermarks.current(nowMs)).toBe(expected);
        expect(watermarks.idle(nowMs)).toBe(active.length === 0);
      }
    }),
    { numRuns: 300, seed },
  );
});
