// The REST API's view of a job that runs in this process.
import { MillraceError, isMillraceError, messageOf } from "../../base/errors.ts";
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";
import type { Supervisor } from "../../drivers/continuous/supervisor.ts";
import type { ExceptionsAnswer, JobControl, MetricsText, RescaleChange, SavepointAnswer } from "../rest/job-control.ts";
import { profileThread } from "../slot/profile-thread.ts";
import { publicConfig, type RunConfig } from "./run-config.ts";

interface Asked {
  readonly mode: SavepointMode;
  readonly done: Promise<void>;
  record?: CheckpointRecord;
  failure?: { readonly code: string; readonly message: string };
}

export class ProcessControl implements JobControl {
  readonly #supervisor: Supervisor;
  readonly #config: RunConfig;
  readonly #metrics: () => Promise<MetricsText>;
  readonly #savepoints = new Map<string, Asked>();

  constructor(supervisor: Supervisor, config: RunConfig, metrics: () => Promise<MetricsText>) {
    this.#supervisor = supervisor;
    this.#config = config;
    this.#metrics = metrics;
  }

  job(): object {
    const { run, ...status } = this.#supervisor.status();
    const last = this.checkpoints().findLast((record) => record.phase === "completed");
    return {
      ...status,
      run: 0,
      leader: true,
      prepared: true,
      runningSinceMs: this.#supervisor.runningSinceMs,
      parallelism: this.#config.parallelism,
      maxParallelism: this.#config.maxParallelism,
      waitingFor: null,
      lastCheckpoint:
        last?.location === undefined
          ? null
          : { id: last.id, location: last.location, completedAtMs: last.triggeredAtMs + (last.durationMs ?? 0) },
      processing: run,
    };
  }

  checkpoints(): readonly CheckpointRecord[] {
    return this.#supervisor.checkpoints();
  }

  exceptions(): ExceptionsAnswer {
    return { history: this.#supervisor.failures, poison: [], recoveries: [] };
  }

  config(): object {
    return publicConfig(this.#config);
  }

  healthy(): boolean {
    return this.#supervisor.state === "running" || this.#supervisor.state === "stopping";
  }

  ready(): boolean {
    return this.healthy();
  }

  async savepoint(id: string, mode: SavepointMode): Promise<SavepointAnswer> {
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

  savepointById(id: string): Promise<SavepointAnswer | undefined> {
    return Promise.resolve(this.#savepoints.has(id) ? this.#answer(id) : undefined);
  }

  savepoints(): Promise<readonly SavepointAnswer[]> {
    return Promise.resolve([...this.#savepoints.keys()].map((id) => this.#answer(id)));
  }

  stop(): void {
    this.#supervisor.stop().catch(() => {});
  }

  rescale(_change: RescaleChange): Promise<object> {
    return Promise.reject(
      new MillraceError(
        "RESCALE_UNSUPPORTED",
        "parallelism",
        "a job in one process cannot change it while it runs",
        "stop it with a savepoint and start it with --parallelism, or run it with --task-managers",
      ),
    );
  }

  profile(_slot: number, durationMs: number): Promise<object> {
    return profileThread(durationMs);
  }

  metrics(): Promise<MetricsText> {
    return this.#metrics();
  }

  leader(): undefined {
    return undefined;
  }

  #take(id: string, mode: SavepointMode): void {
    const asked: Asked = {
      mode,
      done: this.#supervisor.savepoint(id, mode).then(
        (record) => {
          asked.record = record;
        },
        (error: unknown) => {
          asked.failure = { code: isMillraceError(error) ? error.code : "INTERNAL", message: messageOf(error) };
        },
      ),
    };
    this.#savepoints.set(id, asked);
  }

  #answer(id: string): SavepointAnswer {
    const { mode, record, failure } = this.#savepoints.get(id) as Asked;
    return {
      id,
      mode,
      phase: failure !== undefined ? "failed" : record !== undefined ? "completed" : "running",
      location: record?.location ?? null,
      sizeBytes: record?.savepoint?.totalBytes ?? null,
      checkpointId: record?.id ?? null,
      formatVersion: record?.savepoint?.formatVersion ?? null,
      cutAtMs: record?.savepoint?.cutAtMs ?? null,
      completedAtMs: record?.savepoint?.completedAtMs ?? null,
      failure: failure ?? null,
    };
  }
}
