// A job of the dataflow API in batches gives what it gives as a stream, wherever it is stopped or cut off.
import { afterEach, describe, expect, test, vi } from "vitest";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ManualClock } from "../../../base/clock.ts";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import { faultyStorage } from "../testing/faulty-storage.suite.ts";
import type { OffsetEntry } from "../log/batch-log.ts";
import { BatchHarness, bids, windows } from "./batch-harness.suite.ts";

const opened: BatchHarness[] = [];
afterEach(async () => {
  for (const harness of opened.splice(0)) await harness.close();
});

async function open(options?: Parameters<typeof BatchHarness.open>[0]): Promise<BatchHarness> {
  const harness = await BatchHarness.open(options);
  opened.push(harness);
  return harness;
}

/** One in every split, behind which all windows of before are closed; nobody sees its own. */
const closing = Array.from({ length: 3 }, () => ({ bidder: "end", price: 0, at: 9_000_000 }));

async function plans(harness: BatchHarness, location = "snapshots"): Promise<readonly OffsetEntry[]> {
  const folder = join(harness.folder, location, harness.dataflow.name, "offsets");
  const names = (await readdir(folder)).toSorted();
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8")) as OffsetEntry));
}

describe("batches", () => {
  test.each([1, 3])("at parallelism %i they give what a stream gives, and keep windows open from one to the next", async (parallelism) => {
    const harness = await open();
    const running = await harness.batches({ parallelism, maxRecordsPerTrigger: 70 });
    for (let part = 0; part < 4; part++) {
      harness.push(bids(150, part * 150));
      await running.processAllAvailable();
    }
    const before = harness.seen.length;
    const { expected } = harness;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(expected.length);
    harness.push(closing);
    await running.processAllAvailable();
    expect(harness.seen).toEqual(expected);
    expect(running.lastBatchId).toBeGreaterThan(8);
    expect(running.recentProgress.reduce((sum, { numInputRows }) => sum + numInputRows, 0)).toBe(603);
    expect(running.recentProgress.reduce((sum, { sink }) => sum + sink.numOutputRows, 0)).toBe(expected.length);
  });

  test("are written down before they run: positions from, to, and how many records", async () => {
    const harness = await open({ splits: 1 });
    harness.push(bids(10));
    const running = await harness.batches({ maxRecordsPerTrigger: 4 });
    await running.processAllAvailable();
    const found = await plans(harness);
    expect(found.map(({ batchId, sources }) => [batchId, sources["bids"]])).toEqual(
      [
        [0, 4],
        [4, 8],
        [8, 10],
      ].map(([from = 0, to = 0], batchId) => [
        batchId,
        { from: [{ id: "split-0", position: from }], to: [{ id: "split-0", position: to }], counts: { "split-0": to - from } },
      ]),
    );
  });

  test("with trigger availableNow end with the input, flushing windows of one that ends by itself", async () => {
    const harness = await open({ bounded: true });
    harness.push(bids(400));
    harness.source.end();
    const running = await harness.batches({ trigger: { kind: "availableNow" }, maxRecordsPerTrigger: 50 });
    expect(await running.done).toBe("finished");
    expect(harness.seen).toEqual(harness.expected);
    expect(running.lastBatchId).toBeGreaterThan(5);
  });

  test("with trigger availableNow over an input that goes on leave its windows open, and the next run goes on", async () => {
    const harness = await open();
    harness.push(bids(300));
    const first = await harness.batches({ trigger: { kind: "availableNow" }, parallelism: 2 });
    expect(await first.done).toBe("finished");
    expect(harness.seen.length).toBeLessThan(harness.expected.length);
    harness.push(bids(300, 300));
    const { expected } = harness;
    harness.push(closing);
    const second = await harness.batches({ trigger: { kind: "availableNow" } });
    expect(await second.done).toBe("finished");
    expect(harness.seen).toEqual(expected);
  });

  test("with trigger once are one, however many records there are; more bytes than may be held are refused", async () => {
    const harness = await open();
    harness.push(bids(400));
    const tooMuch = await harness.batches({
      trigger: { kind: "once" },
      maxBytesPerTrigger: 1000,
      checkpointLocation: harness.location("other"),
    });
    await expect(tooMuch.done).rejects.toMatchObject({ code: "BATCH_TOO_LARGE" });
    const running = await harness.batches({ trigger: { kind: "once" }, maxRecordsPerTrigger: 10 });
    expect(await running.done).toBe("finished");
    expect(running.recentProgress.map(({ numInputRows }) => numInputRows)).toEqual([400]);
  });

  test("are closed by their limit of bytes", async () => {
    const harness = await open({ splits: 1 });
    harness.push(bids(9000));
    const running = await harness.batches({ maxBytesPerTrigger: 1000 });
    await running.processAllAvailable();
    expect(running.recentProgress.map(({ numInputRows }) => numInputRows)).toEqual([4096, 4096, 808]);
  });
});

describe("event time", () => {
  test("goes on without records when a split has fallen silent", async () => {
    const harness = await open({ splits: 2 });
    const clock = new ManualClock(1_000_000);
    const dataflow = windows(harness.source, harness.sink, boundedOutOfOrderness(600, { idleAfter: "1 s" }));
    const running = await harness.batches({ dataflow, clock });
    for (const bid of bids(300)) harness.source.push(bid, { split: "split-0" });
    await running.processAllAvailable();
    clock.advance(600);
    harness.source.push({ bidder: "b0", price: 1, at: 3000 }, { split: "split-0" });
    await running.processAllAvailable();
    expect(harness.seen).toEqual([]);
    // The other split has given nothing for a second now, and this one has.
    clock.advance(500);
    await vi.waitFor(() => expect(running.lastBatchId).toBe(2), { timeout: 20_000 });
    await running.processAllAvailable();
    expect(harness.seen.length).toBeGreaterThan(0);
    expect(running.lastProgress).toMatchObject({ batchId: 2, numInputRows: 0, sink: { numOutputRows: harness.seen.length } });
  });

  // Whichever split is read first, for one of these it is the one ahead: the others' rows must hold event time back before they are read.
  test.each([0, 1, 2])(
    "is held back by every split that has rows in the batch, however long nothing was read, split %d ahead",
    async (ahead) => {
      const harness = await open({ splits: 3 });
      const dataflow = windows(harness.source, harness.sink, boundedOutOfOrderness(600, { idleAfter: "1 s" }));
      const clock = new ManualClock(1_000_000);
      const running = await harness.batches({ dataflow, clock });
      const at = (timeMs: number): void => {
        for (const [index, split] of harness.source.splitIds.entries()) {
          const bid = { bidder: `b${index}`, price: 1, at: timeMs + (index === ahead ? 50_000 : 0) };
          harness.source.push(bid, { split });
          harness.pushed.push(bid);
        }
      };
      at(1000);
      await running.processAllAvailable();
      // All splits are idle now.
      clock.advance(60_000);
      at(2000);
      const { expected } = harness;
      await running.processAllAvailable();
      harness.push(closing);
      await running.processAllAvailable();
      expect(harness.seen).toEqual(expected);
    },
  );
});

describe("a crash", () => {
  test("before or after any write of the storage loses nothing and doubles nothing", async () => {
    let calls = Infinity;
    // The run without a crash says how many writes there are; every one of them is then tried, cut before and after.
    for (let crashAt = 0; crashAt <= calls; crashAt++) {
      for (const when of ["before", "after"] as const) {
        const harness = await open();
        harness.push(bids(120));
        const { expected } = harness;
        harness.push(closing);
        // In memory: what counts are the writes, of which a file system would make slow ones.
        const storage = new MemoryStorage();
        const openStorage = async (): Promise<MemoryStorage> => storage;
        const faults = faultyStorage(crashAt === 0 ? Infinity : crashAt, when, openStorage);
        const options = { maxRecordsPerTrigger: 60, openStorage };
        const first = await harness.batches({ ...options, openStorage: faults.open }).catch(() => undefined);
        await first?.processAllAvailable().catch(() => {});
        await first?.stop().catch(() => {});
        if (crashAt === 0) calls = faults.calls;
        const second = await harness.batches(options);
        await second.processAllAvailable();
        await second.stop();
        expect(harness.seen, `crash ${when} write ${crashAt} of ${calls}`).toEqual(expected);
        await harness.close();
        if (crashAt === 0) break;
      }
    }
    expect(calls).toBeGreaterThan(12);
  }, 120_000);

  test.each(["prepare", "commit"] as const)("before or after any %s of the sink does not either", async (step) => {
    for (const when of ["before", "after"] as const) {
      for (const nth of [1, 2]) {
        const harness = await open();
        harness.push(bids(120));
        const { expected } = harness;
        harness.push(closing);
        const dataflow = windows(harness.source, dying(harness.sink, step, nth, when));
        const options = { maxRecordsPerTrigger: 60 };
        const first = await harness.batches({ ...options, dataflow });
        await expect(first.processAllAvailable()).rejects.toThrow("killed");
        const second = await harness.batches(options);
        await second.processAllAvailable();
        expect(harness.seen, `${when} ${step} ${nth}`).toEqual(expected);
      }
    }
  });

  test("between the plan and the commit has the batch run again with the same records, whatever came meanwhile", async () => {
    const harness = await open({ splits: 2 });
    harness.push(bids(100));
    const first = await harness.batches({ dataflow: windows(harness.source, dying(harness.sink, "prepare", 1, "before")) });
    await expect(first.processAllAvailable()).rejects.toThrow("killed");
    const planned = await plans(harness);
    harness.push(bids(100, 100));
    const second = await harness.batches({ parallelism: 2 });
    await second.processAllAvailable();
    expect(second.recentProgress.map(({ batchId, numInputRows }) => [batchId, numInputRows])).toEqual([
      [0, 100],
      [1, 100],
    ]);
    expect((await plans(harness))[0]).toEqual(planned[0]);
  });

  test("leaves a planned batch that cannot be read again: that is said", async () => {
    const harness = await open({ splits: 1 });
    harness.push(bids(100));
    const first = await harness.batches({ dataflow: windows(harness.source, dying(harness.sink, "prepare", 1, "before")) });
    await expect(first.processAllAvailable()).rejects.toThrow("killed");
    const other = await open({ splits: 0 });
    const second = await harness.batches({ dataflow: windows(other.source, harness.sink) });
    await expect(second.done).rejects.toMatchObject({ code: "BATCH_INPUT_CHANGED" });
  });

  test("of a driver that another one has taken over from stops it, and only it", async () => {
    const harness = await open();
    const first = await harness.batches();
    harness.push(bids(100));
    await first.processAllAvailable();
    const second = await harness.batches();
    harness.push(bids(100, 100));
    const { expected } = harness;
    harness.push(closing);
    await second.processAllAvailable();
    await expect(first.done).rejects.toThrow(/taken|driver|FENCED/);
    await second.processAllAvailable();
    expect(harness.seen).toEqual(expected);
  });
});

test("a plan that a fenced driver writes behind the takeover is replaced: nothing of it can be seen", async () => {
  const harness = await open({ splits: 1 });
  const first = await harness.batches();
  harness.push(bids(10));
  await first.processAllAvailable();
  await first.stop();
  const [done] = await plans(harness);
  const second = await harness.batches();
  await second.processAllAvailable();
  const late = { ...done, batchId: 1, sources: {} };
  await writeFile(join(harness.folder, "snapshots", harness.dataflow.name, "offsets", "000000000001.json"), JSON.stringify(late));
  harness.push(bids(10, 10));
  await second.processAllAvailable();
  expect((await plans(harness)).map(({ batchId, epoch, sources }) => [batchId, epoch, sources["bids"]?.counts])).toEqual([
    [0, done?.epoch, { "split-0": 10 }],
    [1, (done?.epoch ?? 0) + 1, { "split-0": 10 }],
  ]);
});

describe("stopping", () => {
  test("immediately gives the batch up, and the next start runs it again", async () => {
    const harness = await open({ splits: 1 });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    harness.push(bids(50));
    const full = fullUntil(harness.sink, held);
    const first = await harness.batches({ dataflow: windows(harness.source, full.sink) });
    await full.asked;
    const stopped = first.stop("immediate");
    release();
    await stopped;
    expect(await first.done).toBe("stopped");
    expect(first.lastBatchId).toBe(-1);
    const second = await harness.batches();
    await second.processAllAvailable();
    expect(second.recentProgress.map(({ batchId, numInputRows }) => [batchId, numInputRows])).toEqual([[0, 50]]);
  });
});

describe("a change of shape", () => {
  test("stream, batches, stream, batches: by savepoints, with windows open at each", async () => {
    const harness = await open();
    harness.push(bids(200));
    const stream = harness.stream(harness.location("one"));
    const streaming = stream.run();
    await vi.waitFor(() => expect(harness.seen.length).toBeGreaterThan(0), { timeout: 20_000 });
    harness.push(bids(100, 200));
    const out = await stream.savepoint("out", "stop");
    expect(await streaming).toBe("stopped");

    const restore = { location: out.location as string };
    const batches = await harness.batches({
      checkpointLocation: harness.location("two"),
      restore,
      parallelism: 3,
      maxRecordsPerTrigger: 40,
    });
    harness.push(bids(200, 300));
    await batches.processAllAvailable();
    const back = await batches.savepoint("back", "stop");
    expect(await batches.done).toBe("stopped");
    const before = harness.seen.length;

    const again = harness.stream(harness.location("three"), back.url, 1);
    const streamed = again.run();
    harness.push(bids(300, 500));
    await vi.waitFor(() => expect(harness.seen.length).toBeGreaterThan(before), { timeout: 20_000 });
    const last = await again.savepoint("last", "stop");
    await streamed;

    const { expected } = harness;
    expect(harness.seen.length).toBeLessThan(expected.length);
    harness.push(closing);
    const end = await harness.batches({ checkpointLocation: harness.location("four"), restore: { location: last.location as string } });
    await end.processAllAvailable();
    expect(harness.seen).toEqual(expected);
  });

  test("at one storage needs no savepoint: each goes on from the newest checkpoint of the other", async () => {
    const harness = await open();
    for (let part = 0; part < 3; part++) {
      harness.push(bids(100, part * 200));
      const batches = await harness.batches({ trigger: { kind: "availableNow" } });
      expect(await batches.done).toBe("finished");
      harness.push(bids(100, part * 200 + 100));
      const stream = harness.stream(harness.location());
      const streaming = stream.run();
      const before = harness.seen.length;
      await vi.waitFor(() => expect(harness.seen.length).toBeGreaterThan(before), { timeout: 20_000 });
      await stream.stop();
      await streaming;
    }
    const { expected } = harness;
    harness.push(closing);
    const end = await harness.batches({ trigger: { kind: "availableNow" } });
    await end.done;
    expect(harness.seen).toEqual(expected);
  });

  test("a savepoint while batches go on is what they were between two of them; its id is taken once", async () => {
    const harness = await open();
    const running = await harness.batches();
    // Before there is any batch.
    const empty = await running.savepoint("empty");
    harness.push(bids(200));
    await running.processAllAvailable();
    const kept = await running.savepoint("kept");
    expect(await running.savepoint("kept")).toEqual(kept);
    expect(await running.savepointResult("empty")).toEqual(empty);
    harness.push(bids(100, 200));
    const { expected } = harness;
    harness.push(closing);
    await running.processAllAvailable();
    await running.stop();
    expect(harness.seen).toEqual(expected);
    // From the savepoint, the same comes once more, and no window of before it.
    const seenBefore = harness.sink.rows.length;
    const again = await harness.batches({ checkpointLocation: harness.location("again"), restore: { location: kept.url } });
    await again.processAllAvailable();
    const repeated = harness.sink.rows
      .slice(seenBefore)
      .map(({ bidder, windowStart, n, total }) => `${bidder} ${windowStart} ${n} ${total}`);
    expect(repeated.length).toBeGreaterThan(0);
    expect(repeated.length).toBeLessThan(expected.length);
    expect(expected).toEqual(expect.arrayContaining(repeated));
  });
});

/** The sink, whose writer is killed at its nth `step`: nothing works from then on. */
function dying(sink: Sink, step: "prepare" | "commit", nth: number, when: "before" | "after"): Sink {
  let calls = 0;
  return wrap(sink, (writer) => ({
    [step]: async (checkpointId: number) => {
      calls++;
      if (calls < nth) return writer[step](checkpointId);
      if (calls === nth && when === "after") await writer[step](checkpointId);
      throw new Error("killed");
    },
  }));
}

/** The sink, which has no room until `held` settles. */
function fullUntil(sink: Sink, held: Promise<void>): { readonly sink: Sink; readonly asked: Promise<void> } {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const full = wrap(sink, () => ({
    ready: () => {
      resolve();
      return held;
    },
  }));
  return { sink: full, asked };
}

function wrap(sink: Sink, change: (writer: SinkWriter) => Partial<SinkWriter>): Sink {
  const { connector, options, accepts, delivery } = sink;
  return {
    ...{ connector, options, accepts, delivery },
    openWriter: async (context, rowSchema) => {
      const writer = await sink.openWriter(context, rowSchema);
      const changed = change(writer);
      return new Proxy(writer, {
        get: (target, name) => {
          const own = (changed as Record<string | symbol, unknown>)[name];
          if (own !== undefined) return own;
          const value: unknown = Reflect.get(target, name);
          return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
        },
      });
    },
  };
}
