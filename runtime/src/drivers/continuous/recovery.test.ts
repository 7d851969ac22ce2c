// Exactly-once of a whole job under failures: crashes at random moments, restores, changes of parallelism; against a plain computation.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Random, runSeed } from "../../../../test/reference/random.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { type MemorySink, memorySink, memorySource } from "../../connectors/memory/index.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import { int32, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import { job } from "../../dsl/job.ts";
import { tumbling } from "../../dsl/windows.ts";
import { count, max, sum } from "../../operators/aggregate/call.ts";
import type { Dataflow, DataflowNode } from "../../plan/dataflow.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { jobSnapshots } from "./job-snapshots.ts";
import { Supervisor } from "./supervisor.ts";

const Bid = schema({ bidder: string(), price: int32(), at: timestamp() });
type Bid = RowType<typeof Bid>;
const seed = runSeed();

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-recovery-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function random(start: number): () => number {
  const made = new Random(start);
  return () => made.next();
}

function makeBids(next: () => number, howMany: number): readonly Bid[] {
  return Array.from({ length: howMany }, (_, index) => ({
    bidder: `b${Math.floor(next() * 20)}`,
    price: Math.floor(next() * 1000),
    at: index * 10 + Math.floor(next() * 500),
  }));
}

// Windows of one second as a plain computation; nothing is late since every split is within its bound.
function expected(bids: readonly Bid[]): readonly string[] {
  const windows = new Map<string, { n: number; total: number; best: number }>();
  for (const bid of bids) {
    const start = Math.floor(bid.at / 1000) * 1000;
    const id = `${bid.bidder} ${start}`;
    const window = windows.get(id) ?? { n: 0, total: 0, best: -1 };
    windows.set(id, { n: window.n + 1, total: window.total + bid.price, best: Math.max(window.best, bid.price) });
  }
  return [...windows].map(([id, { n, total, best }]) => `${id} ${n} ${total} ${best}`).sort();
}

function shown(sink: MemorySink): readonly string[] {
  return sink.written
    .map(({ row }) => row as { bidder: string; windowStart: number; n: number; total: number; best: number })
    .map(({ bidder, windowStart, n, total, best }) => `${bidder} ${windowStart} ${n} ${total} ${best}`)
    .sort();
}

// Passes rows on, slowly enough for checkpoints to happen, and throws when told to.
function flaky(shouldFail: (rows: number) => boolean): OperatorFactory {
  return (context) => {
    const output = context.output();
    return {
      process(batch) {
        if (shouldFail(batch.count)) throw new Error("injected crash");
        output.emit(batch);
      },
    };
  };
}

/** The bids' dataflow with the flaky operator between the source and the window. */
function dataflowOf(source: ReturnType<typeof memorySource<Bid>>, sink: MemorySink, shouldFail: (rows: number) => boolean): Dataflow {
  const built = job("recovery", (flow) => {
    flow
      .source("bids", source, { time: "at", watermarks: boundedOutOfOrderness(600) })
      .filter(() => true, { uid: "flaky" })
      .keyBy("bidder")
      .window(tumbling(1000))
      .aggregate({ n: count(), total: sum("price"), best: max("price") }, { uid: "windows" })
      .to("out", sink);
  }).build();
  const nodes: DataflowNode[] = [];
  for (const node of built.nodes) {
    const inputs = node.inputs.map((input) => ({ ...input, from: nodes[input.from.id] as DataflowNode }));
    nodes.push(
      node.uid === "flaky" ? { ...node, inputs, body: { kind: "operator", keyed: false, create: flaky(shouldFail) } } : { ...node, inputs },
    );
  }
  return { name: built.name, nodes };
}

function supervise(dataflow: Dataflow, parallelism: number, initialSavepoint?: string): Supervisor {
  return new Supervisor({
    jobName: dataflow.name,
    dataflow,
    parallelism,
    maxParallelism: 16,
    clock: systemClock,
    log: silentLog,
    stateBackend: memoryBackend(),
    directory: join(directory, "work"),
    checkpointIntervalMs: 5,
    badRows: { onBadRecord: "fail", maxPerMinute: 0 },
    checkpoints: { intervalMs: 5, minPauseMs: 0, tolerableFailures: 3 },
    restarts: { maxAttempts: 1000, initialMs: 1, maxMs: 2, resetAfterMs: 1000 },
    random: () => 0,
    begin: jobSnapshots({
      storage: pathToFileURL(join(directory, "snapshots")).href,
      storageOptions: {},
      dataflow,
      maxParallelism: 16,
      retained: 2,
      initialSavepoint,
      allowNonRestoredState: false,
      merging: entryMerging,
      hasDeadLetterSink: false,
      log: silentLog,
      clock: systemClock,
    }),
  });
}

function pushInBackground(source: ReturnType<typeof memorySource<Bid>>, bids: readonly Bid[], chunk: number, end = true): Promise<void> {
  const splits = source.splitIds;
  return (async () => {
    for (let at = 0; at < bids.length; at += chunk) {
      for (const [offset, bid] of bids.slice(at, at + chunk).entries())
        source.push(bid, { split: splits[(at + offset) % splits.length] as string });
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (end) source.end();
  })();
}

describe(`recovery (seed ${seed})`, () => {
  test.each([1, 3])("at parallelism %i a job that crashes again and again gives every result once", async (parallelism) => {
    const next = random(seed + parallelism);
    const bids = makeBids(next, 6000);
    const source = memorySource(Bid, { splits: 3 });
    const sink = memorySink();
    // Crashes after so many rows each, rows that are processed again included.
    const crashAfter = Array.from({ length: 20 }, () => 50 + Math.floor(next() * 300));
    let crashes = 0;
    let sinceCrash = 0;
    const dataflow = dataflowOf(source, sink, (rows) => {
      sinceCrash += rows;
      if (sinceCrash < (crashAfter[crashes] ?? Infinity)) return false;
      crashes++;
      sinceCrash = 0;
      return true;
    });
    const supervisor = supervise(dataflow, parallelism);
    const pushing = pushInBackground(source, bids, 40);
    expect(await supervisor.run()).toBe("ended");
    await pushing;
    expect(crashes).toBeGreaterThan(8);
    expect(shown(sink)).toEqual(expected(bids));
  });

  test("stops with a last checkpoint and goes on at another parallelism, several times", async () => {
    const next = random(seed + 100);
    const bids = makeBids(next, 6000);
    const source = memorySource(Bid, { splits: 3 });
    const sink = memorySink();
    const dataflow = dataflowOf(source, sink, () => false);
    const outcomes: string[] = [];
    for (const [phase, parallelism] of [1, 4, 3, 2, 5, 1].entries()) {
      const supervisor = supervise(dataflow, parallelism);
      const done = supervisor.run();
      const pushing = pushInBackground(source, bids.slice(phase * 1000, (phase + 1) * 1000), 100, phase === 5);
      if (phase < 5) {
        await new Promise((resolve) => setTimeout(resolve, next() * 20));
        await supervisor.stop();
      }
      outcomes.push(await done);
      await pushing;
    }
    expect(outcomes).toEqual(["stopped", "stopped", "stopped", "stopped", "stopped", "ended"]);
    expect(shown(sink)).toEqual(expected(bids));
  });

  test("a savepoint taken while it runs starts another run of the rest", async () => {
    const next = random(seed + 200);
    const bids = makeBids(next, 3000);
    const source = memorySource(Bid, { splits: 3 });
    const sink = memorySink();
    const dataflow = dataflowOf(source, sink, () => false);
    // The input does not end before the savepoint is taken, however long that takes.
    const pushing = pushInBackground(source, bids.slice(0, 1500), 20, false);
    const first = supervise(dataflow, 2);
    const done = first.run();
    while (first.state !== "running") await new Promise((resolve) => setTimeout(resolve, 1));
    const savepoint = await first.savepoint("upgrade", "stop");
    expect(await done).toBe("stopped");
    await pushing;
    const rest = pushInBackground(source, bids.slice(1500), 20);
    const before = shown(sink);
    await rm(join(directory, "snapshots", "recovery", "latest"), { force: true });
    const second = supervise({ ...dataflow, name: "recovery-2" }, 3, savepoint.location);
    expect(await second.run()).toBe("ended");
    await rest;
    expect(before.length).toBeLessThan(expected(bids).length);
    expect(shown(sink)).toEqual(expected(bids));
  });
});
