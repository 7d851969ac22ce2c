// Runs a query as a whole job: restores, checkpoints to files, savepoints, a sink in memory with exactly-once delivery.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Clock, systemClock } from "../../runtime/src/base/clock.ts";
import { silentLog } from "../../runtime/src/base/log.ts";
import type { StateBackendFactory } from "../../runtime/src/core/ports/state-backend.ts";
import type { RunOutcome } from "../../runtime/src/drivers/continuous/job-run.ts";
import { jobSnapshots } from "../../runtime/src/drivers/continuous/job-snapshots.ts";
import { Supervisor } from "../../runtime/src/drivers/continuous/supervisor.ts";
import type { Job } from "../../runtime/src/index.ts";
import { entryMerging } from "../../runtime/src/state/entry-merging.ts";

const maxParallelism = 32;

export interface RunOptions {
  readonly parallelism: number;
  readonly stateBackend: StateBackendFactory;
  /** Holds the run's snapshots and its state on disk. */
  readonly directory: string;
  /** Infinity for none but the last. */
  readonly checkpointIntervalMs: number;
  /** Where to start from. */
  readonly savepoint?: string;
  readonly clock?: Clock;
}

export class QueryRun {
  readonly supervisor: Supervisor;
  readonly #done: Promise<RunOutcome>;

  private constructor(supervisor: Supervisor) {
    this.supervisor = supervisor;
    // Timers of a job do not keep a process alive, and one that does nothing else would end while its job waits.
    const alive = setInterval(() => {}, 60_000);
    this.#done = supervisor.run().finally(() => clearInterval(alive));
    // Whoever waits for anything of the run learns of its failure; until then it must not count as unhandled.
    this.#done.catch(() => {});
  }

  static start(job: Job, options: RunOptions): QueryRun {
    const { parallelism, stateBackend, directory, checkpointIntervalMs, savepoint, clock = systemClock } = options;
    const dataflow = job.build();
    const common = { dataflow, maxParallelism, clock, log: silentLog };
    return new QueryRun(
      new Supervisor({
        ...common,
        jobName: job.name,
        parallelism,
        stateBackend,
        directory: join(directory, "work"),
        checkpointIntervalMs,
        badRows: { onBadRecord: "fail", maxPerMinute: 0 },
        checkpoints: { intervalMs: checkpointIntervalMs, minPauseMs: 0, tolerableFailures: 0 },
        restarts: { maxAttempts: 0, initialMs: 1, maxMs: 1, resetAfterMs: 1000 },
        random: () => 0,
        begin: jobSnapshots({
          ...common,
          storage: pathToFileURL(join(directory, "snapshots")).href,
          storageOptions: {},
          retained: 2,
          initialSavepoint: savepoint,
          allowNonRestoredState: false,
          merging: entryMerging,
          hasDeadLetterSink: false,
        }),
      }),
    );
  }

  /** Waits for something that happens while the job runs; rejects when the job fails or ends before. */
  async during<T>(what: Promise<T>): Promise<T> {
    const ended = this.#done.then((outcome): never => {
      throw new Error(`the job has ${outcome} before that`);
    });
    return Promise.race([what, ended]);
  }

  /** Waits until a checkpoint that begins from now on is complete. Returns how many were completed in all. */
  async checkpointed(): Promise<number> {
    const last = this.supervisor.checkpoints().at(-1)?.id ?? 0;
    for (;;) {
      const records = this.supervisor.checkpoints();
      const complete = records.filter((record) => record.phase === "completed");
      if ((complete.at(-1)?.id ?? 0) > last) return complete.length;
      await this.during(new Promise((resolve) => setTimeout(resolve, 1)));
    }
  }

  /** Ends the job with a savepoint; returns its location. */
  async stopWithSavepoint(): Promise<string> {
    const { location } = await this.supervisor.savepoint("golden", "stop");
    const outcome = await this.#done;
    if (location === undefined || outcome !== "stopped") throw new Error(`the job has ${outcome}, with its savepoint at ${location}`);
    return location;
  }

  /** Waits for the job's own end. */
  async ended(): Promise<void> {
    const outcome = await this.#done;
    if (outcome !== "ended") throw new Error(`the job has ${outcome}`);
  }
}
