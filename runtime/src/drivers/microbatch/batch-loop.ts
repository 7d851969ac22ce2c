// Runs batches one after another, one per trigger, until the input ends, it is stopped, or one fails; savepoints are taken between two.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../base/errors.ts";
import { WakeFlag } from "../../base/wake-flag.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { BatchWork, PlannedBatch } from "./batch-work.ts";
import { Phases, type QueryProgress } from "./progress.ts";
import { moved, nextTriggerMs, type QueryState, type StopMode } from "./query-state.ts";
import { RateEstimator } from "./rate-estimator.ts";
import type { BatchCheckpoint, RunningBatches } from "./running-batches.ts";
import { type QuerySavepointMode, SavepointRequests } from "./savepoint-requests.ts";

const keptProgress = 100;
const defaultMaxRecords = 1_000_000;
/** How long the loop rests when nothing wakes it, ms: idleness of splits is noticed by looking. */
const restMs = 500;

export interface BatchLoopOptions {
  readonly clock: Clock;
  readonly maxRecordsPerTrigger?: number | undefined;
  readonly backpressure?: boolean | undefined;
  readonly onProgress?: ((progress: QueryProgress) => void) | undefined;
}

export class BatchLoop implements RunningBatches {
  readonly name: string;
  readonly runId: string;
  /** Settles when it has ended; rejects with why it failed. */
  readonly done: Promise<"finished" | "stopped">;
  readonly #work: BatchWork;
  readonly #options: BatchLoopOptions;
  readonly #clock: Clock;
  readonly #signal = new WakeFlag();
  readonly #progress: QueryProgress[] = [];
  readonly #estimator: RateEstimator | undefined;
  readonly #savepoints: SavepointRequests;
  #state: QueryState = "running";
  #nextBatchId: number;
  #idle: (() => void)[] = [];
  #failure: unknown;
  #resting = false;

  protected constructor(work: BatchWork, options: BatchLoopOptions) {
    const { name, runId, trigger } = work;
    this.name = name;
    this.runId = runId;
    this.#work = work;
    this.#options = options;
    this.#clock = options.clock;
    this.#estimator =
      options.backpressure === true && trigger.kind === "processingTime" ? new RateEstimator(trigger.intervalMs) : undefined;
    this.#savepoints = new SavepointRequests(`${work.kind} ${name}`);
    this.#nextBatchId = work.restoredBatchId + 1;
    this.done = this.#runAll();
    // Whoever started it awaits `done`; until then a failure must not count as unhandled.
    this.done.catch(() => {});
  }

  get state(): QueryState {
    return this.#state;
  }

  get id(): string {
    return this.#work.id;
  }

  get restoredFrom(): string | undefined {
    return this.#work.restoredFrom;
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
    const { trigger } = this.#work;
    return trigger.kind === "processingTime" ? trigger.intervalMs : 0;
  }

  /** Of the last hundred batches, oldest first. */
  get recentProgress(): readonly QueryProgress[] {
    return this.#progress;
  }

  get lastBatchId(): number {
    return this.#nextBatchId - 1;
  }

  /** The newest checkpoint that this run has completed. */
  get lastCheckpoint(): BatchCheckpoint | undefined {
    return this.#work.lastCheckpoint;
  }

  /** Ends it, behind the batch under way or in the midst of it. Settles when it has ended. */
  async stop(mode: StopMode = "batch"): Promise<void> {
    if (this.#state === "running") this.#move("stopping");
    if (mode === "immediate") this.#work.abort();
    else this.#work.ending();
    this.#signal.wake();
    await this.done;
  }

  /**
   * Takes a savepoint exactly between two batches; with an id that was used before, says what came of it then. With `stop` it ends there.
   * Rejects where it has ended, or keeps nothing.
   */
  savepoint(id: string, mode: QuerySavepointMode = "keep"): Promise<SavepointResult> {
    if (!this.#work.isKept) {
      const next = "give it one: a file:// or s3:// URL";
      return Promise.reject(
        new MillraceError("SAVEPOINT_NO_STORAGE", `${this.#work.kind} ${this.name}`, "has no checkpoint location", next),
      );
    }
    const asked = this.#savepoints.ask(id, mode);
    this.#signal.wake();
    return asked;
  }

  /** What came of the savepoint with this id, also under an earlier run; undefined when there is none. */
  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#work.savepointResult(id);
  }

  /** Settles when everything that was there when this was called has been processed; rejects when it fails before. */
  async processAllAvailable(): Promise<void> {
    if (this.#state === "failed") throw this.#failure;
    if (this.#state !== "running") return;
    const asked = new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#signal.wake();
    await Promise.race([asked, this.done]);
  }

  async #runAll(): Promise<"finished" | "stopped"> {
    try {
      const unfinished = await this.#work.recover();
      if (unfinished !== undefined) await this.#execute(unfinished);
      const ended = await this.#batches();
      this.#move(ended);
      return ended;
    } catch (error) {
      // A batch that is given up while others are at it ends so.
      if (this.#state === "stopping" && isMillraceError(error, "JOB_STOPPING")) {
        this.#move("stopped");
        return "stopped";
      }
      this.#failure = error;
      this.#move("failed");
      this.#work.log.error("batches failed", { batchId: this.#nextBatchId, reason: messageOf(error) });
      throw error;
    } finally {
      this.#savepoints.end(this.#state);
      // Of a failure they hear by `done`.
      if (this.#state !== "failed") for (const resolve of this.#idle.splice(0)) resolve();
      await this.#work.close();
    }
  }

  async #batches(): Promise<"finished" | "stopped"> {
    const work = this.#work;
    let dueMs = this.#clock.now();
    for (;;) {
      if (work.failure !== undefined) throw work.failure.error;
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
      if (ran && work.trigger.kind === "once") return "finished";
      this.#resting = !ran;
      if (ran) {
        dueMs = nextTriggerMs(dueMs, this.triggerMs, this.#clock.now());
        continue;
      }
      if (work.exhausted && !work.isDue(this.#clock.now())) return "finished";
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
    this.#work.watch(() => this.#signal.wake());
    const timerMs = Math.max(0, this.#work.nextWakeMs - this.#clock.now());
    const cancel = this.#clock.after(Math.min(timerMs, restMs), () => this.#signal.wake());
    await this.#signal.sleep();
    cancel();
    // A source that is ready again and again without a record must not keep the process's I/O from its turn.
    await nextTurn();
  }

  // Between two batches: the last one's checkpoint is what is copied. Where there is none yet, a batch is run for it.
  async #takeSavepoints(): Promise<"go" | "stop"> {
    const work = this.#work;
    for (let request = this.#savepoints.next(); request !== undefined; request = this.#savepoints.next()) {
      const { id, mode, resolve, reject } = request;
      try {
        if (!this.#hasCheckpoint) await this.#tryBatch(0, true);
        const result = await work.savepoint(this.lastBatchId, id);
        work.log.info("savepoint taken", { id, mode, location: result.url, batchId: this.lastBatchId });
        if (mode === "stop") {
          await work.endRun(result.url);
          if (this.#state === "running") this.#move("stopping");
        }
        resolve(result);
      } catch (error) {
        reject(error);
        // What went wrong with the savepoint alone leaves the rest as it was.
        if (!this.#hasCheckpoint) throw error;
      }
      if (this.#state === "stopping") return "stop";
    }
    return "go";
  }

  get #hasCheckpoint(): boolean {
    return this.#work.ownRestored || this.#work.lastCheckpoint !== undefined;
  }

  // True when a batch was run.
  async #tryBatch(lateMs: number, always = false): Promise<boolean> {
    const phases = new Phases();
    const input = await phases.time("latestOffset", () => this.#work.read(this.#maxRecords()));
    const { records } = input;
    if (records === 0 && !always && !this.#work.isDue(this.#clock.now())) return false;
    const batch = await this.#work.plan(this.#nextBatchId, input, phases);
    const startedMs = this.#clock.now();
    await this.#execute(batch);
    const nowMs = this.#clock.now();
    this.#estimator?.observe(nowMs, records, nowMs - startedMs, lateMs);
    return true;
  }

  #maxRecords(): number {
    if (this.#work.trigger.kind === "once") return Infinity;
    return Math.min(this.#options.maxRecordsPerTrigger ?? defaultMaxRecords, this.#estimator?.maxRecords() ?? Infinity);
  }

  async #execute(batch: PlannedBatch): Promise<void> {
    const progress = await this.#work.execute(batch);
    if (progress === undefined) return;
    const { batchId, numInputRows: inputRows, batchDuration: durationMs, sink } = progress;
    this.#nextBatchId = batchId + 1;
    this.#progress.push(progress);
    if (this.#progress.length > keptProgress) this.#progress.shift();
    this.#work.log.info("batch committed", { batchId, inputRows, outputRows: sink.numOutputRows, durationMs });
    try {
      this.#options.onProgress?.(progress);
    } catch (error) {
      this.#work.log.warn("a listener of progress failed", { reason: messageOf(error) });
    }
  }

  #move(to: QueryState): void {
    this.#state = moved(this.#state, to);
  }
}
