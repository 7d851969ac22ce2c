// Aggregate functions one by one: exactness, what they refuse, sketches within their documented error, custom ones.
import { LogarithmicMapping } from "@datadog/sketches-js/dist/ddsketch/mapping/index.js";
import { describe, expect, test } from "vitest";
import { Random, runSeed } from "../../../../test/reference/random.ts";
import { isMillraceError } from "../../base/errors.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import {
  any,
  boolean,
  bytes,
  decimal,
  enumeration,
  float64,
  int32,
  int53,
  int64,
  list,
  string,
  timestampNanos,
} from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import {
  type AggregateCalls,
  avg,
  collect,
  collectSet,
  count,
  countDistinct,
  countDistinctApprox,
  custom,
  first,
  last,
  max,
  maxBy,
  min,
  minBy,
  percentile,
  stringAgg,
  sum,
} from "./call.ts";
import { groupAggregate } from "./group-aggregate.ts";
import { addToSketch, emptySketch, estimateSketch, hyperLogLogError, mergeSketch } from "./hyperloglog.ts";
import { aggregatesJson, resolveAggregates } from "./resolve.ts";

/** The final result of a group aggregate without a key. */
async function resultOf(input: Schema, calls: AggregateCalls, rows: readonly object[], batchRows = 7): Promise<Record<string, unknown>> {
  const factory = groupAggregate({ input, key: keyLayout(input, []), calls });
  const harness = await OperatorHarness.open({ factory, inputs: [input], batchRows });
  harness.push(rows.map((row, at) => ({ row, timeMs: at })));
  const out = harness.take();
  await harness.close();
  return out.at(-1)?.row as Record<string, unknown>;
}

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
  return "nothing thrown";
}

describe("sums", () => {
  const input = schema({ a: int64(), b: int53(), c: int32(), d: decimal(20, 3), f: float64() });
  const row = (a: bigint, b = 0, c = 0, d = "0", f = 0): object => ({ a, b, c, d: Decimal.parse(d), f });

  test("of int64 are exact on both sides of 2^53 and on the way back", async () => {
    const values = [2n ** 53n - 1n, 2n, 1n, 1n, -(2n ** 53n), -5n, 2n ** 62n, -(2n ** 62n) + 7n];
    const expected = values.reduce((total, value) => total + value);
    for (const batchRows of [1, 3, 100]) {
      expect(
        await resultOf(
          input,
          { s: sum("a"), m: avg("a") },
          values.map((value) => row(value)),
          batchRows,
        ),
      ).toEqual({ s: expected, m: Number(expected) / 8 });
    }
  });

  test("that leave 64 bits, or the safe integers of an int53, fail and are not rounded", async () => {
    expect(await codeOf(() => resultOf(input, { s: sum("a") }, [row(2n ** 63n - 1n), row(1n)]))).toBe("AGGREGATE_OVERFLOW");
    expect(await codeOf(() => resultOf(input, { s: sum("b") }, [row(0n, Number.MAX_SAFE_INTEGER), row(0n, 1)]))).toBe("AGGREGATE_OVERFLOW");
    expect(await resultOf(input, { s: sum("b") }, [row(0n, Number.MAX_SAFE_INTEGER), row(0n, -1)])).toEqual({
      s: Number.MAX_SAFE_INTEGER - 1,
    });
  });

  test("of int53 may pass the safe integers in a mean", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(await resultOf(input, { m: avg("b") }, [row(0n, most), row(0n, most), row(0n, most - 3)])).toEqual({ m: most - 1 });
  });

  test("of decimals keep every digit; means have six, rounded half away from zero", async () => {
    const out = await resultOf(input, { s: sum("d"), m: avg("d") }, [
      row(0n, 0, 0, "12345678901234567.001"),
      row(0n, 0, 0, "0.001"),
      row(0n, 0, 0, "-0.003"),
    ]);
    expect(String(out["s"])).toBe("12345678901234566.999");
    expect(String(out["m"])).toBe("4115226300411522.333000");
    const half = await resultOf(
      schema({ d: decimal(9, 0) }),
      { m: avg("d") },
      Array.from({ length: 64 }, (_value, i) => ({ d: Decimal.parse(i === 0 ? "-1" : "0") })),
    );
    expect(String(half["m"])).toBe("-0.015625");
    const rounded = await resultOf(schema({ d: decimal(9, 7) }), { m: avg("d") }, [
      { d: Decimal.parse("0.0000001") },
      { d: Decimal.parse("0") },
    ]);
    expect(String(rounded["m"])).toBe("0.0000001");
  });
});

describe("extremes", () => {
  test("order not-a-number above all numbers, and texts by code points", async () => {
    const input = schema({ f: float64(), s: string(), e: enumeration("x", "y"), t: timestampNanos(), b: boolean() });
    const rows = [
      { f: Number.NaN, s: "\u{1f600}", e: "y", t: 2n ** 60n + 1n, b: true },
      { f: 3, s: "\uffee", e: "x", t: 2n ** 60n, b: false },
    ];
    const calls = { lo: min("f"), hi: max("f"), s: max("s"), e: min("e"), t: max("t"), t0: min("t"), b: min("b") };
    expect(await resultOf(input, calls, rows)).toEqual({
      lo: 3,
      hi: Number.NaN,
      s: "\u{1f600}",
      e: "x",
      t: 2n ** 60n + 1n,
      t0: 2n ** 60n,
      b: false,
    });
    expect(await resultOf(input, { lo: min("f"), hi: max("f") }, [rows[0] as object])).toEqual({ lo: Number.NaN, hi: Number.NaN });
    expect(await resultOf(input, { lo: min("f"), hi: max("f") }, [{ ...rows[1], f: -Infinity }])).toEqual({ lo: -Infinity, hi: -Infinity });
  });

  test("of a nullable field are null until there is a value; missing is not a value either", async () => {
    const input = schema({ n: int53().nullable(), o: string().optional() });
    const calls = {
      lo: min("n"),
      hi: max("o"),
      s: sum("n"),
      m: avg("n"),
      c: count("n"),
      all: count(),
      p: percentile("n", 0.5),
      j: stringAgg("o"),
    };
    expect(await resultOf(input, calls, [{ n: null }, { n: null }])).toEqual({
      lo: null,
      hi: null,
      s: null,
      m: null,
      c: 0,
      all: 2,
      p: null,
      j: null,
    });
    const some = await resultOf(input, calls, [{ n: null }, { n: 4, o: "b" }, { n: 2, o: "a" }]);
    expect(some).toMatchObject({ lo: 2, hi: "b", s: 6, m: 3, c: 2, all: 3, j: "b,a" });
  });

  test("by another field or by time give the value of the one row", async () => {
    const input = schema({ v: string().nullable(), by: int53().nullable() });
    const rows = [
      { v: "a", by: 3 },
      { v: null, by: 1 },
      { v: "c", by: null },
      { v: "d", by: 3 },
    ];
    const calls = { lo: minBy("v", "by"), hi: maxBy("v", "by"), f: first("v"), l: last("v") };
    expect(await resultOf(input, calls, rows)).toEqual({ lo: null, hi: "a", f: "a", l: "d" });
  });
});

describe("collections", () => {
  test("keep values of every type, and copies of bytes", async () => {
    const input = schema({ b: bytes(), l: list(int53()), a: any(), big: int64() });
    const rows = [1, 2, 1].map((i) => ({ b: Uint8Array.of(i), l: [i], a: { i }, big: 2n ** 60n + BigInt(i) }));
    const out = await resultOf(
      input,
      { b: collectSet("b"), l: collect("l"), a: collect("a"), big: collectSet("big"), d: countDistinct("b"), first: first("b") },
      rows,
    );
    expect(out).toEqual({
      b: [Uint8Array.of(1), Uint8Array.of(2)],
      l: [[1], [2], [1]],
      a: [{ i: 1 }, { i: 2 }, { i: 1 }],
      big: [2n ** 60n + 1n, 2n ** 60n + 2n],
      d: 2,
      first: Uint8Array.of(1),
    });
  });

  test("have a limit", async () => {
    const input = schema({ v: int53() });
    const rows = [1, 2, 3].map((v) => ({ v }));
    for (const call of [collect("v", { limit: 2 }), collectSet("v", { limit: 2 }), countDistinct("v", { limit: 2 })]) {
      expect(await codeOf(() => resultOf(input, { call }, rows))).toBe("AGGREGATE_TOO_LARGE");
    }
  });
});

describe("HyperLogLog", () => {
  test("is nearly exact for small counts and within four standard errors for large ones", async () => {
    const input = schema({ v: int53(), s: string() });
    for (const size of [1, 100, 2000, 20_000, 200_000]) {
      const rows = Array.from({ length: size }, (_value, i) => ({ v: i * 7919, s: `value-${i}` }));
      const out = await resultOf(
        input,
        { v: countDistinctApprox("v"), s: countDistinctApprox("s") },
        [...rows, ...rows.slice(0, 1000)],
        8192,
      );
      const allowed = size <= 2000 ? size * 0.001 : size * 4 * hyperLogLogError;
      for (const estimate of Object.values(out)) expect(Math.abs((estimate as number) - size)).toBeLessThanOrEqual(allowed);
    }
  });

  test("merged sketches are the sketch of both, in every form", () => {
    const random = new Random(runSeed());
    for (const [left, right] of [
      [10, 10],
      [1500, 1500],
      [10, 50_000],
      [50_000, 10],
      [60_000, 60_000],
    ] as const) {
      let [a, b, both] = [emptySketch(), emptySketch(), emptySketch()];
      for (let i = 0; i < left + right; i++) {
        const high = Math.floor(random.next() * 4294967296);
        const low = Math.floor(random.next() * 4294967296);
        both = addToSketch(both, high, low);
        if (i < left) a = addToSketch(a, high, low);
        else b = addToSketch(b, high, low);
      }
      expect(estimateSketch(mergeSketch(a, b))).toBe(estimateSketch(both));
    }
  });

  test("has no bias over many sketches", () => {
    const random = new Random(7);
    let total = 0;
    const sketches = 30;
    for (let s = 0; s < sketches; s++) {
      let sketch = emptySketch();
      for (let i = 0; i < 40_000; i++)
        sketch = addToSketch(sketch, Math.floor(random.next() * 4294967296), Math.floor(random.next() * 4294967296));
      total += estimateSketch(sketch) / 40_000 - 1;
    }
    expect(Math.abs(total / sketches)).toBeLessThan((3 * hyperLogLogError) / Math.sqrt(sketches));
  });
});

describe("percentiles", () => {
  test("are within the accuracy of the value of that rank", async () => {
    const input = schema({ v: float64() });
    const random = new Random(runSeed());
    const values = Array.from({ length: 3000 }, () => (random.chance(0.1) ? 0 : (random.next() - 0.3) * 10 ** random.int(-3, 6)));
    const sorted = [...values].sort((a, b) => a - b);
    for (const accuracy of [0.01, 0.001]) {
      for (const fraction of [0, 0.25, 0.5, 0.9, 0.99, 1]) {
        const out = await resultOf(
          input,
          { p: percentile("v", fraction, { accuracy }) },
          values.map((v) => ({ v })),
          512,
        );
        const exact = sorted[Math.floor(fraction * (sorted.length - 1))] as number;
        expect(Math.abs((out["p"] as number) - exact)).toBeLessThanOrEqual(Math.abs(exact) * accuracy * 1.0001);
      }
    }
  });

  test("take the extremes of doubles at the finest accuracy", async () => {
    const values = [-Number.MAX_VALUE, -Number.MIN_VALUE, 0, Number.MIN_VALUE, 1e-300, Number.MAX_VALUE];
    expect(new LogarithmicMapping(0.0001).key(1e-308)).toBeGreaterThan(-8_388_608);
    const at = async (fraction: number): Promise<number> =>
      (
        await resultOf(
          schema({ v: float64() }),
          { p: percentile("v", fraction, { accuracy: 0.0001 }) },
          values.map((v) => ({ v })),
        )
      )["p"] as number;
    expect(await at(0)).toBeLessThan(-1.7e308);
    expect(await at(0.5)).toBe(0);
    expect((await at(0.8)) / 1e-300).toBeCloseTo(1, 3);
    expect(await at(1)).toBeGreaterThan(1.7e308);
  });
});

describe("custom aggregates", () => {
  const input = schema({ v: int53() });
  const product = custom({
    state: schema({ product: int53(), rows: int53() }),
    returns: float64(),
    create: () => ({ product: 1, rows: 0 }),
    add: (state, row: { v: number }) => ({ product: state.product * row.v, rows: state.rows + 1 }),
    retract: (state, row) => ({ product: state.product / row.v, rows: state.rows - 1 }),
    merge: (a, b) => ({ product: a.product * b.product, rows: a.rows + b.rows }),
    result: (state) => state.product / state.rows,
  });

  test("compute with a struct as state", async () => {
    expect(
      await resultOf(
        input,
        { p: product },
        [2, 3, 5].map((v) => ({ v })),
      ),
    ).toEqual({ p: 10 });
  });

  test("that return another type fail with ROW_INVALID", async () => {
    const wrong = custom({
      state: int53(),
      returns: string(),
      create: () => 0,
      add: (n) => n + 1,
      merge: (a) => a,
      result: (n) => n as unknown as string,
    });
    expect(await codeOf(() => resultOf(input, { wrong }, [{ v: 1 }]))).toBe("ROW_INVALID");
  });

  test("show their types in a plan", () => {
    expect(aggregatesJson({ p: product, n: count() })).toEqual({
      n: { kind: "count" },
      p: { kind: "custom", state: schema({ product: int53(), rows: int53() }).spec, returns: float64().spec, retracts: true },
    });
  });
});

describe("calls that cannot be", () => {
  const input = schema({ s: string(), n: int53(), l: list(int53()) });
  const refused = (calls: AggregateCalls, retracting = false): Promise<string> =>
    codeOf(() => resolveAggregates(input, calls, { retracting }));

  test("are refused with a code", async () => {
    expect(await refused({})).toBe("AGGREGATE_NONE");
    expect(await refused({ x: sum("nowhere") })).toBe("SCHEMA_FIELD_UNKNOWN");
    for (const call of [
      sum("s"),
      avg("s"),
      percentile("s", 0.5),
      stringAgg("n"),
      min("l"),
      countDistinct("l"),
      countDistinctApprox("l"),
      minBy("s", "l"),
    ]) {
      expect(await refused({ call })).toBe("AGGREGATE_FIELD_TYPE");
    }
    for (const call of [percentile("n", 99), percentile("n", 0.5, { accuracy: 0 }), collect("n", { limit: 0 })]) {
      expect(await refused({ call })).toBe("AGGREGATE_OPTION");
    }
    const adding = custom({ state: int53(), returns: int53(), create: () => 0, add: (n) => n, merge: (a) => a, result: (n) => n });
    for (const call of [countDistinctApprox("n"), adding]) {
      expect(await refused({ call }, true)).toBe("AGGREGATE_NOT_RETRACTABLE");
      expect(await refused({ call })).toBe("nothing thrown");
    }
  });
});
