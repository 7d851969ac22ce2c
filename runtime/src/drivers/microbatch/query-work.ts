// A query's part in its loop of batches: its sources are read into the kernel, and what is due without records follows from event time.
import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "../../base/clock.ts";
import { silentLog, type Log } from "../../base/log.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { Trigger } from "../../dataframe/query.ts";
import { BatchAborted, BatchExecutor } from "./batch-executor.ts";
import type { BatchInput, BatchWork, PlannedBatch } from "./batch-work.ts";
import type { SourceRange } from "./log/batch-log.ts";
import type { Phases, QueryProgress } from "./progress.ts";
import type { QueryOptions } from "./query-options.ts";
import type { QueryRun } from "./query-run.ts";
import { FeedWatch } from "./run/feed-watch.ts";
import { checkpointIdOf } from "./run/sink-runner.ts";
import type { BatchCheckpoint } from "./running-batches.ts";

/** How long a batch is read into while its source says that there is more, ms. */
const readMs = 1000;

export class QueryWork implements BatchWork {
  readonly kind = "query";
  readonly name: string;
  readonly id: string;
  readonly runId: string = randomUUID();
  readonly trigger: Trigger;
  readonly log: Log;
  readonly restoredFrom: string | undefined;
  readonly isKept: boolean;
  readonly restoredBatchId: number;
  readonly ownRestored: boolean;
  readonly #run: QueryRun;
  readonly #clock: Clock;
  readonly #noDataBatches: boolean;
  readonly #executor: BatchExecutor;
  readonly #feeds: FeedWatch;
  #aborted = false;
  #batchWatermarkMs: number;

  constructor(run: QueryRun, options: QueryOptions) {
    const { name, trigger } = run.query;
    this.name = name;
    this.id = run.identity.id;
    this.trigger = trigger;
    this.log = (options.log ?? silentLog).child({ query: name });
    this.restoredFrom = run.restoredFrom;
    this.isKept = options.checkpointLocation !== undefined;
    this.restoredBatchId = run.recovery.lastBatchId;
    this.ownRestored = run.snapshots.ownRestored;
    this.#run = run;
    this.#clock = options.clock ?? systemClock;
    this.#noDataBatches = options.noDataBatches ?? true;
    this.#executor = new BatchExecutor(run, this.#clock, this.runId, () => this.#aborted);
    this.#feeds = new FeedWatch(run.feeds);
    this.#batchWatermarkMs = run.restoredWatermarkMs;
  }

  get lastCheckpoint(): BatchCheckpoint | undefined {
    return this.#executor.lastCheckpoint;
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#feeds.failure;
  }

  get exhausted(): boolean {
    return [...this.#run.feeds.values()].every((feed) => feed.exhausted);
  }

  get nextWakeMs(): number {
    return Math.min(this.#run.operators.nextWakeMs(), this.#run.remote?.nextWakeMs() ?? Infinity);
  }

  /** A batch without records gives out what event time has closed since. */
  isDue(nowMs: number): boolean {
    if (this.nextWakeMs <= nowMs) return true;
    const { stages, watermarks } = this.#run;
    return this.#noDataBatches && stages.operators.some(({ timed }) => timed) && watermarks.currentMs > this.#batchWatermarkMs;
  }

  async recover(): Promise<PlannedBatch | undefined> {
    const { recovery, batchLog, snapshots } = this.#run;
    const { lastBatchId, commitMissing, unfinished } = recovery;
    if (commitMissing) {
      await batchLog.commit({ version: 1, batchId: lastBatchId, epoch: snapshots.epoch, committedAtMs: this.#clock.now() });
      this.log.info("commit of the last batch finished", { batchId: lastBatchId });
    }
    if (unfinished === undefined) return undefined;
    this.log.info("running the unfinished batch again", { batchId: unfinished.batchId });
    return this.#executor.replay(unfinished);
  }

  async read(maxRecords: number): Promise<BatchInput> {
    const ranges = new Map<string, SourceRange>();
    let left = maxRecords;
    let records = 0;
    for (const { uid, plan } of this.#run.stages.scans) {
      const feed = this.#run.feeds.get(uid);
      if (feed === undefined) continue;
      const own = this.trigger.kind === "once" ? undefined : plan.relation.options.maxRecordsPerTrigger;
      const { range, records: read } = await feed.poll(own ?? left, readMs);
      if (own === undefined) left -= read;
      records += read;
      ranges.set(uid, range);
    }
    if (records === 0) this.#executor.releaseTime();
    return { ranges, records };
  }

  plan(batchId: number, { ranges, records }: BatchInput, phases: Phases): Promise<PlannedBatch> {
    return this.#executor.plan(batchId, ranges, records, phases);
  }

  async execute(batch: PlannedBatch): Promise<QueryProgress | undefined> {
    try {
      const progress = await this.#executor.execute(batch);
      this.#batchWatermarkMs = batch.entry.watermarkMs ?? -Infinity;
      return progress;
    } catch (error) {
      if (error instanceof BatchAborted) return undefined;
      throw error;
    }
  }

  // A batch that waits for executors might never end.
  ending(): void {
    this.#run.remote?.giveUpWaiting();
  }

  abort(): void {
    this.#aborted = true;
    this.#run.remote?.abort();
  }

  watch(wake: () => void): void {
    this.#feeds.watch(wake);
  }

  savepoint(batchId: number, id: string): Promise<SavepointResult> {
    return this.#run.snapshots.savepoint(checkpointIdOf(batchId), id);
  }

  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#run.snapshots.savepointResult(id);
  }

  endRun(savepoint: string): Promise<void> {
    return this.#run.endRun(savepoint);
  }

  close(): Promise<void> {
    return this.#run.close();
  }
}
