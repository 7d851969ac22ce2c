// A new version of a job adds and removes aggregates: the windows that are open go on, and what is new counts from then on.
import { expect, test } from "vitest";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { decimal, float64, int53, int64, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import {
  type AggregateCalls,
  avg,
  collect,
  count,
  countDistinct,
  countDistinctApprox,
  custom,
  last,
  max,
  min,
  minBy,
  orNull,
  percentile,
  stringAgg,
  sum,
} from "../aggregate/call.ts";
import { windowAggregate } from "./window-aggregate.ts";
import type { WindowSpec } from "./window-spec.ts";

const input = schema({ k: string(), v: int53(), big: int64(), d: decimal(9, 2), f: float64(), s: string() });
const rowAt = (v: number, timeMs: number): { row: object; timeMs: number } => ({
  row: { k: "a", v, big: BigInt(v), d: new Decimal(BigInt(v), 2), f: v / 2, s: `s${v}` },
  timeMs,
});
const rows = custom({ state: int53(), returns: int53(), create: () => 100, add: (n) => n + 1, merge: (a, b) => a + b, result: (n) => n });
const before: AggregateCalls = { n: count(), gone: sum("v") };
const after: AggregateCalls = {
  n: count(),
  sum: sum("v"),
  sumBig: sum("big"),
  sumD: sum("d"),
  sumF: sum("f"),
  min: min("v"),
  maxBig: max("big"),
  maxD: max("d"),
  minS: min("s"),
  avg: avg("v"),
  distinct: countDistinct("v"),
  about: countDistinctApprox("s"),
  p50: percentile("v", 0.5, { accuracy: 0.0001 }),
  all: collect("v"),
  joined: stringAgg("s"),
  last: last("v"),
  lowest: minBy("s", "v"),
  rows,
};

const windows: readonly WindowSpec[] = [
  { kind: "tumbling", sizeMs: 10 },
  { kind: "sliding", sizeMs: 10, slideMs: 5 },
  { kind: "session", gapMs: 10 },
];

test.each(windows)("aggregates added over a restore count from then on: %j", async (window) => {
  const open = (calls: AggregateCalls, snapshot?: ReturnType<OperatorHarness["snapshot"]>): Promise<OperatorHarness> =>
    OperatorHarness.open({ factory: windowAggregate({ input, key: keyLayout(input, ["k"]), window, calls }), inputs: [input], snapshot });
  const first = await open(before);
  first.push([rowAt(-70, 1), rowAt(-80, 2)]);
  const second = await open(after, first.snapshot());
  await first.close();
  second.push([rowAt(3, 3), rowAt(7, 4), rowAt(3, 2)]).watermark(13);
  const out = second.take().find(({ row }) => row["windowStart"] !== -5)?.row as Record<string, unknown>;
  expect({ ...out, sumD: String(out["sumD"]), maxD: String(out["maxD"]), p50: Math.round(out["p50"] as number) }).toMatchObject({
    n: 5,
    sum: 13,
    sumBig: 13n,
    sumD: "0.13",
    sumF: 6.5,
    min: 3,
    maxBig: 7n,
    maxD: "0.07",
    minS: "s3",
    avg: 13 / 3,
    distinct: 2,
    about: 2,
    p50: 3,
    all: [3, 7, 3],
    joined: "s3,s7,s3",
    last: 7,
    lowest: "s3",
    rows: window.kind === "sliding" ? expect.any(Number) : 103,
  });
  await second.close();
});

const later: AggregateCalls = {
  n: count(),
  min: orNull(min("v")),
  max: orNull(max("f")),
  minS: orNull(min("s")),
  sum: orNull(sum("v")),
  avg: orNull(avg("d")),
  p50: orNull(percentile("v", 0.5)),
  last: orNull(last("big")),
  highest: orNull(minBy("v", "f")),
  joined: orNull(stringAgg("s")),
};
const nothing = { min: null, max: null, minS: null, sum: null, avg: null, p50: null, last: null, highest: null, joined: null };

test.each(windows)(
  "an added aggregate that may be null is null where no row came after the restore, and only there: %j",
  async (window) => {
    const open = (calls: AggregateCalls, snapshot?: ReturnType<OperatorHarness["snapshot"]>): Promise<OperatorHarness> =>
      OperatorHarness.open({ factory: windowAggregate({ input, key: keyLayout(input, ["k"]), window, calls }), inputs: [input], snapshot });
    const outOf = (harness: OperatorHarness): object[] =>
      harness
        .take()
        .filter(({ row }) => row["windowStart"] !== -5)
        .map(({ row }) => Object.fromEntries(Object.keys(later).map((name) => [name, row[name]])));
    const first = await open(before);
    // Key "a" gets rows in two panes of the sliding window, so that nothing is merged with nothing.
    first.push([rowAt(-70, 1), rowAt(-80, 6)]);
    const second = await open(later, first.snapshot());
    await first.close();
    // What the new version writes down goes on to say that there is nothing.
    const third = await open(later, second.snapshot());
    await second.close();
    third.watermark(16);
    expect(outOf(third)[0]).toEqual({ n: 2, ...nothing });
    third.take();
    third.push([rowAt(-3, 41), rowAt(-7, 42)]).watermark(60);
    expect(outOf(third).at(-1)).toMatchObject({
      n: 2,
      min: -7,
      max: -1.5,
      minS: "s-3",
      sum: -10,
      last: -7n,
      highest: -7,
      joined: "s-3,s-7",
    });
    await third.close();
  },
);

test("an aggregate may stop and begin to be null from one version to the next", async () => {
  const window: WindowSpec = { kind: "tumbling", sizeMs: 10 };
  const open = (calls: AggregateCalls, snapshot?: ReturnType<OperatorHarness["snapshot"]>): Promise<OperatorHarness> =>
    OperatorHarness.open({ factory: windowAggregate({ input, key: keyLayout(input, ["k"]), window, calls }), inputs: [input], snapshot });
  const plain: AggregateCalls = { min: min("v"), sum: sum("v"), last: last("v") };
  const nullable: AggregateCalls = { min: orNull(min("v")), sum: orNull(sum("v")), last: orNull(last("v")) };
  const first = await open(nullable);
  first.push([rowAt(4, 1)]);
  const second = await open(plain, first.snapshot());
  await first.close();
  second.push([rowAt(3, 2)]);
  const third = await open(nullable, second.snapshot());
  await second.close();
  third.push([rowAt(5, 3)]).watermark(10);
  expect(third.take().map(({ row }) => [row["min"], row["last"]])).toEqual([[3, 5]]);
  await third.close();
});
