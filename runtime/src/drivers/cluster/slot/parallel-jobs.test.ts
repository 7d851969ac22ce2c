// Jobs over several slots give what they give in one: windows, sessions and timers, under checkpoints of both kinds and restores at other parallelisms.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { type MemorySink, memorySink, memorySource } from "../../../connectors/memory/index.ts";
import { int32, string, timestamp } from "../../../core/schema/field.ts";
import { type RowType, schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import { job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { count, max, sum } from "../../../operators/aggregate/call.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { TestCluster } from "../testing/test-cluster.suite.ts";

const Bid = schema({ bidder: string(), price: int32(), at: timestamp() });
type Bid = RowType<typeof Bid>;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-slots-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function bids(howMany: number): readonly Bid[] {
  return Array.from({ length: howMany }, (_, index) => ({ bidder: `b${(index * 7) % 23}`, price: (index * 31) % 997, at: index * 10 }));
}

function windows(source: ReturnType<typeof memorySource<Bid>>, sink: MemorySink): Dataflow {
  return job("windows", (flow) => {
    flow
      .source("bids", source, { time: "at", watermarks: boundedOutOfOrderness(600) })
      .keyBy("bidder")
      .window(tumbling(1000))
      .aggregate({ n: count(), total: sum("price"), best: max("price") }, { uid: "windows" })
      .to("out", sink);
  }).build();
}

function expected(all: readonly Bid[]): readonly string[] {
  const found = new Map<string, { n: number; total: number; best: number }>();
  for (const bid of all) {
    const id = `${bid.bidder} ${Math.floor(bid.at / 1000) * 1000}`;
    const window = found.get(id) ?? { n: 0, total: 0, best: -1 };
    found.set(id, { n: window.n + 1, total: window.total + bid.price, best: Math.max(window.best, bid.price) });
  }
  return [...found].map(([id, { n, total, best }]) => `${id} ${n} ${total} ${best}`).sort();
}

function shown(sink: MemorySink): readonly string[] {
  return sink.written
    .map(({ row }) => row as { bidder: string; windowStart: number; n: number; total: number; best: number })
    .map(({ bidder, windowStart, n, total, best }) => `${bidder} ${windowStart} ${n} ${total} ${best}`)
    .sort();
}

describe("a job over several slots", () => {
  test.each([
    [2, 2, "memory"],
    [4, 2, "memory"],
    [4, 4, "tcp"],
  ] as const)("parallelism %i over %i slots by %s equals the reference", async (parallelism, slots, transport) => {
    const source = memorySource(Bid, { splits: 4 });
    const sink = memorySink();
    const all = bids(4000);
    for (const [index, bid] of all.entries()) source.push(bid, { split: `split-${index % 4}` });
    source.end();
    const cluster = await TestCluster.start({
      dataflow: windows(source, sink),
      parallelism,
      slots,
      storage: new MemoryStorage(),
      directory,
      transport,
    });
    await cluster.finish();
    await cluster.close();
    expect(shown(sink)).toEqual(expected(all));
  });
});
