// The REST API's view of a streaming query that runs in this process.
import { isMillraceError, MillraceError, messageOf } from "../../base/errors.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";
import type { QueryProgress } from "../../drivers/microbatch/progress.ts";
import type { StopMode } from "../../drivers/microbatch/query-state.ts";
import type { RunningBatches } from "../../drivers/microbatch/running-batches.ts";
import type { ExceptionsAnswer, JobControl, MetricsText, SavepointAnswer } from "../rest/job-control.ts";
import { publicConfig, type RunConfig } from "../run/run-config.ts";
import { profileThread } from "../slot/profile-thread.ts";

interface Asked {
  readonly mode: "keep" | "stop";
  readonly done: Promise<void>;
  result?: SavepointResult;
  failure?: { readonly code: string; readonly message: string };
}

export interface FramesControlParts {
  readonly name: string;
  readonly run: number;
  readonly config: RunConfig;
  readonly metrics: () => Promise<MetricsText>;
  /** The executors that are there; none for a query whose driver processes. */
  readonly executors: () => readonly object[];
}

export class FramesControl implements JobControl {
  readonly #parts: FramesControlParts;
  readonly #startedAtMs = Date.now();
  readonly #savepoints = new Map<string, Asked>();
  #query: RunningBatches | undefined;
  #runningSinceMs: number | undefined;
  #lastSavepoint: { readonly id: string; readonly location: string } | undefined;

  constructor(parts: FramesControlParts) {
    this.#parts = parts;
  }

  /** The query is open and restored; until then the process answers that it is restoring. */
  use(query: RunningBatches): void {
    this.#query = query;
    this.#runningSinceMs = Date.now();
  }

  get #state(): string {
    return this.#query?.state ?? "restoring";
  }

  job(): object {
    const { name, run, config } = this.#parts;
    return {
      name,
      run,
      leader: true,
      state: this.#state,
      startedAtMs: this.#startedAtMs,
      runningSinceMs: this.#runningSinceMs ?? null,
      parallelism: config.parallelism,
      maxParallelism: config.maxParallelism,
      // A query that fails ends its process; who starts it again counts.
      restarts: 0,
      restoredFrom: this.#query?.restoredFrom ?? null,
      lastFailure: null,
      waitingFor: null,
      prepared: true,
      lastCheckpoint: this.#query?.lastCheckpoint ?? null,
      processing: null,
    };
  }

  query(): object {
    const query = this.#query;
    return {
      name: this.#parts.name,
      run: this.#parts.run,
      id: query?.id ?? null,
      runId: query?.runId ?? null,
      state: this.#state,
      lastBatchId: query?.lastBatchId ?? -1,
      restoredFrom: query?.restoredFrom ?? null,
      lastCheckpoint: query?.lastCheckpoint ?? null,
      lastProgress: query?.lastProgress ?? null,
      idle: query?.idle ?? false,
      triggerMs: query?.triggerMs ?? 0,
      runningSinceMs: this.#runningSinceMs ?? null,
      savepoint: this.#lastSavepoint ?? null,
      executors: this.#parts.executors(),
    };
  }

  progress(): readonly QueryProgress[] {
    return this.#query?.recentProgress ?? [];
  }

  // Every batch is a checkpoint: the list of them is the progress.
  checkpoints(): readonly CheckpointRecord[] {
    return [];
  }

  exceptions(): ExceptionsAnswer {
    return { history: [], poison: [], recoveries: [] };
  }

  config(): object {
    return publicConfig(this.#parts.config);
  }

  healthy(): boolean {
    return this.#query === undefined || this.#query.state === "running" || this.#query.state === "stopping";
  }

  ready(): boolean {
    return this.#query !== undefined && this.healthy();
  }

  async savepoint(id: string, mode: SavepointMode): Promise<SavepointAnswer> {
    if (mode === "drain") {
      throw new MillraceError(
        "REQUEST_INVALID",
        `savepoint "${id}"`,
        "a query in batches cannot be drained: its windows are closed by its watermark",
        "use mode stop, and trigger availableNow for a run that ends with its input",
      );
    }
    const before = this.#savepoints.get(id);
    // One that failed may be tried again under its id.
    if (before === undefined || before.failure !== undefined) this.#take(id, mode);
    // What is refused at once is answered at once.
    await new Promise((resolve) => setImmediate(resolve));
    return this.#answer(id);
  }

  async savepointSettled(id: string, waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.#savepoints.get(id)?.done, late]);
    clearTimeout(timer);
  }

  async savepointById(id: string): Promise<SavepointAnswer | undefined> {
    if (this.#savepoints.has(id)) return this.#answer(id);
    // A driver before this one may have taken it.
    const result = await this.#query?.savepointResult(id);
    return result === undefined ? undefined : completed(id, null, result);
  }

  savepoints(): Promise<readonly SavepointAnswer[]> {
    return Promise.resolve([...this.#savepoints.keys()].map((id) => this.#answer(id)));
  }

  stop(mode: StopMode = "batch"): void {
    this.#running()
      .stop(mode)
      .catch(() => {});
  }

  rescale(): Promise<object> {
    return Promise.reject(
      new MillraceError(
        "RESCALE_UNSUPPORTED",
        "parallelism",
        "of a query in batches is how many executors there are, which they say themselves by coming and going",
        "start or stop executors",
      ),
    );
  }

  profile(_slot: number, durationMs: number): Promise<object> {
    return profileThread(durationMs);
  }

  metrics(): Promise<MetricsText> {
    return this.#parts.metrics();
  }

  leader(): undefined {
    return undefined;
  }

  #running(): RunningBatches {
    if (this.#query !== undefined) return this.#query;
    throw new MillraceError("JOB_NOT_RUNNING", `query ${this.#parts.name}`, "is restoring", "wait until it runs, and ask again");
  }

  #take(id: string, mode: "keep" | "stop"): void {
    const asked: Asked = {
      mode,
      done: this.#running()
        .savepoint(id, mode)
        .then(
          (result) => {
            asked.result = result;
            this.#lastSavepoint = { id, location: result.url };
          },
          (error: unknown) => {
            asked.failure = { code: isMillraceError(error) ? error.code : "INTERNAL", message: messageOf(error) };
          },
        ),
    };
    this.#savepoints.set(id, asked);
  }

  #answer(id: string): SavepointAnswer {
    const { mode, result, failure } = this.#savepoints.get(id) as Asked;
    if (result !== undefined) return completed(id, mode, result);
    const phase = failure === undefined ? "running" : "failed";
    const nothing = { location: null, sizeBytes: null, checkpointId: null, formatVersion: null, cutAtMs: null, completedAtMs: null };
    return { id, mode, phase, ...nothing, failure: failure ?? null };
  }
}

function completed(id: string, mode: "keep" | "stop" | null, result: SavepointResult): SavepointAnswer {
  const { url, totalBytes, checkpointId, formatVersion, cutAtMs, completedAtMs } = result;
  const facts = { location: url, sizeBytes: totalBytes, checkpointId, formatVersion, cutAtMs, completedAtMs };
  return { id, mode, phase: "completed", ...facts, failure: null };
}
