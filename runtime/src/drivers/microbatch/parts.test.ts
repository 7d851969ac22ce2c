// Parts of the driver by themselves: quotas of splits, the rate estimator, watermarks, sinks that are functions, state over RocksDB.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../connectors/memory/index.ts";
import { int53 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { count, sum } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { rocksdbBackend } from "../../state/rocksdb/rocksdb-backend.ts";
import { RateEstimator } from "./rate-estimator.ts";
import { SplitQuotas } from "./run/split-quotas.ts";
import { Watermarks } from "./run/watermarks.ts";
import { StreamingQuery } from "./streaming-query.ts";
import { testInput, withHarness } from "./testing/query-harness.suite.ts";

describe("quotas", () => {
  test("are in proportion to what waits, never more than the limit and one per split", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 50_000 }),
        (waiting, most) => {
          const lags = new Map(waiting.map((lag, index) => [`s${index}`, lag]));
          const total = waiting.reduce((all, lag) => all + lag, 0);
          const quotas = SplitQuotas.of(lags, most);
          expect(quotas === undefined).toBe(total <= most);
          if (total <= most) return;
          let taken = 0;
          for (const [id, lag] of lags) {
            let own = 0;
            if (lag > 0) while (quotas?.take(id, 1) === false) own++;
            if (lag > 0) own++;
            expect(own).toBe(lag === 0 ? 0 : Math.max(1, Math.floor((most * lag) / total)));
            taken += own;
          }
          expect(taken).toBeLessThanOrEqual(most + waiting.length);
          expect(quotas?.next).toBe(0);
        },
      ),
    );
  });
});

describe("the rate estimator", () => {
  test("knows nothing before the first batch", () => expect(new RateEstimator(1000).maxRecords()).toBe(Infinity));

  test("comes to what batches process in an interval", () => {
    const estimator = new RateEstimator(1000);
    // 10,000 records take 2 s: 5,000 per interval.
    for (let batch = 1; batch <= 10; batch++) estimator.observe(batch * 2000, 10_000, 2000, 0);
    expect(estimator.maxRecords()).toBe(5000);
  });

  test("lowers the rate where batches wait for each other, and raises it when they get faster", () => {
    const estimator = new RateEstimator(1000);
    estimator.observe(1000, 5000, 1000, 0);
    estimator.observe(2000, 5000, 1000, 500);
    // The delay of half an interval stands for 2,500 records, of which a fifth is taken back.
    expect(estimator.maxRecords()).toBe(4500);
    estimator.observe(3000, 9000, 1000, 0);
    expect(estimator.maxRecords()).toBe(9000);
  });

  test("never stops a query", () => {
    const estimator = new RateEstimator(1000);
    estimator.observe(1000, 10, 1000, 0);
    for (let batch = 2; batch < 20; batch++) estimator.observe(batch * 1000, 1, 1000, 60_000);
    expect(estimator.maxRecords()).toBe(100);
  });

  test("limits the batches of a query with backpressure", async () => {
    const Numbered = schema({ n: int53() });
    const source = memorySource(Numbered, { bounded: false });
    for (let n = 0; n < 3000; n++) source.push({ n });
    const sizes: number[] = [];
    const frame = new Session().readStream(source, { name: "numbers" });
    const slow = frame.writeStream(
      { kind: "foreachBatch", fn: ({ rows }) => new Promise((resolve) => setTimeout(resolve, rows().length / 10)) },
      { trigger: { processingTime: 100 } },
    );
    const query = await StreamingQuery.start(slow, {
      backpressure: true,
      maxRecordsPerTrigger: 3000,
      onProgress: ({ numInputRows }) => sizes.push(numInputRows),
    });
    await query.processAllAvailable();
    for (let n = 0; n < 3000; n++) source.push({ n });
    await query.processAllAvailable();
    await query.stop();
    // A record takes a tenth of a millisecond or more, so in 0.1 s there are at most 1,000.
    expect(sizes[0]).toBe(3000);
    expect(sizes.length).toBeGreaterThanOrEqual(4);
    expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(1000);
  });
});

describe("watermarks", () => {
  test("never go back, whatever is observed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.integer({ min: -1000, max: 1000 })), { maxLength: 50 }),
        fc.constantFrom("min", "max"),
        (seen, policy) => {
          const watermarks = new Watermarks([0, 10, 100], policy as "min" | "max", undefined);
          const latest = [-Infinity, -Infinity, -Infinity];
          for (const [index, timeMs] of seen) {
            const before = watermarks.currentMs;
            watermarks.observe(index, timeMs);
            latest[index] = Math.max(latest[index] as number, timeMs - ([0, 10, 100][index] as number));
            watermarks.advance();
            const all = policy === "min" ? Math.min(...latest) : Math.max(...latest);
            expect(watermarks.currentMs).toBe(Math.max(before, all));
          }
        },
      ),
    );
  });
});

describe("foreach", () => {
  test("opens, takes every row, and closes, batch by batch; a failure is told to close and ends the query", async () => {
    const Numbered = schema({ n: int53() });
    const source = memorySource(Numbered, { bounded: false });
    source.push({ n: 1 });
    source.push({ n: 2 });
    const said: string[] = [];
    const query = new Session().readStream(source, { name: "numbers" }).writeStream({
      kind: "foreach",
      open: (batchId) => void said.push(`open ${batchId}`),
      process: ({ n }) => {
        if (n === 3) throw new Error("three");
        said.push(`row ${n}`);
      },
      close: (error) => void said.push(`close ${error instanceof Error ? error.message : "well"}`),
    });
    const running = await StreamingQuery.start(query);
    await running.processAllAvailable();
    expect(said).toEqual(["open 0", "row 1", "row 2", "close well"]);
    source.push({ n: 3 });
    await expect(running.done).rejects.toThrow("three");
    expect(said.slice(4)).toEqual(["open 1", "close three"]);
    expect(running.state).toBe("failed");
  });
});

describe("state over RocksDB below a heap budget", () => {
  test("gives the same results, over restarts too", () =>
    withHarness(async (session, open) => {
      const Keyed = schema({ key: int53(), n: int53() });
      const input = testInput(session, "keyed", Keyed);
      const frame = input.frame.groupBy("key").agg((c) => ({ rows: count(), total: sum(c.n) }), { name: "sums" });
      const run = await open(frame, {
        mode: "update",
        stateBackend: rocksdbBackend({ heapBytes: 2048, blockCacheBytes: 1 << 16, writeBufferBytes: 1 << 16 }),
      });
      const expected = new Map<number, { rows: number; total: number }>();
      const seen = new Map<number, { rows: number; total: number }>();
      for (let round = 0; round < 4; round++) {
        const rows = Array.from({ length: 3000 }, (_value, i) => ({ key: (i * 7 + round) % 5000, n: i }));
        for (const { key, n } of rows) {
          const group = expected.get(key) ?? { rows: 0, total: 0 };
          expected.set(key, { rows: group.rows + 1, total: group.total + n });
        }
        for (const { key, ...group } of await run.feed(input, ...rows)) seen.set(key, group);
        if (round === 1) await run.restart();
      }
      expect([...seen].sort(([a], [b]) => a - b)).toEqual([...expected].sort(([a], [b]) => a - b));
      expect(run.progress.at(-1)?.stateOperators[0]?.diskUsedBytes).toBeGreaterThan(0);
    }));
});
