// What slots promise under pressure and failure: no deadlock, bounded queues, checkpoints that do not wait for a stuck sink, commands that may come twice.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Random, runSeed } from "../../../../../test/reference/random.ts";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { memoryRecords, memorySink, memorySource } from "../../../connectors/memory/index.ts";
import { ManualClock } from "../../../base/clock.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import { int32, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { job } from "../../../dsl/job.ts";
import { state } from "../../../index.ts";
import { count } from "../../../operators/aggregate/call.ts";
import { json } from "../../../serde/json/json.ts";
import type { SliceReport, SlotEvent } from "../slot-protocol.ts";
import { TestCluster, type TestClusterOptions } from "../testing/test-cluster.suite.ts";
import {
  Bid,
  makeBids,
  newSource,
  pauseMs,
  push,
  shown,
  slowSink,
  smallPolls,
  turns,
  type Workload,
  workloads,
} from "../testing/workload.suite.ts";

const seed = runSeed();
beforeAll(() => {
  process.stdout.write(`slot behaviour: MILLRACE_SEED=${seed}\n`);
});

let directory = "";
const clusters: TestCluster[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-slots-"));
});
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
  await rm(directory, { recursive: true, force: true });
});

const sorted = (lines: readonly string[]): readonly string[] => [...lines].sort();
const windows = workloads[0] as Workload;
const twoShuffles = workloads[3] as Workload;
const tiny = { limits: { frameBytes: 300, frameRows: 8 }, flushTimeoutMs: 1, bufferBytes: 1 };

async function start(
  options: Omit<TestClusterOptions, "storage" | "directory"> & { readonly storage?: MemoryStorage },
): Promise<TestCluster> {
  const cluster = await TestCluster.start({ storage: new MemoryStorage(), directory: join(directory, `${clusters.length}`), ...options });
  clusters.push(cluster);
  return cluster;
}

function bids(howMany: number): readonly Bid[] {
  const random = new Random(seed);
  return makeBids(() => random.next(), howMany);
}

async function until(met: () => boolean): Promise<void> {
  while (!met()) await pauseMs(2);
}

function lastReports(events: readonly SlotEvent[]): readonly SliceReport[] {
  const reports = new Map<number, SliceReport>();
  for (const event of events) if (event.kind === "report") reports.set(event.slice.slot, event.report);
  return [...reports.values()];
}

describe(`pressure (seed ${seed})`, () => {
  test.each(["memory", "tcp"] as const)(
    "slots that send to each other with credit for one frame, before a slow sink, come to an end by %s",
    async (transport) => {
      const all = bids(4000);
      const source = newSource();
      push(source, all);
      source.end();
      const sink = memorySink();
      // Every slot sends to every other one, twice in a row, and each has a sink that takes a few rows at a time.
      const dataflow = twoShuffles.build(
        source,
        slowSink(sink, 5, () => turns(3)),
      );
      const cluster = await start({ dataflow, parallelism: 4, slots: 4, transport, exchange: tiny });
      await cluster.finish();
      expect(sorted(shown(sink))).toEqual(sorted(twoShuffles.expected(all)));
    },
    60_000,
  );

  test("a sink that is stuck stalls the sources, with little under way, and a slot that is stalled goes on receiving", async () => {
    const Row = schema({ key: string(), n: int32() });
    const source = memorySource(Row, { splits: 4 });
    for (let n = 0; n < 40_000; n++) source.push({ key: `k${n % 50}`, n }, { split: `split-${n % 4}` });
    source.end();
    const sink = memorySink();
    let stuck = true;
    const free = Promise.withResolvers<void>();
    const slow = slowSink(sink, 1, () => (stuck ? free.promise : Promise.resolve()));
    const dataflow = job("stuck", (flow) => {
      flow.source("rows", source).keyBy("key").aggregate({ n: count() }, { uid: "c", upsert: false }).to("out", slow);
    }).build();
    const cluster = await start({
      dataflow,
      parallelism: 4,
      slots: 4,
      exchange: { ...tiny, limits: { frameBytes: 2000, frameRows: 100 } },
    });
    const polled = (): number =>
      lastReports(cluster.events)
        .flatMap(({ subtasks }) => subtasks.filter(({ uid }) => uid === "rows"))
        .reduce((sum, { rowsIn }) => sum + rowsIn, 0);
    await until(() => polled() > 0);
    const settled = { rows: -1, times: 0 };
    while (settled.times < 3) {
      await pauseMs(1050);
      settled.times = settled.rows === polled() ? settled.times + 1 : 0;
      settled.rows = polled();
    }
    // Each source gave at most a few polls; the rest waits where it comes from.
    expect(settled.rows).toBeLessThanOrEqual(4 * 4096 * 2);
    const reports = lastReports(cluster.events);
    expect(Math.max(...reports.map(({ exchange }) => exchange.queuedBytesIn))).toBeLessThan(3 * 4000);
    expect(reports.every(({ backpressuredMs }) => backpressuredMs > 500)).toBe(true);
    stuck = false;
    free.resolve();
    await cluster.finish();
    expect(sink.table.map((row) => (row as { n: number }).n)).toEqual(Array.from({ length: 50 }, () => 800));
  });

  test("a checkpoint does not wait for a stuck sink: it overtakes what is on its way, and a restore goes on from there", async () => {
    const Row = schema({ key: string(), n: int32() });
    const source = memorySource(Row, { splits: 4 });
    for (let n = 0; n < 4000; n++) source.push({ key: `k${n % 50}`, n }, { split: `split-${n % 4}` });
    const sink = memorySink();
    const build = (to: Sink) =>
      job("passing", (flow) => {
        flow
          .source("rows", source)
          .keyBy("key")
          .process({ onRow: ({ key, n }, context) => context.emit({ key, n }) }, { uid: "p", output: Row })
          .to("out", to);
      }).build();
    const never = slowSink(sink, 1, () => new Promise(() => {}));
    const storage = new MemoryStorage();
    const first = await start({
      dataflow: build(never),
      parallelism: 3,
      slots: 3,
      exchange: { ...tiny, flushTimeoutMs: 0 },
      alignmentTimeoutMs: 30,
      storage,
    });
    await turns(100);
    const { ref, acks } = await first.checkpoint("hold");
    expect(acks.map(({ times }) => times.unaligned)).toEqual([true, true, true]);
    expect(Math.min(...acks.map(({ times }) => times.inFlightBytes))).toBeGreaterThan(1000);
    await first.close();
    // The share of a poll that stays in its slot is one call; the rest waits.
    expect(sink.written.length).toBeLessThan(2000);
    source.end();
    const second = await start({ dataflow: build(sink), parallelism: 2, slots: 2, storage, restore: ref });
    await second.finish();
    const numbers = sink.written.map(({ row }) => (row as { n: number }).n);
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 4000 }, (_, n) => n));
    // Rows of one key that came from one split are still in its order.
    const lanes = Map.groupBy(
      sink.written.map(({ row }) => row as { key: string; n: number }),
      ({ key, n }) => `${key} ${n % 4}`,
    );
    for (const lane of lanes.values()) expect(lane.map(({ n }) => n)).toEqual(lane.map(({ n }) => n).sort((a, b) => a - b));
  });

  test("rows that a restored checkpoint had in flight are in flight again for the next one, at any parallelism, while the sink is stuck still", async () => {
    const Row = schema({ key: string(), n: int32() });
    const source = memorySource(Row, { splits: 4 });
    for (let n = 0; n < 4000; n++) source.push({ key: `k${n % 50}`, n }, { split: `split-${n % 4}` });
    const sink = memorySink();
    const build = (to: Sink) =>
      job("passing-again", (flow) => {
        flow
          .source("rows", source)
          .keyBy("key")
          .process({ onRow: ({ key, n }, context) => context.emit({ key, n }) }, { uid: "p", output: Row })
          .to("out", to);
      }).build();
    const never = slowSink(sink, 1, () => new Promise(() => {}));
    const storage = new MemoryStorage();
    const options = { dataflow: build(never), exchange: { ...tiny, flushTimeoutMs: 0 }, alignmentTimeoutMs: 30, storage };
    let restore: { readonly restore?: NonNullable<TestClusterOptions["restore"]> } = {};
    const inFlight: number[] = [];
    // Twice at another parallelism, and twice more without anything being processed in between.
    for (const slots of [3, 2, 4, 4]) {
      const stuck = await start({ ...options, ...restore, parallelism: slots, slots });
      await turns(50);
      const { ref, acks } = await stuck.checkpoint("hold");
      expect(acks.every(({ times }) => times.unaligned)).toBe(true);
      inFlight.push(acks.reduce((sum, { times }) => sum + times.inFlightBytes, 0));
      restore = { restore: ref };
      await stuck.close();
    }
    expect(Math.min(...inFlight)).toBeGreaterThan(1000);
    source.end();
    const last = await start({ dataflow: build(sink), parallelism: 3, slots: 3, storage, ...restore });
    await last.finish();
    const numbers = sink.written.map(({ row }) => (row as { n: number }).n);
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 4000 }, (_, n) => n));
    const lanes = Map.groupBy(
      sink.written.map(({ row }) => row as { key: string; n: number }),
      ({ key, n }) => `${key} ${n % 4}`,
    );
    for (const lane of lanes.values()) expect(lane.map(({ n }) => n)).toEqual(lane.map(({ n }) => n).sort((a, b) => a - b));
  });
});

describe(`an instance that takes nothing (seed ${seed})`, () => {
  test("stops a source in another slot after a window of rows, and what was on its way to it goes before everything after a restore", async () => {
    const all = bids(40_000);
    const source = memorySource(Bid, { splits: 1 });
    for (const bid of all) source.push(bid);
    source.end();
    const sink = memorySink();
    // The second instance is full from the start: nothing enters the window before it, while the first one goes on.
    const halfStuck: Sink = {
      ...slowSink(sink, Infinity, () => Promise.resolve()),
      openWriter: async (context, of) => {
        const writer = await sink.openWriter(context, of);
        const never = new Promise<void>(() => {});
        return { ...plainWriter(writer), ready: () => (context.subtask === 1 ? never : undefined) };
      },
    };
    const storage = new MemoryStorage();
    const exchange = { limits: { frameBytes: 100_000, frameRows: 20 }, flushTimeoutMs: 0, bufferBytes: 30_000 };
    const first = await start({
      dataflow: windows.build(source, halfStuck),
      parallelism: 2,
      slots: 2,
      exchange,
      alignmentTimeoutMs: 20,
      storage,
    });
    await turns(200);
    const { ref, acks } = await first.checkpoint("hold");
    const read = acks.flatMap(({ ack }) => ack.subtasks.flatMap(({ splits }) => splits ?? [])).map(({ position }) => position as number);
    // The window is 30,000 bytes, and a row of it about 40.
    expect(Math.max(...read)).toBeLessThanOrEqual(4000);
    expect(acks.find(({ slice }) => slice.slot === 1)?.times.inFlightBytes).toBeGreaterThan(30_000);
    await first.close();
    // With one instance, the first thing that the source says is a time that is later than all that was on its way.
    const second = await start({ dataflow: windows.build(source, sink), parallelism: 1, slots: 1, storage, restore: ref });
    await second.finish();
    expect(sorted(shown(sink))).toEqual(sorted(windows.expected(all)));
  });
});

describe("ends of a job", () => {
  test("a drain flushes windows of an endless source, and nothing follows it", async () => {
    const all = bids(2000);
    const source = memorySource(Bid, { splits: 4, bounded: false });
    push(source, all);
    const sink = memorySink();
    const cluster = await start({ dataflow: windows.build(source, sink), parallelism: 3, slots: 2 });
    await until(
      () =>
        lastReports(cluster.events)
          .flatMap(({ subtasks }) => subtasks.filter(({ uid }) => uid === "bids"))
          .reduce((sum, { rowsIn }) => sum + rowsIn, 0) === 2000,
    );
    await cluster.checkpoint("drain");
    expect(sorted(shown(sink))).toEqual(sorted(windows.expected(all)));
    const before = sink.written.length;
    push(source, all);
    await turns(20);
    const statuses = await Promise.all(cluster.slots.map((slot) => slot.status()));
    expect(statuses.flat().map((status) => status.state)).toEqual(["holding", "holding"]);
    expect(sink.written.length).toBe(before);
  });

  test("after a hold no row is processed", async () => {
    const all = bids(3000);
    const source = newSource();
    push(source, all, 0, 1500);
    const sink = memorySink({ delivery: "at-least-once" });
    const cluster = await start({ dataflow: windows.build(source, sink), parallelism: 2, slots: 2 });
    await cluster.checkpoint("hold");
    const written = sink.written.length;
    push(source, all, 1500);
    source.end();
    await turns(50);
    expect(sink.written.length).toBe(written);
  });

  test("asynchronous calls under way when a drain comes are finished before its barrier passes", async () => {
    const Row = schema({ n: int32() });
    const source = memorySource(Row, { splits: 2, bounded: false });
    for (let n = 0; n < 300; n++) source.push({ n }, { split: `split-${n % 2}` });
    const sink = memorySink();
    const dataflow = job("async", (flow) => {
      flow
        .source("rows", source)
        .asyncMap(
          Row,
          async ({ n }) => {
            await turns(1 + (n % 3));
            return { n: n * 2 };
          },
          { uid: "ask", capacity: 8, parallelism: 3 },
        )
        .to("out", sink);
    }).build();
    const cluster = await start({ dataflow, parallelism: 2, slots: 3 });
    await until(() => sink.written.length >= 0 && lastReports(cluster.events).length === 3);
    await turns(10);
    const { acks } = await cluster.checkpoint("drain");
    expect(sink.written.map(({ row }) => (row as { n: number }).n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 300 }, (_, n) => n * 2),
    );
    // Nothing was left to be asked again.
    expect(
      acks.flatMap(({ ack }) =>
        ack.subtasks
          .filter(({ uid }) => uid === "ask")
          .flatMap(({ lists }) => lists.filter(({ name }) => name === "in-flight").map(({ entryCount }) => entryCount)),
      ),
    ).toEqual([0, 0, 0]);
  });
});

describe("commands and failures", () => {
  test("triggers and commits that come again are answered again, and an older leader's are refused", async () => {
    const source = newSource();
    push(source, bids(500));
    const sink = memorySink();
    const cluster = await start({ dataflow: windows.build(source, sink), parallelism: 2, slots: 2 });
    const { checkpointId, acks } = await cluster.capture();
    const count = (kind: SlotEvent["kind"]): number => cluster.events.filter((event) => event.kind === kind).length;
    cluster.trigger(checkpointId, "go");
    expect(count("acknowledged")).toBe(4);
    expect((await cluster.slots[0]?.status())?.[0]?.pending?.ack?.checkpointId).toBe(checkpointId);
    await cluster.publish(checkpointId, acks);
    await cluster.commit(checkpointId);
    cluster.trigger(checkpointId, "go");
    expect(count("committed")).toBe(4);
    const slice = { region: "all", attempt: 1, slot: 0 };
    cluster.slots[0]?.command({ epoch: 0, slice, kind: "cancel" });
    cluster.slots[0]?.command({ epoch: 99, slice: { ...slice, attempt: 7 }, kind: "cancel" });
    await turns(20);
    const [status] = (await cluster.slots[0]?.status()) ?? [];
    expect([status?.state, status?.committedCheckpointId, status?.pending]).toEqual(["running", checkpointId, undefined]);
    expect(status?.checkpointAgeMs, "a new leader keeps the rhythm").toBeGreaterThan(0);
    expect(cluster.events.filter(({ kind }) => kind === "closed").map(({ slice: { attempt } }) => attempt)).toEqual([7]);
  });

  test("a base that the leader asks for comes with a later checkpoint", async () => {
    const source = newSource();
    push(source, bids(500));
    const cluster = await start({ dataflow: windows.build(source, memorySink()), parallelism: 2, slots: 2 });
    await cluster.checkpoint();
    cluster.bases();
    const found = new Set<number>();
    while (found.size < 2) {
      await turns(5);
      for (const { ack } of (await cluster.checkpoint()).acks) {
        for (const { uid, subtask, state: parts } of ack.subtasks)
          if (uid === "w" && parts.some(({ kind }) => kind === "base")) found.add(subtask);
      }
    }
    expect([...found].sort()).toEqual([0, 1]);
  });

  test("two checkpoints at a time are refused", async () => {
    const source = newSource();
    const cluster = await start({ dataflow: windows.build(source, memorySink()), parallelism: 1, slots: 1 });
    cluster.trigger(5, "go");
    cluster.trigger(6, "go");
    expect((await cluster.failed()).code).toBe("CHECKPOINT_OVERLAP");
  });

  test("a lost peer is told with its slot", async () => {
    const source = newSource();
    push(source, bids(500));
    const cluster = await start({ dataflow: windows.build(source, memorySink()), parallelism: 3, slots: 3 });
    cluster.network.cut(2);
    await cluster.failed();
    await until(() => cluster.events.filter(({ kind }) => kind === "failed").length === 3);
    const failures = cluster.events.filter((event) => event.kind === "failed");
    expect(failures.every(({ code, fatal }) => code === "EXCHANGE_LOST" && !fatal)).toBe(true);
    expect(failures.some(({ slice, lostSlot }) => slice.slot !== 1 && lostSlot === 1)).toBe(true);
  });

  test("a function that fails is told with its operator, its instance and the record", async () => {
    const source = memoryRecords({ splits: 2 });
    for (let n = 0; n < 400; n++) source.push({ value: JSON.stringify({ key: `k${n}`, n }) }, `split-${n % 2}`);
    const dataflow = job("failing", (flow) => {
      flow
        .source("rows", { source, format: json(schema({ key: string(), n: int32() })) })
        .filter(
          ({ n }) => {
            if (n === 301) throw new Error("no");
            return true;
          },
          { uid: "picky" },
        )
        .keyBy("key")
        .aggregate({ n: count() }, { uid: "c", upsert: false })
        .to("out", memorySink());
    }).build();
    const cluster = await start({ dataflow, parallelism: 2, slots: 2 });
    const failed = await cluster.failed();
    // Row 301 is number 150 of the second split, which the second instance reads.
    expect(failed).toMatchObject({
      code: "FUNCTION_FAILED",
      uid: "picky",
      subtask: 1,
      record: { splitId: "split-1", position: 150 },
      fatal: true,
    });
  });

  test("a source that fails is told, and closing what has failed leaves nothing behind", async () => {
    const source = newSource();
    const cluster = await start({ dataflow: windows.build(source, memorySink()), parallelism: 2, slots: 2 });
    await turns(5);
    source.fail(new Error("the broker is gone"));
    expect(await cluster.failed()).toMatchObject({ code: "INTERNAL", message: expect.stringContaining("the broker is gone") as string });
  });
});

describe(`dead letters, rules and time (seed ${seed})`, () => {
  test("dead letters are there once, whatever overtakes them, over restores at other parallelisms", async () => {
    for (let round = 0; round < 6; round++) await lettersInPhases(new Random(seed + round), round === 5 ? 0 : Infinity);
  });

  // Each phase starts from the last one's checkpoint; what was processed after that is lost, letters too, and comes again.
  async function lettersInPhases(random: Random, alignmentTimeoutMs: number): Promise<void> {
    const all = bids(3000);
    const source = newSource();
    const sink = memorySink();
    const letters = memorySink();
    const storage = new MemoryStorage();
    const build = (to: Sink) =>
      job("letters", (flow) => {
        flow
          .source("bids", { source: smallPolls(source) }, { time: "at" })
          .filter(
            (bid) => {
              if (bid.price % 10 === 3) throw new Error(`bad at the source`);
              return true;
            },
            { uid: "before" },
          )
          .keyBy("bidder")
          .process(
            { onRow: (row, context) => (row.price % 10 === 7 ? fail(`bad behind the exchange`) : context.emit({ n: row.price })) },
            { uid: "after", output: schema({ n: int32() }) },
          )
          .to("out", to);
      }).build();
    let restore: TestClusterOptions["restore"];
    for (const [phase, parallelism] of [4, 6, 3].entries()) {
      push(source, all, phase * 1000, (phase + 1) * 1000);
      if (phase === 2) source.end();
      const cluster = await start({
        dataflow: build(unevenSink(sink)),
        parallelism,
        slots: phase === 2 ? 3 : 2,
        storage,
        deadLetterSink: letters,
        exchange: tiny,
        alignmentTimeoutMs,
        ...(restore === undefined ? {} : { restore }),
      });
      for (let checkpoint = 0; checkpoint < 3; checkpoint++) {
        await turns(random.int(0, 10));
        restore = (await cluster.checkpoint()).ref;
      }
      await turns(random.int(0, 10));
      if (phase === 2) await cluster.finish();
      await cluster.close();
    }
    const bad = (digit: number): number => all.filter(({ price }) => price % 10 === digit).length;
    const uids = letters.written.map(({ row }) => (row as { uid: string }).uid);
    expect([uids.filter((uid) => uid === "before").length, uids.filter((uid) => uid === "after").length]).toEqual([bad(3), bad(7)]);
    expect(sink.written).toHaveLength(3000 - bad(3) - bad(7));
  }

  test("broadcast rules reach every instance once, also from a checkpoint that overtook some of them", async () => {
    const random = new Random(seed);
    const Rule = schema({ id: string(), add: int32() });
    const Row = schema({ n: int32() });
    for (let round = 0; round < 6; round++) {
      const [rows, rules] = [memorySource(Row, { splits: 3 }), memorySource(Rule, { splits: 1 })];
      const sink = memorySink();
      const storage = new MemoryStorage();
      const build = () =>
        job("rules", (flow) => {
          flow
            .source("rows", rows)
            .broadcast(
              flow.source("rules", rules),
              {
                onRow: (row, context, { sums }) => context.emit({ n: row.n + (sums.get("all")?.total ?? 0) }),
                onBroadcast: ({ add }, { sums }) => sums.set("all", { total: (sums.get("all")?.total ?? 0) + add }),
              },
              { uid: "b", output: Row, maps: { sums: state.map(string(), schema({ total: int32() })) } },
            )
            .to("out", sink);
        }).build();
      for (let n = 0; n < 200; n++) rules.push({ id: `${n}`, add: 1 });
      rules.end();
      const first = await start({ dataflow: build(), parallelism: 3, slots: 3, storage, exchange: tiny, alignmentTimeoutMs: 0 });
      await turns(random.int(0, 8));
      const { ref } = await first.checkpoint("hold");
      await first.close();
      const second = await start({ dataflow: build(), parallelism: 4, slots: 2, storage, restore: ref });
      // All rules are in before the first row comes.
      await until(() => lastReports(second.events).every(({ subtasks }) => subtasks.filter(({ uid }) => uid === "b").length > 0));
      await turns(60);
      for (let n = 0; n < 40; n++) rows.push({ n: 0 }, { split: `split-${n % 3}` });
      rows.end();
      await second.finish();
      await second.close();
      expect(new Set(sink.written.map(({ row }) => (row as { n: number }).n))).toEqual(new Set([200]));
      expect(sink.written).toHaveLength(40);
    }
  });

  test("timers of processing time fire by the job's clock in every slot", async () => {
    const clock = new ManualClock(1000);
    const Row = schema({ key: string() });
    const source = memorySource(Row, { splits: 2, bounded: false });
    for (let n = 0; n < 40; n++) source.push({ key: `k${n}` }, { split: `split-${n % 2}` });
    const sink = memorySink({ delivery: "at-least-once" });
    const dataflow = job("ticks", (flow) => {
      flow
        .source("rows", source)
        .keyBy("key")
        .process(
          {
            onRow: (_row, context) => context.timers.onProcessingTime(5000),
            onTimer: (_timer, context) => context.emit({ key: context.key.key }),
          },
          { uid: "t", output: Row },
        )
        .to("out", sink);
    }).build();
    const cluster = await start({ dataflow, parallelism: 4, slots: 4, clock });
    await turns(60);
    expect(sink.written).toHaveLength(0);
    clock.advance(4100);
    await until(() => sink.written.length === 40);
    expect(new Set(sink.written.map(({ subtask }) => subtask))).toEqual(new Set([0, 1, 2, 3]));
    await cluster.close();
  });
});

// The methods of a writer as an object of its own, so that some can be replaced.
function plainWriter(writer: SinkWriter): SinkWriter {
  return {
    write: (batch) => writer.write(batch),
    ready: () => writer.ready(),
    flush: () => writer.flush(),
    prepare: (checkpointId) => writer.prepare(checkpointId),
    commit: (checkpointId) => writer.commit(checkpointId),
    close: () => writer.close(),
  };
}

// Some instances take rows at once, others a few at a time: so instances of one slot are far apart.
function unevenSink(sink: Sink): Sink {
  const slow = slowSink(sink, 2, () => turns(12));
  return { ...slow, openWriter: (context, of) => (context.subtask === 0 ? sink : slow).openWriter(context, of) };
}

function fail(message: string): never {
  throw new Error(message);
}
