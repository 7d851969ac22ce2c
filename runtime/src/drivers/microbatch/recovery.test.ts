// A query that is stopped at any point goes on exactly: crashes at every write of its storage and sink, two drivers, changed queries.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { MemoryStorage } from "../../checkpoint/storage/memory-storage.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import { memorySink, memorySource } from "../../connectors/memory/index.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import { count, max, sum, window } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { faultyStorage } from "./testing/faulty-storage.suite.ts";
import { StreamingQuery } from "./streaming-query.ts";

const Bid = schema({ bidder: string(), price: int53(), at: timestamp() });
type Bid = RowType<typeof Bid>;

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function location(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "recovery-"));
  folders.push(folder);
  return pathToFileURL(folder).href;
}

interface Parts {
  readonly checkpointLocation: string;
  readonly openGood: (url: string) => Promise<SnapshotStorage>;
}

const onFiles = async (): Promise<Parts> => ({ checkpointLocation: await location(), openGood: openStorage });

/** One storage for all lives of a query. */
function inMemory(): Promise<Parts> {
  const storage = new MemoryStorage();
  return Promise.resolve({ checkpointLocation: storage.url, openGood: () => Promise.resolve(storage) });
}

function windows(
  frame: DataFrame<Bid>,
): DataFrame<{ readonly w_start: number; readonly bidder: string; readonly n: number; readonly total: number }> {
  return frame
    .withWatermark("at", "2 s")
    .groupBy((c) => ({ w: window(c.at, "10 s"), bidder: c.bidder }))
    .agg((c) => ({ n: count(), total: sum(c.price) }), { name: "windows" })
    .select("w_start", "bidder", "n", "total");
}

const bids: readonly Bid[] = Array.from({ length: 60 }, (_value, i) => ({ bidder: `b${i % 3}`, price: i, at: i * 1000 }));
const closing: Bid = { bidder: "end", price: 0, at: 1_000_000 };

// Worked out from the input alone.
const expected = [0, 1, 2, 3, 4, 5].flatMap((w) =>
  [0, 1, 2].map((b) => {
    const own = bids.filter((bid) => Math.floor(bid.at / 10_000) === w && bid.bidder === `b${b}`);
    return `${w * 10_000} b${b} ${own.length} ${own.reduce((all, { price }) => all + price, 0)}`;
  }),
);

describe("a crash", () => {
  // The run without a crash says how many writes there are; then they are tried, cut before and after.
  test.each([
    ["any write", 1, (): Promise<Parts> => inMemory()],
    ["every fifth write of a file system", 5, (): Promise<Parts> => onFiles()],
  ])("before or after %s loses nothing and doubles nothing", async (_, step, open) => {
    let calls = Infinity;
    for (let crashAt = 0; crashAt <= calls; crashAt = crashAt === 0 ? 1 : crashAt + step) {
      for (const when of ["before", "after"] as const) {
        const { checkpointLocation, openGood } = await open();
        const source = memorySource(Bid, { bounded: false });
        const sink = memorySink<{ readonly w_start: number; readonly bidder: string; readonly n: number; readonly total: number }>();
        for (const bid of bids) source.push(bid);
        source.push(closing);
        const query = windows(new Session().readStream(source, { name: "bids", maxRecordsPerTrigger: 16 })).writeStream(sink, {
          name: "crashing",
        });
        const faults = faultyStorage(crashAt === 0 ? Infinity : crashAt, when, openGood);
        const first = await StreamingQuery.start(query, { checkpointLocation, openStorage: faults.open }).catch(() => undefined);
        await first?.processAllAvailable().catch(() => {});
        await first?.stop().catch(() => {});
        if (crashAt === 0) calls = faults.calls;
        const second = await StreamingQuery.start(query, { checkpointLocation, openStorage: openGood });
        await second.processAllAvailable();
        await second.stop();
        const seen = sink.rows.map((row) => `${row.w_start} ${row.bidder} ${row.n} ${row.total}`).sort();
        expect(seen, `crash ${when} write ${crashAt} of ${calls}`).toEqual([...expected].sort());
        if (crashAt === 0) break;
      }
    }
    expect(calls).toBeGreaterThan(20);
  });
});

describe("a batch that was planned and not committed", () => {
  test("is run again with the same records and the same id", async () => {
    const checkpointLocation = await location();
    const source = memorySource(Bid, { bounded: false });
    const calls: { readonly id: number; readonly prices: readonly number[] }[] = [];
    let failing = true;
    const frame = new Session().readStream(source, { name: "bids" });
    const query = frame.writeStream(
      {
        kind: "foreachBatch",
        fn: ({ batchId, rows }) => {
          calls.push({ id: batchId, prices: (rows() as readonly Bid[]).map(({ price }) => price).sort() });
          if (failing) throw new Error("the database is away");
        },
      },
      { name: "again" },
    );
    source.push({ bidder: "a", price: 1, at: 0 });
    source.push({ bidder: "a", price: 2, at: 0 });
    const first = await StreamingQuery.start(query, { checkpointLocation });
    await expect(first.done).rejects.toThrow("the database is away");
    // Records that came meanwhile belong to the next batch.
    source.push({ bidder: "a", price: 3, at: 0 });
    failing = false;
    const second = await StreamingQuery.start(query, { checkpointLocation });
    await second.processAllAvailable();
    await second.stop();
    expect(calls).toEqual([
      { id: 0, prices: [1, 2] },
      { id: 0, prices: [1, 2] },
      { id: 1, prices: [3] },
    ]);
  });

  test("by an immediate stop is run again by the next start", async () => {
    const checkpointLocation = await location();
    const source = memorySource(Bid, { bounded: false });
    let entered = (): void => {};
    const inBatch = new Promise<void>((resolve) => {
      entered = resolve;
    });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const written: number[] = [];
    const slow = new Session().readStream(source, { name: "bids" }).writeStream(
      {
        kind: "batch",
        connector: "slow",
        options: {},
        open: () =>
          Promise.resolve({
            write: (batch: { readonly count: number }) => {
              written.push(batch.count);
              entered();
            },
            finish: () => held,
            close: () => Promise.resolve(),
          }),
      },
      { name: "slow" },
    );
    source.push({ bidder: "a", price: 1, at: 0 });
    const first = await StreamingQuery.start(slow, { checkpointLocation });
    await inBatch;
    const stopping = first.stop("immediate");
    release();
    await stopping;
    expect(first.lastProgress).toBeUndefined();
    const second = await StreamingQuery.start(slow, { checkpointLocation });
    await second.processAllAvailable();
    await second.stop();
    expect(written).toEqual([1, 1]);
    expect(second.lastBatchId).toBe(0);
  });
});

describe("two drivers on one checkpoint location", () => {
  test("the later one goes on, the earlier one stops itself, and nothing is doubled", async () => {
    const checkpointLocation = await location();
    const source = memorySource(Bid, { bounded: false });
    const sink = memorySink<{ readonly w_start: number; readonly bidder: string; readonly n: number; readonly total: number }>();
    const query = windows(new Session().readStream(source, { name: "bids" })).writeStream(sink, { name: "twice" });
    for (const bid of bids.slice(0, 20)) source.push(bid);
    const earlier = await StreamingQuery.start(query, { checkpointLocation });
    await earlier.processAllAvailable();
    const later = await StreamingQuery.start(query, { checkpointLocation });
    for (const bid of bids.slice(20)) source.push(bid);
    source.push(closing);
    await later.processAllAvailable();
    await expect(earlier.done).rejects.toMatchObject({ code: "FENCED" });
    expect(later.state).toBe("running");
    await later.stop();
    const seen = sink.rows.map((row) => `${row.w_start} ${row.bidder} ${row.n} ${row.total}`).sort();
    expect(seen).toEqual([...expected].sort());
  });
});

describe("a changed query", () => {
  async function change(
    before: (session: Session) => DataFrame<unknown>,
    after: (session: Session) => DataFrame<unknown>,
    modes: readonly ["append" | "update", "append" | "update"] = ["append", "append"],
  ): Promise<unknown> {
    const checkpointLocation = await location();
    const first = await StreamingQuery.start(before(new Session()).writeStream(memorySink(), { name: "changed", mode: modes[0] }), {
      checkpointLocation,
    });
    await first.processAllAvailable();
    await first.stop();
    const second = StreamingQuery.start(after(new Session()).writeStream(memorySink(), { name: "changed", mode: modes[1] }), {
      checkpointLocation,
    });
    return second.then(
      async (query) => {
        await query.stop();
        return "goes on";
      },
      (error: unknown) => error,
    );
  }

  const read = (session: Session, name = "bids"): DataFrame<Bid> => {
    const source = memorySource(Bid, { bounded: false });
    source.push({ bidder: "a", price: 1, at: 0 });
    return session.readStream(source, { name });
  };
  const changed = (what: RegExp): object => expect.objectContaining({ code: "QUERY_CHANGED", message: expect.stringMatching(what) });

  test("in its keys is refused, and told what differs", async () => {
    const other = (session: Session): DataFrame<unknown> =>
      read(session)
        .withWatermark("at", "2 s")
        .groupBy((c) => ({ w: window(c.at, "10 s") }))
        .agg((c) => ({ n: count(), total: sum(c.price) }), { name: "windows" });
    expect(await change((session) => windows(read(session)), other)).toEqual(changed(/"windows": keys was .*bidder.* and is \[\]/));
  });

  test("in its aggregates is refused", async () => {
    const other = (session: Session): DataFrame<unknown> =>
      read(session)
        .withWatermark("at", "2 s")
        .groupBy((c) => ({ w: window(c.at, "10 s"), bidder: c.bidder }))
        .agg((c) => ({ n: count(), total: max(c.price) }), { name: "windows" });
    expect(await change((session) => windows(read(session)), other)).toEqual(changed(/"windows": aggregates/));
  });

  test("in the size of its windows is refused", async () => {
    const other = (session: Session): DataFrame<unknown> =>
      read(session)
        .withWatermark("at", "2 s")
        .groupBy((c) => ({ w: window(c.at, "20 s"), bidder: c.bidder }))
        .agg((c) => ({ n: count(), total: sum(c.price) }), { name: "windows" });
    expect(await change((session) => windows(read(session)), other)).toEqual(changed(/"windows": life/));
  });

  test("in its sources is refused", async () => {
    expect(
      await change(
        (session) => windows(read(session)),
        (session) => windows(read(session, "others")),
      ),
    ).toEqual(changed(/"bids" \(source.memory\) is no longer there.*"others" \(source.memory\) is new/));
  });

  test("in its output mode is refused", async () => {
    expect(
      await change(
        (session) => windows(read(session)),
        (session) => windows(read(session)),
        ["append", "update"],
      ),
    ).toEqual(changed(/output mode was append and is update/));
  });

  test("in its filters and projections goes on", async () => {
    const other = (session: Session): DataFrame<unknown> => windows(read(session).filter((c) => c.price.gt(5))).select("w_start", "n");
    expect(await change((session) => windows(read(session)), other)).toBe("goes on");
  });

  test("in its watermark's delay goes on", async () => {
    const other = (session: Session): DataFrame<unknown> =>
      read(session)
        .withWatermark("at", "20 s")
        .groupBy((c) => ({ w: window(c.at, "10 s"), bidder: c.bidder }))
        .agg((c) => ({ n: count(), total: sum(c.price) }), { name: "windows" })
        .select("w_start", "bidder", "n", "total");
    expect(await change((session) => windows(read(session)), other)).toBe("goes on");
  });
});
