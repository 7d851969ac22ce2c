// Interval joins against DuckDB, with late rows, restarts and rescaling.
import fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, type Duck, openDuck, play, seed } from "../../../../test/reference/operator-scenarios.ts";
import { intervalJoin } from "./interval-join.ts";
import { joinFields } from "./join-fields.ts";
import { duckColumns, duckRows, left, leftKey, right, rightKey, scenario } from "../../../../test/reference/join-scenarios.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const bounds = fc
  .oneof(fc.tuple(fc.integer({ min: -4, max: 2 }), fc.nat(4)), fc.tuple(fc.integer({ min: -25, max: 25 }), fc.nat(20)))
  .map(([lower, width]) => ({ lowerMs: lower, upperMs: lower + width }));

test(`every pair within the interval, and every row without one, as DuckDB finds them (seed ${seed})`, async () => {
  const cases = fc.record({
    type: fc.constantFrom("inner" as const, "left" as const, "right" as const, "full" as const),
    bounds,
    scenario,
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ type, bounds: { lowerMs, upperMs }, scenario: { steps, arrivals } }) => {
      const { output, fields } = joinFields(left, right, type, { rightPrefix: "r_" });
      const factory = intervalJoin({
        left,
        right,
        leftKey,
        rightKey,
        output,
        select: { kind: "fields", fields },
        type,
        lowerMs,
        upperMs,
        lateLeft: "late-left",
        lateRight: "late-right",
      });
      const options = { factory, inputs: [left, right], keys: [leftKey, rightKey], parallelism: 2 };
      const played = await play(options, steps, ["late-left", "late-right"]);
      const expected = await duck(
        { l: { columns: duckColumns, rows: duckRows(arrivals, 0) }, r: { columns: duckColumns, rows: duckRows(arrivals, 1) } },
        `SELECT l.id AS v, r.id AS w, greatest(l.t, r.t) AS t
         FROM (SELECT * FROM l WHERE t > wm) l ${type} JOIN (SELECT * FROM r WHERE t > wm) r
         ON l.k = r.k AND r.t BETWEEN l.t + (${lowerMs}) AND l.t + (${upperMs})`,
      );
      expect(bag(played.rows.map(({ row, timeMs }) => ({ v: row["v"] ?? null, w: row["r_w"] ?? null, t: timeMs })))).toEqual(bag(expected));
      const late = [...played.side("late-left"), ...played.side("late-right")].map(({ row }) => row["v"] ?? row["w"]);
      expect(bag(late)).toEqual(bag(arrivals.filter((row) => row.timeMs <= row.watermarkMs).map((row) => row.id)));
    }),
    { numRuns: 110, seed },
  );
});

test("an interval that was changed goes on with the rows of the old one", async () => {
  const { output, fields } = joinFields(left, right, "inner", { rightPrefix: "r_" });
  const factory = (upperMs: number): ReturnType<typeof intervalJoin> =>
    intervalJoin({ left, right, leftKey, rightKey, output, select: { kind: "fields", fields }, type: "inner", lowerMs: 0, upperMs });
  const options = { inputs: [left, right], keys: [leftKey, rightKey] };
  const first = await HarnessGroup.open({ ...options, factory: factory(100) });
  first.push([{ row: { k: "a", v: 1 }, timeMs: 1000 }]).watermark(1010);
  const snapshot = first.snapshot();
  await first.close();
  const second = await HarnessGroup.open({ ...options, factory: factory(40), snapshot });
  const candidates = [1039, 1040, 1041].map((timeMs) => ({ row: { k: "a", w: timeMs }, timeMs }));
  second.watermark(1010).push(candidates, 1);
  expect(second.take().map(({ row }) => row["r_w"])).toEqual([1039, 1040]);
  await second.close();
});

test("nothing is kept once nothing can match it", async () => {
  const { output, fields } = joinFields(left, right, "full", { rightPrefix: "r_" });
  const factory = intervalJoin({
    left,
    right,
    leftKey,
    rightKey,
    output,
    select: { kind: "fields", fields },
    type: "full",
    lowerMs: -5,
    upperMs: 20,
  });
  const tables: KeyedMultiTable[] = [];
  const timers: Timers[] = [];
  const harness = await OperatorHarness.open({
    factory: (context) =>
      factory({
        ...context,
        keyed: {
          table: (spec) => context.keyed.table(spec),
          multiTable: (spec) => remember(tables, context.keyed.multiTable(spec)),
          timers: (...made) => remember(timers, context.keyed.timers(...made)),
        },
      }),
    inputs: [left, right],
  });
  const kept = (): number[] => [...tables, ...timers].map(({ size }) => size);
  for (let n = 0; n < 50; n++)
    harness.push([{ row: { k: `k${n % 3}`, v: n }, timeMs: n }], 0).push([{ row: { k: `k${n % 5}`, w: n }, timeMs: n }], 1);
  expect(kept().every((size) => size > 0)).toBe(true);
  harness.watermark(49 + 20);
  expect(kept()).toEqual([0, 0, 0, 0]);
  await harness.close();
});

function remember<T>(list: T[], value: T): T {
  list.push(value);
  return value;
}
