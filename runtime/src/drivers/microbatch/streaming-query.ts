// A running streaming query: one batch per trigger, until its input ends, it is stopped, or it fails.
import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../base/errors.ts";
import { silentLog, type Log } from "../../base/log.ts";
import { WakeFlag } from "../../base/wake-flag.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { StreamQuery } from "../../dataframe/query.ts";
import { BatchAborted, BatchExecutor, type PlannedBatch } from "./batch-executor.ts";
import type { SourceRange } from "./log/batch-log.ts";
import { Phases, type QueryProgress } from "./progress.ts";
import type { QueryOptions } from "./query-options.ts";
import { openQueryRun, type QueryRun } from "./query-run.ts";
import { moved, nextTriggerMs, type QueryState, type StopMode } from "./query-state.ts";
import { RateEstimator } from "./rate-estimator.ts";
import { FeedWatch } from "./run/feed-watch.ts";
import { checkpointIdOf } from "./run/sink-runner.ts";
import type { RunningBatches } from "./running-batches.ts";
import { type QuerySavepointMode, SavepointRequests } from "./savepoint-requests.ts";

const keptProgress = 100;
const defaultMaxRecords = 1_000_000;
/** How long a batch is read into while its source says that there is more, ms. */
const readMs = 1000;
/** How long the loop rests when nothing wakes it, ms. */
const restMs = 500;

export class StreamingQuery implements RunningBatches {
  readonly name: string;
  readonly runId: string = randomUUID();
  /** Settles when the query has ended; rejects with why it failed. */
  readonly done: Promise<"finished" | "stopped">;
  readonly #run: QueryRun;
  readonly #options: QueryOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #executor: BatchExecutor;
  readonly #signal = new WakeFlag();
  readonly #progress: QueryProgress[] = [];
  readonly #estimator: RateEstimator | undefined;
  readonly #feeds: FeedWatch;
  readonly #savepoints = new SavepointRequests();
  #state: QueryState = "running";
  #aborted = false;
  #nextBatchId: number;
  #idle: (() => void)[] = [];
  #failure: unknown;
  #batchWatermarkMs = -Infinity;
  #resting = false;

  private constructor(run: QueryRun, options: QueryOptions) {
    const { name, trigger } = run.query;
    this.name = name;
    this.#run = run;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = (options.log ?? silentLog).child({ query: name });
    this.#executor = new BatchExecutor(run, this.#clock, this.runId, () => this.#aborted);
    this.#estimator =
      options.backpressure === true && trigger.kind === "processingTime" ? new RateEstimator(trigger.intervalMs) : undefined;
    this.#feeds = new FeedWatch(run.feeds, () => this.#signal.wake());
    this.#nextBatchId = run.recovery.lastBatchId + 1;
    this.done = this.#runAll();
    // Whoever started the query awaits `done`; until then a failure must not count as unhandled.
    this.done.catch(() => {});
  }

  /** Opens and restores the query, then runs it. Rejects with why it cannot run at all. */
  static async start(query: StreamQuery, options: QueryOptions = {}): Promise<StreamingQuery> {
    if (query.trigger.kind === "continuous") {
      throw new MillraceError(
        "DATAFRAME_UNSUPPORTED",
        "trigger continuous",
        "is not possible yet",
        "use processingTime with a short interval, or write the job with the dataflow API",
      );
    }
    return new StreamingQuery(await openQueryRun(query, options), options);
  }

  get state(): QueryState {
    return this.#state;
  }

  get id(): string {
    return this.#run.identity.id;
  }

  get restoredFrom(): string | undefined {
    return this.#run.restoredFrom;
  }

  get lastProgress(): QueryProgress | undefined {
    return this.#progress.at(-1);
  }

  /** There is nothing to read at the moment. */
  get idle(): boolean {
    return this.#resting && this.#state === "running";
  }

  /** Time between two triggers, ms; 0 where the next batch follows at once. */
  get triggerMs(): number {
    const { trigger } = this.#run.query;
    return trigger.kind === "processingTime" ? trigger.intervalMs : 0;
  }

  /** Of the last hundred batches, oldest first. */
  get recentProgress(): readonly QueryProgress[] {
    return this.#progress;
  }

  get lastBatchId(): number {
    return this.#nextBatchId - 1;
  }

  /** Ends the query. Settles when it has ended. */
  async stop(mode: StopMode = "batch"): Promise<void> {
    if (this.#state === "running") this.#move("stopping");
    // A batch that waits for executors might never end.
    if (mode === "immediate" || this.#run.remote?.isWaiting === true) {
      this.#aborted = true;
      this.#run.remote?.abort();
    }
    this.#signal.wake();
    await this.done;
  }

  /** The newest checkpoint that this run has completed. */
  get lastCheckpoint(): BatchExecutor["lastCheckpoint"] {
    return this.#executor.lastCheckpoint;
  }

  /**
   * Takes a savepoint exactly between two batches; with an id that was used before, says what came of it then. With `stop` the query
   * ends there. Rejects where the query has ended, or keeps nothing.
   */
  savepoint(id: string, mode: QuerySavepointMode = "keep"): Promise<SavepointResult> {
    if (this.#options.checkpointLocation === undefined) {
      return Promise.reject(
        new MillraceError(
          "SAVEPOINT_NO_STORAGE",
          `query ${this.name}`,
          "has no checkpoint location",
          "give it one: a file:// or s3:// URL",
        ),
      );
    }
    const asked = this.#savepoints.ask(id, mode);
    this.#signal.wake();
    return asked;
  }

  /** What came of the savepoint with this id, also under an earlier run; undefined when there is none. */
  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#run.snapshots.savepointResult(id);
  }

  /** Settles when everything that was there when this was called has been processed; rejects when the query fails before. */
  async processAllAvailable(): Promise<void> {
    if (this.#state === "failed") throw this.#failure;
    if (this.#state !== "running") return;
    await Promise.race([
      new Promise<void>((resolve) => {
        this.#idle.push(resolve);
        this.#signal.wake();
      }),
      this.done,
    ]);
    // Who waits is let go at the query's end, whatever that was.
    if (this.state === "failed") throw this.#failure;
  }

  async #runAll(): Promise<"finished" | "stopped"> {
    try {
      await this.#recover();
      const ended = await this.#batches();
      this.#move(ended);
      return ended;
    } catch (error) {
      // A batch that is given up while executors are at it ends so.
      if (this.#aborted && isMillraceError(error, "JOB_STOPPING")) {
        this.#move("stopped");
        return "stopped";
      }
      this.#failure = error;
      if (this.#state !== "failed") this.#move("failed");
      this.#log.error("query failed", { batchId: this.#nextBatchId, reason: messageOf(error) });
      throw error;
    } finally {
      this.#savepoints.end(this.name, this.#state);
      for (const resolve of this.#idle.splice(0)) resolve();
      await this.#run.close();
    }
  }

  async #recover(): Promise<void> {
    const { recovery, batchLog, snapshots } = this.#run;
    if (recovery.commitMissing) {
      await batchLog.commit({ version: 1, batchId: recovery.lastBatchId, epoch: snapshots.epoch, committedAtMs: this.#clock.now() });
      this.#log.info("commit of the last batch finished", { batchId: recovery.lastBatchId });
    }
    this.#batchWatermarkMs = this.#run.restoredWatermarkMs;
    if (recovery.unfinished === undefined) return;
    this.#log.info("running the unfinished batch again", { batchId: recovery.unfinished.batchId });
    await this.#execute(await this.#executor.replay(recovery.unfinished));
  }

  async #batches(): Promise<"finished" | "stopped"> {
    const { trigger } = this.#run.query;
    const intervalMs = trigger.kind === "processingTime" ? trigger.intervalMs : 0;
    let dueMs = this.#clock.now();
    for (;;) {
      if (this.#feeds.failure !== undefined) throw this.#feeds.failure.error;
      if ((await this.#takeSavepoints()) === "stop" || this.#state === "stopping") return "stopped";
      if (this.#clock.now() < dueMs && this.#idle.length === 0) {
        await this.#sleepUntil(dueMs);
        continue;
      }
      const lateMs = Math.max(0, this.#clock.now() - dueMs);
      // Whoever asks while the sources are read waits for another look: what is there now may not have been seen.
      const asked = this.#idle.splice(0);
      const ran = await this.#tryBatch(lateMs);
      if (ran) this.#idle.unshift(...asked);
      if (ran && trigger.kind === "once") return "finished";
      this.#resting = !ran;
      if (!ran) {
        if (this.#exhausted() && !this.#needsEmptyBatch()) return "finished";
        for (const resolve of asked) resolve();
        await this.#rest();
        continue;
      }
      dueMs = nextTriggerMs(dueMs, intervalMs, this.#clock.now());
    }
  }

  async #sleepUntil(timeMs: number): Promise<void> {
    while (this.#state === "running" && this.#clock.now() < timeMs && this.#idle.length === 0 && !this.#savepoints.any) {
      const cancel = this.#clock.after(timeMs - this.#clock.now(), () => this.#signal.wake());
      await this.#signal.sleep();
      cancel();
    }
  }

  async #rest(): Promise<void> {
    this.#feeds.watch();
    const cancel = this.#clock.after(restMs, () => this.#signal.wake());
    await this.#signal.sleep();
    cancel();
  }

  #exhausted(): boolean {
    return [...this.#run.feeds.values()].every((feed) => feed.exhausted);
  }

  /** A batch without records gives out what event time has closed since. */
  #needsEmptyBatch(): boolean {
    const { stages, watermarks, operators, remote } = this.#run;
    if (Math.min(operators.nextWakeMs(), remote?.nextWakeMs() ?? Infinity) <= this.#clock.now()) return true;
    return (
      (this.#options.noDataBatches ?? true) && stages.operators.some(({ timed }) => timed) && watermarks.currentMs > this.#batchWatermarkMs
    );
  }

  // Between two batches: the last one's checkpoint is what is copied. A query that has none yet runs a batch for it.
  async #takeSavepoints(): Promise<"go" | "stop"> {
    for (let request = this.#savepoints.next(); request !== undefined; request = this.#savepoints.next()) {
      const { id, mode, resolve, reject } = request;
      try {
        if (this.#executor.lastCheckpoint === undefined && !this.#run.snapshots.ownRestored) await this.#tryBatch(0, true);
        const result = await this.#run.snapshots.savepoint(checkpointIdOf(this.lastBatchId), id);
        this.#log.info("savepoint taken", { id, mode, location: result.url, batchId: this.lastBatchId });
        if (mode === "stop") {
          await this.#run.endRun(result.url);
          if (this.#state === "running") this.#move("stopping");
        }
        resolve(result);
      } catch (error) {
        reject(error);
        // What went wrong with the savepoint alone leaves the query as it was.
        if (this.#executor.lastCheckpoint === undefined && !this.#run.snapshots.ownRestored) throw error;
      }
      if (this.#state === "stopping") return "stop";
    }
    return "go";
  }

  // True when a batch was run.
  async #tryBatch(lateMs: number, always = false): Promise<boolean> {
    const phases = new Phases();
    const ranges = new Map<string, SourceRange>();
    const records = await phases.time("latestOffset", () => this.#read(ranges));
    if (records === 0) this.#executor.releaseTime();
    if (records === 0 && !always && !this.#needsEmptyBatch()) return false;
    const batch = await this.#executor.plan(this.#nextBatchId, ranges, records, phases);
    const startedMs = this.#clock.now();
    await this.#execute(batch);
    const nowMs = this.#clock.now();
    this.#estimator?.observe(nowMs, records, nowMs - startedMs, lateMs);
    return true;
  }

  async #read(ranges: Map<string, SourceRange>): Promise<number> {
    let left = Math.min(this.#options.maxRecordsPerTrigger ?? defaultMaxRecords, this.#estimator?.maxRecords() ?? Infinity);
    if (this.#run.query.trigger.kind === "once") left = Infinity;
    let records = 0;
    for (const { uid, plan } of this.#run.stages.scans) {
      const feed = this.#run.feeds.get(uid);
      if (feed === undefined) continue;
      const own = this.#run.query.trigger.kind === "once" ? undefined : plan.relation.options.maxRecordsPerTrigger;
      const { range, records: read } = await feed.poll(own ?? left, readMs);
      if (own === undefined) left -= read;
      records += read;
      ranges.set(uid, range);
    }
    return records;
  }

  async #execute(batch: PlannedBatch): Promise<void> {
    let progress: QueryProgress;
    try {
      progress = await this.#executor.execute(batch);
    } catch (error) {
      if (error instanceof BatchAborted) return;
      throw error;
    }
    this.#nextBatchId = batch.entry.batchId + 1;
    this.#batchWatermarkMs = batch.entry.watermarkMs ?? -Infinity;
    this.#progress.push(progress);
    if (this.#progress.length > keptProgress) this.#progress.shift();
    this.#log.info("batch committed", {
      batchId: progress.batchId,
      inputRows: progress.numInputRows,
      outputRows: progress.sink.numOutputRows,
      durationMs: progress.batchDuration,
    });
    try {
      this.#options.onProgress?.(progress);
    } catch (error) {
      this.#log.warn("a listener of progress failed", { reason: messageOf(error) });
    }
  }

  #move(to: QueryState): void {
    this.#state = moved(this.#state, to);
  }
}
