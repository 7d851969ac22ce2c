// A job's part in its loop of batches: its sources are read and held, and what is due without records follows from its instances.
import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import { silentLog, type Log } from "../../../base/log.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { BatchInput, BatchWork, PlannedBatch } from "../batch-work.ts";
import type { OffsetEntry } from "../log/batch-log.ts";
import { Phases, type QueryProgress } from "../progress.ts";
import { checkpointIdOf } from "../run/sink-runner.ts";
import type { BatchCheckpoint } from "../running-batches.ts";
import type { BatchJobOptions } from "./batch-job-options.ts";
import { JobProgress } from "./job-progress.ts";
import type { OpenBatchJob } from "./open-batch-job.ts";

const defaultMaxBytes = 64 * 1024 * 1024;
/** How long a batch is read into while its source says that there is more, ms. */
const readMs = 1000;

export class JobWork implements BatchWork {
  readonly kind = "job";
  readonly name: string;
  readonly runId: string = randomUUID();
  readonly trigger: BatchJobOptions["trigger"];
  readonly log: Log;
  readonly restoredFrom: string | undefined;
  readonly isKept: boolean;
  readonly restoredBatchId: number;
  readonly ownRestored: boolean;
  readonly #open: OpenBatchJob;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #told: JobProgress;
  #aborted = false;
  #lastCheckpoint: BatchCheckpoint | undefined;

  constructor(open: OpenBatchJob, options: BatchJobOptions) {
    const { dataflow, trigger } = options;
    this.name = dataflow.name;
    this.trigger = trigger;
    this.log = (options.log ?? silentLog).child({ job: dataflow.name });
    this.restoredFrom = open.restoredFrom;
    this.isKept = options.checkpointLocation !== undefined;
    this.restoredBatchId = open.recovery.lastBatchId;
    this.ownRestored = open.ownRestored;
    this.#open = open;
    this.#clock = options.clock ?? systemClock;
    this.#maxBytes = options.maxBytesPerTrigger ?? defaultMaxBytes;
    this.#told = new JobProgress(dataflow.name, this.runId, dataflow.nodes, open.batches);
  }

  get id(): string {
    return this.name;
  }

  get lastCheckpoint(): BatchCheckpoint | undefined {
    return this.#lastCheckpoint;
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#open.batches.inputs.failure;
  }

  get exhausted(): boolean {
    return this.#open.batches.inputs.exhausted;
  }

  get nextWakeMs(): number {
    return this.#open.batches.nextWakeMs;
  }

  isDue(nowMs: number): boolean {
    return this.#open.batches.isDue(nowMs);
  }

  async recover(): Promise<PlannedBatch | undefined> {
    const { recovery, batchLog, epoch, batches } = this.#open;
    const { lastBatchId, commitMissing, unfinished } = recovery;
    if (commitMissing) await batchLog.commit({ version: 1, batchId: lastBatchId, epoch, committedAtMs: this.#clock.now() });
    if (unfinished === undefined) return undefined;
    this.log.info("running the unfinished batch again", { batchId: unfinished.batchId });
    const phases = new Phases();
    const { records } = await phases.time("latestOffset", () => batches.inputs.replay(unfinished.sources));
    return { entry: unfinished, records, phases };
  }

  async read(maxRecords: number): Promise<BatchInput> {
    const { inputs } = this.#open.batches;
    const batch = await inputs.readBatch({ maxRecords, maxBytes: this.#maxBytes, maxMs: readMs });
    if (this.trigger.kind === "once" && batch.full && !inputs.exhausted) throw tooLarge(this.name, this.#maxBytes);
    return batch;
  }

  async plan(batchId: number, { ranges, records }: BatchInput, phases: Phases): Promise<PlannedBatch> {
    const { batches, batchLog, epoch } = this.#open;
    const { watermarkMs } = batches;
    const entry: OffsetEntry = {
      ...{ version: 1, batchId, epoch, timestampMs: this.#clock.now() },
      watermarkMs: Number.isFinite(watermarkMs) ? watermarkMs : null,
      sources: Object.fromEntries(ranges),
    };
    await phases.time("walCommit", async () => {
      // A driver that this one has taken over from may have planned meanwhile. It can publish nothing of it.
      if ((await batchLog.plan(entry)) !== undefined) await batchLog.replan(entry);
    });
    return { entry, records, phases };
  }

  async execute({ entry, records, phases }: PlannedBatch): Promise<QueryProgress | undefined> {
    const { batches, batchLog, epoch } = this.#open;
    const { batchId } = entry;
    if (!(await phases.time("addBatch", () => batches.process(() => this.#aborted)))) return undefined;
    const checkpoint = await phases.time("commitState", () => batches.checkpoint());
    const committedAtMs = this.#clock.now();
    await phases.time("commitOffsets", () => batchLog.commit({ version: 1, batchId, epoch, committedAtMs }));
    this.#lastCheckpoint = { id: checkpoint.id, location: checkpoint.location ?? "", completedAtMs: committedAtMs };
    return this.#told.next(entry, records, phases);
  }

  // Its own process computes every batch, so each ends by itself.
  ending(): void {}

  abort(): void {
    this.#aborted = true;
    this.#open.batches.wake();
  }

  watch(wake: () => void): void {
    this.#open.batches.inputs.watch(wake);
  }

  async savepoint(batchId: number, id: string): Promise<SavepointResult> {
    const result = await this.#open.store.savepoint(checkpointIdOf(batchId), id);
    // Its output is committed like the checkpoint's that it was made from.
    await this.#open.store.markCommitted(checkpointIdOf(batchId), id);
    return result;
  }

  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#open.store.savepointResult(id);
  }

  endRun(savepoint: string): Promise<void> {
    return this.#open.endRun(savepoint);
  }

  close(): Promise<void> {
    return this.#open.close();
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
