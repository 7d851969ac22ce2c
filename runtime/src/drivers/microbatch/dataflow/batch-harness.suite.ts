// A job of windows over pushed rows, run in batches or as a stream at one storage, and what it must give.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { type MemorySink, memorySink, type MemorySource, memorySource } from "../../../connectors/memory/index.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { type RowType, type Schema, schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness, type WatermarkStrategy } from "../../../core/time/watermark-strategy.ts";
import { job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { count, sum } from "../../../operators/aggregate/call.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { entryMerging } from "../../../state/entry-merging.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { jobSnapshots } from "../../continuous/job-snapshots.ts";
import { Supervisor } from "../../continuous/supervisor.ts";
import { BatchJob } from "./batch-job.ts";
import type { BatchJobOptions } from "./batch-job-options.ts";

interface BidRow {
  readonly bidder: string;
  readonly price: number;
  readonly at: number;
}
export const Bid: Schema<BidRow> = schema({ bidder: string(), price: int53(), at: timestamp() });
export type Bid = RowType<typeof Bid>;

export interface WindowRow {
  readonly bidder: string;
  readonly windowStart: number;
  readonly n: number;
  readonly total: number;
}

/** Windows of a second over bids that are at most 600 ms out of order. */
export function windows(source: MemorySource<Bid>, sink: Sink, watermarks: WatermarkStrategy = boundedOutOfOrderness(600)): Dataflow {
  return job("bids-per-second", (flow) => {
    flow
      .source("bids", source, { time: "at", watermarks })
      .keyBy("bidder")
      .window(tumbling(1000))
      .aggregate({ n: count(), total: sum("price") }, { uid: "windows" })
      .to("out", sink);
  }).build();
}

/** `howMany` bids, of which none is more than 500 ms behind one before it. */
export function bids(howMany: number, from = 0): readonly Bid[] {
  return Array.from({ length: howMany }, (_value, index) => ({
    bidder: `b${(index * 7) % 5}`,
    price: from + index,
    at: (from + index) * 10 - ((index * 53) % 500),
  }));
}

/** The windows of all bids, worked out from them alone. */
export function expectedWindows(all: readonly Bid[]): readonly string[] {
  const found = new Map<string, { n: number; total: number }>();
  for (const { bidder, price, at } of all) {
    const key = `${bidder} ${Math.floor(at / 1000) * 1000}`;
    const before = found.get(key) ?? { n: 0, total: 0 };
    found.set(key, { n: before.n + 1, total: before.total + price });
  }
  return [...found].map(([key, { n, total }]) => `${key} ${n} ${total}`).sort();
}

export class BatchHarness {
  readonly source: MemorySource<Bid>;
  readonly sink: MemorySink<WindowRow> = memorySink<WindowRow>();
  readonly pushed: Bid[] = [];
  readonly dataflow: Dataflow;
  readonly folder: string;
  readonly #running: { stop(): Promise<void> }[] = [];

  private constructor(folder: string, bounded: boolean, splits: number) {
    this.folder = folder;
    this.source = memorySource(Bid, { bounded, splits });
    this.dataflow = windows(this.source, this.sink);
  }

  static async open({ bounded = false, splits = 3 } = {}): Promise<BatchHarness> {
    return new BatchHarness(await mkdtemp(join(tmpdir(), "batch-harness-")), bounded, splits);
  }

  location(name = "snapshots"): string {
    return pathToFileURL(join(this.folder, name)).href;
  }

  /** Spreads rows over the splits. */
  push(rows: readonly Bid[]): void {
    const splits = this.source.splitIds;
    for (const [index, row] of rows.entries()) this.source.push(row, { split: splits[index % splits.length] as string });
    this.pushed.push(...rows);
  }

  /** What is visible, as `expectedWindows` writes it. */
  get seen(): readonly string[] {
    return this.sink.rows.map(({ bidder, windowStart, n, total }) => `${bidder} ${windowStart} ${n} ${total}`).sort();
  }

  /** What all pushed rows must give once every window is closed. */
  get expected(): readonly string[] {
    return expectedWindows(this.pushed);
  }

  async batches(options: Partial<BatchJobOptions> = {}): Promise<BatchJob> {
    const running = await BatchJob.start({
      ...{ dataflow: this.dataflow, trigger: { kind: "processingTime", intervalMs: 0 }, maxParallelism: 16 },
      ...{ checkpointLocation: this.location(), tolerableFailures: 0 },
      ...options,
    });
    this.#running.push({ stop: () => running.stop("immediate") });
    return running;
  }

  /** The same job record by record. */
  stream(storage: string, initialSavepoint?: string, parallelism = 2): Supervisor {
    const { dataflow } = this;
    const supervisor = new Supervisor({
      ...{ jobName: dataflow.name, dataflow, parallelism, maxParallelism: 16, clock: systemClock, log: silentLog },
      ...{ stateBackend: memoryBackend(), directory: join(this.folder, "work"), checkpointIntervalMs: 20, random: () => 0 },
      badRows: { onBadRecord: "fail", maxPerMinute: 0 },
      checkpoints: { intervalMs: 20, minPauseMs: 0, tolerableFailures: 3 },
      restarts: { maxAttempts: 1, initialMs: 1, maxMs: 2, resetAfterMs: 1000 },
      begin: jobSnapshots({
        ...{ storage, storageOptions: {}, dataflow, maxParallelism: 16, retained: 2, initialSavepoint, allowNonRestoredState: false },
        ...{ merging: entryMerging, hasDeadLetterSink: false, log: silentLog, clock: systemClock },
      }),
    });
    this.#running.push({ stop: () => supervisor.stop() });
    return supervisor;
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((each) => each.stop().catch(() => {})));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
