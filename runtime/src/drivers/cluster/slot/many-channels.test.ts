// A shuffle between many slots of one process: 32 x 32 instances, each with its own channels, in bounded memory and exact.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { memorySink, memorySource } from "../../../connectors/memory/index.ts";
import { int32, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { job } from "../../../dsl/job.ts";
import { frameLimits, windowBytes } from "../../exchange/exchange.ts";
import { defaultFrameLimits } from "../../exchange/frame/frame-builder.ts";
import type { SliceReport } from "../slot-protocol.ts";
import { TestCluster } from "../testing/test-cluster.suite.ts";
import { pauseMs, slowSink } from "../testing/workload.suite.ts";

const slots = 32;
const rowCount = 60_000;
const bufferBytes = 256 * 1024;

let directory = "";
let cluster: TestCluster | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-channels-"));
});
afterEach(async () => {
  await cluster?.close();
  await rm(directory, { recursive: true, force: true });
});

test("32 slots that all send to each other hold no more than their buffers before a stuck sink, and lose nothing", async () => {
  const Row = schema({ key: string(), n: int32(), text: string() });
  const source = memorySource(Row, { splits: slots });
  const text = "x".repeat(200);
  for (let n = 0; n < rowCount; n++) source.push({ key: `k${n % 997}`, n, text }, { split: `split-${n % slots}` });
  source.end();
  const sink = memorySink();
  let stuck = true;
  const free = Promise.withResolvers<void>();
  const slow = slowSink(sink, 1, () => (stuck ? free.promise : Promise.resolve()));
  const dataflow = job("many", (flow) => {
    flow
      .source("rows", source)
      .keyBy("key")
      .process({ onRow: (row, context) => context.emit({ key: row.key, n: row.n, text: row.text }) }, { uid: "p", output: Row })
      .to("out", slow);
  }).build();
  const before = process.memoryUsage().arrayBuffers;
  cluster = await TestCluster.start({
    dataflow,
    parallelism: slots,
    slots,
    maxParallelism: 128,
    storage: new MemoryStorage(),
    directory,
    exchange: { limits: defaultFrameLimits, flushTimeoutMs: 1, bufferBytes },
  });
  const reports = (): readonly SliceReport[] => {
    const last = new Map<number, SliceReport>();
    for (const event of cluster?.events ?? []) if (event.kind === "report") last.set(event.slice.slot, event.report);
    return [...last.values()];
  };
  const sum = (of: (report: SliceReport) => number): number => reports().reduce((total, report) => total + of(report), 0);
  // Nothing moves any more.
  const settled = { bytes: -1, times: 0 };
  while (settled.times < 1) {
    await pauseMs(1050);
    const bytes = sum(({ exchange }) => exchange.bytesIn);
    settled.times = bytes > 0 && settled.bytes === bytes ? settled.times + 1 : 0;
    settled.bytes = bytes;
  }
  expect(reports()).toHaveLength(slots);
  // What waits at a receiver is its buffer, and at most one frame more for each channel, which may be a row longer than it should.
  const channels = slots - 1;
  const frameBytes = 4096 + 1024;
  const queued = reports().map(({ exchange }) => exchange);
  expect(Math.max(...queued.map(({ queuedBytesIn }) => queuedBytesIn))).toBeLessThanOrEqual(bufferBytes + channels * frameBytes);
  expect(Math.max(...queued.map(({ queuedBytesOut }) => queuedBytesOut))).toBeLessThanOrEqual(channels * frameBytes);
  // With what is gathered on the way out, about as much again.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(slots * 3 * 1024 * 1024);
  stuck = false;
  free.resolve();
  await cluster.finish();
  const numbers = sink.written.map(({ row }) => (row as { n: number }).n).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: rowCount }, (_, n) => n));
});

test("the more channels, the smaller their windows and frames: the buffers of a slice are shared, down to a least size", () => {
  const options = { limits: defaultFrameLimits, flushTimeoutMs: 5, bufferBytes: 32 * 1024 * 1024 };
  for (const channels of [1, 31, 255, 1000, 4000]) {
    expect(windowBytes(options, channels) * channels).toBeLessThanOrEqual(options.bufferBytes);
    expect(frameLimits(options, channels).frameBytes * 2).toBeLessThanOrEqual(Math.max(windowBytes(options, channels), 2 * 4096));
  }
  expect(frameLimits(options, 31).frameBytes).toBe(64 * 1024);
  expect(windowBytes(options, 100_000)).toBe(8192);
  expect(frameLimits(options, 100_000).frameBytes).toBe(4096);
});
