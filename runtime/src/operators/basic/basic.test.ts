// The stateless operators: rows and times kept, nothing copied where nothing changes, failures as dead letters, updates that stay whole.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { ManualClock } from "../../base/clock.ts";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { bytes, float64, int32, int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type HarnessRow, OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { filter } from "./filter.ts";
import { flatMap } from "./flat-map.ts";
import { map } from "./map.ts";
import { rateLimit } from "./rate-limit.ts";
import { select } from "./select.ts";
import { split } from "./split.ts";
import { union } from "./union.ts";
import { throttle } from "./throttle.ts";
import { withColumns } from "./with-columns.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const input = schema({ k: string(), v: int53() });
const rows = (...values: readonly number[]): HarnessRow[] => values.map((v) => ({ row: { k: `k${v}`, v }, timeMs: v * 10 }));

describe("map", () => {
  const output = schema({ text: string(), n: int32() });

  test("keeps times and kinds; what throws or does not fit goes to the dead letters and the batch goes on", async () => {
    const fn = (row: { k: string; v: number }): { text: string; n: number } => {
      if (row.v === 2) throw new Error("two");
      return { text: `${row.k}!`, n: row.v === 3 ? 0.5 : row.v };
    };
    const harness = await OperatorHarness.open({ factory: map({ input, output, fn }), inputs: [input] });
    harness.push(rows(1, 2, 3, 4).map((row) => ({ ...row, kind: "updateAfter" as const })));
    expect(harness.take()).toEqual([
      { row: { text: "k1!", n: 1 }, timeMs: 10, kind: "updateAfter" },
      { row: { text: "k4!", n: 4 }, timeMs: 40, kind: "updateAfter" },
    ]);
    expect(harness.badRows.map(({ code, reason, row }) => [code, reason.split(";")[0], row])).toEqual([
      ["FUNCTION_FAILED", "the map function failed: two", { k: "k2", v: 2 }],
      ["FUNCTION_FAILED", 'the map function failed: field "n": 0.5 is not a int32', { k: "k3", v: 3 }],
    ]);
    await harness.close();
  });

  test("a row that does not fit leaves nothing behind in the next one", async () => {
    const nullable = schema({ a: int53().nullable(), b: int53() });
    const fn = (row: { v: number }): { a: number | null; b: number } => (row.v === 1 ? { a: null, b: 0.5 } : { a: 7, b: 8 });
    const harness = await OperatorHarness.open({ factory: map({ input, output: nullable, fn }), inputs: [input] });
    expect(
      harness
        .push(rows(1, 2))
        .take()
        .map(({ row }) => row),
    ).toEqual([{ a: 7, b: 8 }]);
    await harness.close();
  });

  test("a dead letter names the record that the row came from", async () => {
    const harness = await OperatorHarness.open({
      factory: map({
        input,
        output,
        fn: () => {
          throw new Error("no");
        },
      }),
      inputs: [input],
    });
    const made = new Rows(input, 4);
    rowWriter(input)(made, 0, { k: "a", v: 1 });
    rowWriter(input)(made, 1, { k: "b", v: 2 });
    made.ready.fill(1);
    made.size = 2;
    const encoded = Buffer.from("key0value0key1value1");
    made.origin = {
      splitId: "bids-3",
      count: 2,
      bytes: encoded,
      keyStart: Int32Array.of(0, -1),
      keyEnd: Int32Array.of(4, 0),
      valueStart: Int32Array.of(4, 14),
      valueEnd: Int32Array.of(10, 20),
      timestampMs: Float64Array.of(0, 0),
      position: Float64Array.of(1000, 1001),
    };
    harness.process(new Batch(made));
    // The block is used again; the dead letters keep what was in it.
    encoded.fill(0);
    const text = (found: Uint8Array | null | undefined): unknown => (found instanceof Uint8Array ? Buffer.from(found).toString() : found);
    expect(harness.badRows.map(({ splitId, position, key, value }) => [splitId, position, text(key), text(value)])).toEqual([
      ["bids-3", 1000, "key0", "value0"],
      ["bids-3", 1001, null, "value1"],
    ]);
    await harness.close();
  });

  test("an error of an operator downstream is not taken for the function's", async () => {
    const harness = await OperatorHarness.open({
      factory: (context) =>
        map({ input, output, fn: () => ({ text: "x", n: 1 }) })({
          ...context,
          output: () => ({
            emit() {
              throw new Error("downstream");
            },
          }),
        }),
      inputs: [input],
    });
    expect(() => harness.push(rows(...Array.from({ length: 1024 }, (_, n) => n)))).toThrow("downstream");
    expect(harness.badRows).toEqual([]);
    await harness.close();
  });
});

describe("flatMap", () => {
  const output = schema({ n: int53() });

  test("gives any number of rows, all or none of a row's", async () => {
    const fn = (row: { v: number }, emit: (row: { n: number }) => void): void => {
      for (let n = 0; n < row.v; n++) {
        emit({ n: row.v * 10 + n });
        if (row.v === 3 && n === 1) throw new Error("half way");
      }
    };
    const harness = await OperatorHarness.open({ factory: flatMap({ input, output, fn, maxPerRow: 3000 }), inputs: [input] });
    harness.push(rows(0, 2, 3, 1));
    expect(harness.take().map(({ row, timeMs }) => [row["n"], timeMs])).toEqual([
      [20, 20],
      [21, 20],
      [10, 10],
    ]);
    harness.push(rows(3000, 3001));
    expect(harness.take()).toHaveLength(3000);
    expect(harness.badRows.map(({ row }) => (row as { v: number }).v)).toEqual([3, 3001]);
    await harness.close();
  });
});

/** Changes of a table by key: rows before and after updates next to each other, now and then cut by a batch's end. */
const changes = fc
  .array(fc.record({ key: fc.nat(3), value: fc.nat(5), remove: fc.boolean() }), { maxLength: 40, size: "max" })
  .map((made) => {
    const present = new Map<string, number>();
    return made.flatMap(({ key, value, remove }): HarnessRow[] => {
      const k = `k${key}`;
      const before = present.get(k);
      if (before === undefined) {
        present.set(k, value);
        return [{ row: { k, v: value }, kind: "insert" }];
      }
      if (remove) {
        present.delete(k);
        return [{ row: { k, v: before }, kind: "delete" }];
      }
      present.set(k, value);
      return [
        { row: { k, v: before }, kind: "updateBefore" },
        { row: { k, v: value }, kind: "updateAfter" },
      ];
    });
  });

const tableOf = (log: readonly HarnessRow[], keep: (v: number) => boolean): string[] =>
  new Changelog()
    .apply(log)
    .rows()
    .filter((text) => keep((JSON.parse(text) as { v: number }).v));

describe("filter", () => {
  test("narrows the selection of the very same rows", async () => {
    const harness = await OperatorHarness.open({ factory: filter({ input, predicate: (row) => row.v % 2 === 1 }), inputs: [input] });
    harness.push(rows(1, 2, 3, 4));
    expect(harness.take()).toEqual([
      { row: { k: "k1", v: 1 }, timeMs: 10, kind: "insert" },
      { row: { k: "k3", v: 3 }, timeMs: 30, kind: "insert" },
    ]);
    expect(harness.counters.get("records_filtered")).toBe(2);
    await harness.close();
  });

  test(`a retracting changelog stays one, and read as upserts it is the filtered table too (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(changes, fc.integer({ min: 1, max: 7 }), fc.nat(5), async (log, batchRows, limit) => {
        const factory = filter({ input, predicate: (row) => row.v < limit, changelog: "retract" });
        const harness = await OperatorHarness.open({ factory, inputs: [input], batchRows });
        const given = harness.push(log).take();
        await harness.close();
        const expected = tableOf(log, (v) => v < limit);
        expect(new Changelog().apply(given).rows()).toEqual(expected);
        // A sink by key that ignores rows before updates, as Kafka's compacted topics do.
        const byKey = new Map<unknown, unknown>();
        for (const { row, kind } of given) {
          if (kind === "delete") byKey.delete(row["k"]);
          else if (kind !== "updateBefore") byKey.set(row["k"], row);
        }
        expect(bag(byKey.values())).toEqual(expected);
      }),
      { numRuns: 60, seed },
    );
  });

  test(`a changelog of upserts loses the rows that no longer pass (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(changes, fc.integer({ min: 1, max: 7 }), fc.nat(5), async (log, batchRows, limit) => {
        const upserts = log.filter(({ kind }) => kind !== "updateBefore");
        const factory = filter({ input, predicate: (row) => row.v < limit, changelog: "upsert" });
        const harness = await OperatorHarness.open({ factory, inputs: [input], batchRows });
        const byKey = new Map<unknown, unknown>();
        for (const { row, kind } of harness.push(upserts).take()) {
          if (kind === "delete") byKey.delete(row["k"]);
          else byKey.set(row["k"], row);
        }
        await harness.close();
        expect(bag(byKey.values())).toEqual(tableOf(log, (v) => v < limit));
      }),
      { numRuns: 40, seed },
    );
  });
});

test(`split: each row goes to the first branch that takes it, or to all, else to the main output (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(30), { maxLength: 40, size: "max" }),
      fc.constantFrom("first" as const, "all" as const),
      async (values, mode) => {
        const fails = (v: number): boolean => {
          if (v === 13) throw new Error("13");
          return v % 3 === 0;
        };
        const factory = split({
          input,
          mode,
          branches: [
            { output: "even", predicate: (row) => row.v % 2 === 0 },
            { output: "three", predicate: (row) => fails(row.v) },
          ],
        });
        const harness = await OperatorHarness.open({ factory, inputs: [input], batchRows: 8 });
        harness.push(rows(...values));
        const given = (output?: string): unknown[] => harness.take(output).map(({ row }) => row["v"]);
        expect(given("even")).toEqual(values.filter((v) => v % 2 === 0));
        expect(given("three")).toEqual(values.filter((v) => v !== 13 && v % 3 === 0 && (mode === "all" || v % 2 !== 0)));
        expect(given()).toEqual(values.filter((v) => v !== 13 && v % 2 !== 0 && v % 3 !== 0));
        expect(harness.badRows).toHaveLength(values.filter((v) => v === 13).length);
        await harness.close();
      },
    ),
    { numRuns: 40, seed },
  );
});

describe("columns", () => {
  test("select passes columns by reference and decodes none for it", async () => {
    const output = schema({ value: int53(), k: string() });
    const seen: Batch[] = [];
    const harness = await OperatorHarness.open({
      factory: (context) =>
        select({ input, output, renames: { value: "v" } })({ ...context, output: () => ({ emit: (batch) => void seen.push(batch) }) }),
      inputs: [input],
    });
    const made = new Rows(input, 2);
    const filled: number[] = [];
    made.size = 2;
    made.lazy = {
      fill(target, index) {
        filled.push(index);
        if (index === 1) target.columns[1]?.numbers.set([5, 6]);
      },
    };
    harness.process(new Batch(made));
    expect(filled).toEqual([]);
    const [batch] = seen as [Batch];
    expect(batch.rows.column(0)).toBe(made.columns[1]);
    expect([...batch.rows.column(0).numbers.subarray(0, 2)]).toEqual([5, 6]);
    expect(filled).toEqual([1]);
    await harness.close();
  });

  test("select refuses another type by name", () => {
    const output = schema({ v: string() });
    expect(() => select({ input, output })).toThrow(expect.objectContaining({ code: "SELECT_TYPE" }));
    expect(() => select({ input, output: schema({ x: string() }) })).toThrow(expect.objectContaining({ code: "SCHEMA_FIELD_UNKNOWN" }));
  });

  test(`withColumns adds and replaces fields, batch after batch (seed ${seed})`, async () => {
    const added = schema({ v: float64().nullable(), double: int53() });
    const output = schema({ k: string(), v: float64().nullable(), double: int53() });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 30, size: "max" }), fc.integer({ min: 1, max: 8 }), async (values, batchRows) => {
        const fn = (row: { v: number }): { v: number | null; double: number } => {
          if (row.v === 7) throw new Error("seven");
          return { v: row.v % 3 === 0 ? null : row.v / 2, double: row.v * 2 };
        };
        const harness = await OperatorHarness.open({ factory: withColumns({ input, added, output, fn }), inputs: [input], batchRows });
        harness.push(rows(...values));
        expect(harness.take()).toEqual(
          values
            .filter((v) => v !== 7)
            .map((v) => ({ row: { k: `k${v}`, v: v % 3 === 0 ? null : v / 2, double: v * 2 }, timeMs: v * 10, kind: "insert" })),
        );
        await harness.close();
      }),
      { numRuns: 40, seed },
    );
  });

  test("a value of bytes is passed as it is", async () => {
    const wide = schema({ raw: bytes(), v: int53() });
    const harness = await OperatorHarness.open({ factory: select({ input: wide, output: schema({ raw: bytes() }) }), inputs: [wide] });
    harness.push([{ row: { raw: Uint8Array.of(1, 2), v: 1 } }]);
    expect(harness.take().map(({ row }) => row["raw"])).toEqual([Uint8Array.of(1, 2)]);
    await harness.close();
  });
});

test("union passes the rows of all inputs on", async () => {
  const harness = await OperatorHarness.open({ factory: union(), inputs: [input, input] });
  expect(
    harness
      .push(rows(1), 0)
      .push(rows(2), 1)
      .push(rows(3), 0)
      .take()
      .map(({ row }) => row["v"]),
  ).toEqual([1, 2, 3]);
  await harness.close();
});

describe("rateLimit", () => {
  test(`over any time no more rows are let in than the rate and one burst allow (seed ${seed})`, async () => {
    const cases = fc.record({
      rate: fc.integer({ min: 1, max: 5000 }),
      burst: fc.integer({ min: 1, max: 500 }),
      sizes: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30, size: "max" }),
      parallelism: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rate, burst, sizes, parallelism }) => {
        const clock = new ManualClock(1000);
        const harness = await OperatorHarness.open({
          factory: rateLimit({ rowsPerSecond: rate, burst }),
          inputs: [input],
          clock,
          parallelism,
        });
        let passed = 0;
        for (const size of sizes) {
          let waitedMs = 0;
          while (harness.paused > 0) {
            clock.advance(1);
            if (++waitedMs > 10_000_000) throw new Error("never resumed");
          }
          // Rows come in only while nothing is owed: before this batch the bucket was not in debt.
          expect(passed).toBeLessThanOrEqual((burst + (rate * (clock.now() - 1000)) / 1000) / parallelism + 1e-6);
          harness.push(rows(...Array.from({ length: size }, (_, n) => n)));
          passed += size;
        }
        expect(harness.take()).toHaveLength(passed);
        // And no longer than needed: the debt is paid off to the ms.
        let resumedMs = clock.now();
        while (harness.paused > 0) {
          clock.advance(1);
          resumedMs = clock.now();
        }
        if (resumedMs > 1000) expect(passed).toBeGreaterThan((rate * (resumedMs - 1000 - 2)) / 1000 / parallelism - sizes.length * 300);
        await harness.close();
        expect(harness.paused).toBe(0);
      }),
      { numRuns: 30, seed },
    );
  });

  test("a quiet time saves up one burst and no more", async () => {
    const clock = new ManualClock(0);
    const harness = await OperatorHarness.open({ factory: rateLimit({ rowsPerSecond: 100, burst: 10 }), inputs: [input], clock });
    clock.advance(3_600_000);
    harness.push(rows(...Array.from({ length: 10 }, (_, n) => n)));
    expect(harness.paused).toBe(0);
    harness.push(rows(1));
    expect(harness.paused).toBe(1);
    clock.advance(9);
    expect(harness.paused).toBe(1);
    clock.advance(1);
    expect(harness.paused).toBe(0);
    await harness.close();
  });

  test("a rate of nothing is refused", () => {
    const refused = (rowsPerSecond: number): boolean => {
      try {
        rateLimit({ rowsPerSecond });
        return false;
      } catch (error) {
        return isMillraceError(error, "RATE_INVALID");
      }
    };
    expect([refused(0), refused(-1), refused(Number.NaN), refused(1)]).toEqual([true, true, true, false]);
  });
});

test(`throttle: a key's latest row at most once an interval, and in the end all keys' latest (seed ${seed})`, async () => {
  const key = keyLayout(input, ["k"]);
  const event = fc.oneof(
    { weight: 8, arbitrary: fc.record({ key: fc.nat(2), value: fc.nat(99) }) },
    { weight: 4, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 30 }) }) },
    { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40, size: "max" }), async (events) => {
      const intervalMs = 20;
      const steps = events.map((entry): Step => {
        if ("restart" in entry) return { do: "restart", parallelism: entry.restart };
        if ("wait" in entry) return { do: "advance", byMs: entry.wait };
        return { do: "rows", input: 0, rows: [{ row: { k: `k${entry.key}`, v: entry.value } }] };
      });
      // Ms by ms: a key is closed until its interval ends; then what waits goes out and closes it again.
      const closedUntil = new Map<string, number>();
      const waits = new Map<string, number>();
      const expected: string[] = [];
      const pass = (k: string, v: number, nowMs: number): void => {
        expected.push(`${k} ${v}`);
        closedUntil.set(k, nowMs + intervalMs);
      };
      let nowMs = 0;
      const given: string[][] = [];
      for (const entry of events) {
        if ("wait" in entry) {
          for (let n = 0; n < entry.wait; n++) {
            nowMs++;
            for (const [k, v] of waits) {
              if ((closedUntil.get(k) as number) > nowMs) continue;
              waits.delete(k);
              pass(k, v, nowMs);
            }
          }
        } else if ("key" in entry) {
          const k = `k${entry.key}`;
          if ((closedUntil.get(k) ?? 0) > nowMs) waits.set(k, entry.value);
          else pass(k, entry.value, nowMs);
        }
        given.push(expected.splice(0).toSorted());
      }
      await play(
        { factory: throttle({ input, key, intervalMs }), inputs: [input], keys: [key], parallelism: 2 },
        steps,
        [],
        (passed, step) => {
          expect(passed.map(({ row }) => `${String(row["k"])} ${String(row["v"])}`).toSorted()).toEqual(given[step]);
        },
      );
    }),
    { numRuns: 40, seed },
  );
  const harness = await OperatorHarness.open({ factory: throttle({ input, key, intervalMs: 10 }), inputs: [input] });
  harness
    .push(rows(1, 1))
    .push([{ row: { k: "k1", v: 5 }, kind: "delete" }])
    .end();
  expect(harness.take().map(({ row, kind }) => [row["v"], kind])).toEqual([
    [1, "insert"],
    [5, "delete"],
  ]);
  await harness.close();
});
