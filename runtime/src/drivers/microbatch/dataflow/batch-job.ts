// A running job in batches: one per trigger, planned, processed and committed, until its input ends, it is stopped, or it fails.
import { randomUUID } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { systemClock, type Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { silentLog, type Log } from "../../../base/log.ts";
import { WakeFlag } from "../../../base/wake-flag.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { OffsetEntry } from "../log/batch-log.ts";
import { Phases, type QueryProgress } from "../progress.ts";
import { moved, nextTriggerMs, type QueryState, type StopMode } from "../query-state.ts";
import { RateEstimator } from "../rate-estimator.ts";
import { checkpointIdOf } from "../run/sink-runner.ts";
import type { BatchCheckpoint, RunningBatches } from "../running-batches.ts";
import { type QuerySavepointMode, SavepointRequests } from "../savepoint-requests.ts";
import type { InputBatch } from "./batch-inputs.ts";
import type { BatchJobOptions } from "./batch-job-options.ts";
import { JobProgress } from "./job-progress.ts";
import { type OpenBatchJob, openBatchJob } from "./open-batch-job.ts";

const keptProgress = 100;
const defaultMaxRecords = 1_000_000;
const defaultMaxBytes = 64 * 1024 * 1024;
/** How long a batch is read into while its source says that there is more, ms. */
const readMs = 1000;
/** How long the driver rests when nothing wakes it, ms: idleness of splits is noticed by looking. */
const restMs = 500;

export class BatchJob implements RunningBatches {
  readonly name: string;
  readonly runId: string = randomUUID();
  readonly done: Promise<"finished" | "stopped">;
  readonly #open: OpenBatchJob;
  readonly #options: BatchJobOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #told: JobProgress;
  readonly #signal = new WakeFlag();
  readonly #progress: QueryProgress[] = [];
  readonly #estimator: RateEstimator | undefined;
  readonly #savepoints = new SavepointRequests();
  #state: QueryState = "running";
  #aborted = false;
  #nextBatchId: number;
  #idle: (() => void)[] = [];
  #failure: unknown;
  #resting = false;
  #lastCheckpoint: BatchCheckpoint | undefined;

  private constructor(open: OpenBatchJob, options: BatchJobOptions) {
    const { dataflow, trigger, backpressure = false } = options;
    this.name = dataflow.name;
    this.#open = open;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = (options.log ?? silentLog).child({ job: dataflow.name });
    this.#told = new JobProgress(dataflow.name, this.runId, dataflow.nodes, open.batches);
    this.#estimator = backpressure && trigger.kind === "processingTime" ? new RateEstimator(trigger.intervalMs) : undefined;
    this.#nextBatchId = open.recovery.lastBatchId + 1;
    this.done = this.#runAll();
    // Whoever started the job awaits `done`; until then a failure must not count as unhandled.
    this.done.catch(() => {});
  }

  /** Opens and restores the job, then runs it. Rejects with why it cannot run at all. */
  static async start(options: BatchJobOptions): Promise<BatchJob> {
    return new BatchJob(await openBatchJob(options), options);
  }

  get id(): string {
    return this.name;
  }

  get state(): QueryState {
    return this.#state;
  }

  get restoredFrom(): string | undefined {
    return this.#open.restoredFrom;
  }

  get lastProgress(): QueryProgress | undefined {
    return this.#progress.at(-1);
  }

  get recentProgress(): readonly QueryProgress[] {
    return this.#progress;
  }

  get lastBatchId(): number {
    return this.#nextBatchId - 1;
  }

  get lastCheckpoint(): BatchCheckpoint | undefined {
    return this.#lastCheckpoint;
  }

  get idle(): boolean {
    return this.#resting && this.#state === "running";
  }

  get triggerMs(): number {
    const { trigger } = this.#options;
    return trigger.kind === "processingTime" ? trigger.intervalMs : 0;
  }

  /** Ends the job, behind the batch under way or in the midst of it. Settles when it has ended. */
  async stop(mode: StopMode = "batch"): Promise<void> {
    if (this.#state === "running") this.#move("stopping");
    this.#aborted ||= mode === "immediate";
    this.#signal.wake();
    this.#open.batches.wake();
    await this.done;
  }

  /**
   * Takes a savepoint exactly between two batches; with an id that was used before, says what came of it then. With `stop` the job ends
   * there. Rejects where the job has ended, or keeps nothing.
   */
  savepoint(id: string, mode: QuerySavepointMode = "keep"): Promise<SavepointResult> {
    if (this.#options.checkpointLocation === undefined) {
      const next = "give it one: a file:// or s3:// URL";
      return Promise.reject(new MillraceError("SAVEPOINT_NO_STORAGE", `job ${this.name}`, "has no checkpoint location", next));
    }
    const asked = this.#savepoints.ask(id, mode);
    this.#signal.wake();
    return asked;
  }

  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#open.store.savepointResult(id);
  }

  /** Settles when everything that was there when this was called has been processed; rejects when the job fails before. */
  async processAllAvailable(): Promise<void> {
    if (this.#state === "failed") throw this.#failure;
    if (this.#state !== "running") return;
    const asked = new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#signal.wake();
    await Promise.race([asked, this.done]);
  }

  async #runAll(): Promise<"finished" | "stopped"> {
    try {
      await this.#recover();
      const ended = await this.#batches();
      this.#move(ended);
      return ended;
    } catch (error) {
      this.#failure = error;
      this.#move("failed");
      this.#log.error("job failed", { batchId: this.#nextBatchId, reason: messageOf(error) });
      throw error;
    } finally {
      this.#savepoints.end(this.name, this.#state);
      // Of one that has failed they hear by `done`.
      if (this.#state !== "failed") for (const resolve of this.#idle.splice(0)) resolve();
      await this.#open.close();
    }
  }

  async #recover(): Promise<void> {
    const { recovery, batchLog, epoch, batches } = this.#open;
    const { lastBatchId, commitMissing, unfinished } = recovery;
    if (commitMissing) await batchLog.commit({ version: 1, batchId: lastBatchId, epoch, committedAtMs: this.#clock.now() });
    if (unfinished === undefined) return;
    this.#log.info("running the unfinished batch again", { batchId: unfinished.batchId });
    const phases = new Phases();
    const { records } = await phases.time("latestOffset", () => batches.inputs.replay(unfinished.sources));
    await this.#execute(unfinished, records, phases);
  }

  async #batches(): Promise<"finished" | "stopped"> {
    const { trigger } = this.#options;
    const { inputs } = this.#open.batches;
    let dueMs = this.#clock.now();
    for (;;) {
      if (inputs.failure !== undefined) throw inputs.failure.error;
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
      if (ran) {
        dueMs = nextTriggerMs(dueMs, this.triggerMs, this.#clock.now());
        continue;
      }
      if (inputs.exhausted) return "finished";
      for (const resolve of asked) resolve();
      await this.#rest();
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
    const { batches } = this.#open;
    batches.inputs.watch(() => this.#signal.wake());
    const timerMs = Math.max(0, batches.nextWakeMs - this.#clock.now());
    const cancel = this.#clock.after(Math.min(timerMs, restMs), () => this.#signal.wake());
    await this.#signal.sleep();
    cancel();
    // A source that is ready again and again without a record must not keep the process's I/O from its turn.
    await nextTurn();
  }

  // Between two batches: the last one's checkpoint is what is copied. A job that has none yet runs a batch for it.
  async #takeSavepoints(): Promise<"go" | "stop"> {
    const { store, ownRestored, endRun } = this.#open;
    for (let request = this.#savepoints.next(); request !== undefined; request = this.#savepoints.next()) {
      const { id, mode, resolve, reject } = request;
      try {
        if (this.#lastCheckpoint === undefined && !ownRestored) await this.#tryBatch(0, true);
        const result = await store.savepoint(checkpointIdOf(this.lastBatchId), id);
        // Its output is committed like the checkpoint's that it was made from.
        await store.markCommitted(checkpointIdOf(this.lastBatchId), id);
        this.#log.info("savepoint taken", { id, mode, location: result.url, batchId: this.lastBatchId });
        if (mode === "stop") {
          await endRun(result.url);
          if (this.#state === "running") this.#move("stopping");
        }
        resolve(result);
      } catch (error) {
        reject(error);
        // What went wrong with the savepoint alone leaves the job as it was.
        if (this.#lastCheckpoint === undefined && !ownRestored) throw error;
      }
      if (this.#state === "stopping") return "stop";
    }
    return "go";
  }

  // True when a batch was run.
  async #tryBatch(lateMs: number, always = false): Promise<boolean> {
    const { batches, batchLog, epoch } = this.#open;
    const phases = new Phases();
    const { ranges, records } = await phases.time("latestOffset", () => this.#read());
    if (records === 0 && !always && !batches.isDue(this.#clock.now())) return false;
    const { watermarkMs } = batches;
    const entry: OffsetEntry = {
      ...{ version: 1, batchId: this.#nextBatchId, epoch, timestampMs: this.#clock.now() },
      watermarkMs: Number.isFinite(watermarkMs) ? watermarkMs : null,
      sources: Object.fromEntries(ranges),
    };
    await phases.time("walCommit", async () => {
      // A driver that this one has taken over from may have planned meanwhile. It can publish nothing of it.
      if ((await batchLog.plan(entry)) !== undefined) await batchLog.replan(entry);
    });
    const startedMs = this.#clock.now();
    await this.#execute(entry, records, phases);
    const nowMs = this.#clock.now();
    this.#estimator?.observe(nowMs, records, nowMs - startedMs, lateMs);
    return true;
  }

  async #read(): Promise<InputBatch> {
    const { trigger, maxRecordsPerTrigger = defaultMaxRecords, maxBytesPerTrigger: maxBytes = defaultMaxBytes } = this.#options;
    const once = trigger.kind === "once";
    const maxRecords = once ? Infinity : Math.min(maxRecordsPerTrigger, this.#estimator?.maxRecords() ?? Infinity);
    const batch = await this.#open.batches.inputs.readBatch({ maxRecords, maxBytes, maxMs: readMs });
    if (once && batch.full && !this.#open.batches.inputs.exhausted) throw tooLarge(this.name, maxBytes);
    return batch;
  }

  async #execute(entry: OffsetEntry, records: number, phases: Phases): Promise<void> {
    const { batches, batchLog, epoch } = this.#open;
    const { batchId } = entry;
    if (!(await phases.time("addBatch", () => batches.process(() => this.#aborted)))) return;
    const checkpoint = await phases.time("commitState", () => batches.checkpoint());
    const committedAtMs = this.#clock.now();
    await phases.time("commitOffsets", () => batchLog.commit({ version: 1, batchId, epoch, committedAtMs }));
    this.#nextBatchId = batchId + 1;
    this.#lastCheckpoint = { id: checkpoint.id, location: checkpoint.location ?? "", completedAtMs: committedAtMs };
    const progress = this.#told.next(entry, records, phases);
    this.#progress.push(progress);
    if (this.#progress.length > keptProgress) this.#progress.shift();
    const { batchDuration: durationMs, sink } = progress;
    this.#log.info("batch committed", { batchId, inputRows: records, outputRows: sink.numOutputRows, durationMs });
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

function tooLarge(name: string, maxBytes: number): MillraceError {
  return new MillraceError(
    "BATCH_TOO_LARGE",
    `job ${name}`,
    `trigger once takes everything in a single batch, and more than ${maxBytes} bytes are there`,
    "use trigger available-now, which takes several batches, or raise input.maxBytesPerBatch",
  );
}
