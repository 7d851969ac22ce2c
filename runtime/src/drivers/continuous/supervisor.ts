// Keeps a job running in this process: restores, runs, and after a failure restores again with growing pauses.
import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { TaskParts } from "../task/task-parts.ts";
import type { CheckpointOptions, CheckpointRecord, SnapshotSaver } from "./checkpointer.ts";
import { JobRun, type JobRunParts, type RunOutcome, type SavepointMode } from "./job-run.ts";
import { type RunStatus, runStatus } from "./job-status.ts";
import { RestartBackoff, type RestartOptions, type RestartStrategy } from "./restart-backoff.ts";

export type JobState = "created" | "restoring" | "running" | "stopping" | "restarting" | "finished" | "stopped" | "failed";

const moves: Readonly<Record<JobState, readonly JobState[]>> = {
  created: ["restoring"],
  restoring: ["running", "restarting", "failed", "stopped"],
  running: ["stopping", "restarting", "finished", "failed"],
  stopping: ["stopped", "finished", "restarting", "failed"],
  restarting: ["restoring", "stopped", "failed"],
  finished: [],
  stopped: [],
  failed: [],
};

/** What a run starts from, and where its checkpoints go. */
export interface RunStart {
  readonly saver: SnapshotSaver | undefined;
  readonly restore: JobRunParts["restore"];
  readonly restoredSources: JobRunParts["restoredSources"];
  readonly nextCheckpointId: number;
  /** The snapshot's location, for people. */
  readonly restoredFrom: string | undefined;
  readonly background?: JobRunParts["background"];
  /** All sinks are open, so the restored snapshot's output is committed: records it. */
  sinksRestored(): Promise<void>;
  close(): Promise<void>;
}

export interface SupervisorParts extends Omit<TaskParts, "wake" | "restore" | "workDirectory"> {
  /** Where state on disk goes; a folder below it is this run's own and is removed at its end. */
  readonly directory: string;
  readonly checkpoints: CheckpointOptions;
  readonly restarts: RestartOptions | RestartStrategy;
  /** Takes the job's epoch and finds what to start from; called before every attempt. */
  readonly begin: () => Promise<RunStart>;
  readonly random: () => number;
}

export interface JobStatus {
  readonly name: string;
  readonly state: JobState;
  readonly startedAtMs: number;
  readonly restarts: number;
  readonly restoredFrom: string | null;
  readonly lastFailure: string | null;
  readonly run: RunStatus | null;
}

// What no restart can mend.
const fatalCodes: ReadonlySet<string> = new Set([
  "FENCED",
  "KAFKA_FENCED",
  "BAD_RECORDS_LIMIT",
  // Thrown only where onBadRecord says fail: the same record comes again at every start.
  "RECORD_UNPARSABLE",
  "RECORD_MISFIT",
  "FUNCTION_FAILED",
  "STATE_SCHEMA_INCOMPATIBLE",
  "STORAGE_DENIED",
]);

/** A failure that ended an attempt. */
export interface SupervisorFailure {
  readonly atMs: number;
  readonly region: string;
  readonly attempt: number;
  readonly code: string;
  readonly message: string;
}

const failuresKept = 50;

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #startedAtMs: number;
  #state: JobState = "created";
  #restarts = 0;
  #restoredFrom: string | null = null;
  #lastFailure: string | null = null;
  #runningSinceMs: number | null = null;
  readonly #failures: SupervisorFailure[] = [];
  #run: JobRun | undefined;
  #lastStatus: RunStatus | null = null;
  #history: readonly CheckpointRecord[] = [];
  #stopAsked = false;
  #wakeBackoff: (() => void) | undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#startedAtMs = parts.clock.now();
  }

  get state(): JobState {
    return this.#state;
  }

  status(): JobStatus {
    if (this.#run !== undefined) this.#lastStatus = runStatus(this.#run, this.#parts.dataflow);
    return {
      name: this.#parts.jobName,
      state: this.#state,
      startedAtMs: this.#startedAtMs,
      restarts: this.#restarts,
      restoredFrom: this.#restoredFrom,
      lastFailure: this.#lastFailure,
      run: this.#lastStatus,
    };
  }

  checkpoints(): readonly CheckpointRecord[] {
    return this.#run?.checkpointer.history ?? this.#history;
  }

  /** The last failures, oldest first. */
  get failures(): readonly SupervisorFailure[] {
    return this.#failures;
  }

  /** When processing began after the last restore, also when all input has been read since; null while nothing runs. */
  get runningSinceMs(): number | null {
    return this.#runningSinceMs;
  }

  /** Takes a savepoint; with `stop` or `drain` the job ends there. */
  async savepoint(id: string, mode: SavepointMode): Promise<CheckpointRecord> {
    const run = this.#run;
    if (run === undefined || this.#state !== "running") {
      throw new MillraceError("JOB_NOT_RUNNING", `job ${this.#parts.jobName}`, `is ${this.#state}`, "wait until it runs, and ask again");
    }
    if (mode !== "keep") this.#move("stopping");
    return run.snapshot(mode, id);
  }

  /** Ends the job with a last checkpoint, so that the next start goes on where it stopped. */
  async stop(): Promise<void> {
    if (this.#stopAsked) return;
    this.#stopAsked = true;
    this.#wakeBackoff?.();
    const run = this.#run;
    if (run === undefined || this.#state !== "running") return;
    this.#move("stopping");
    await run.snapshot("stop").catch((error: unknown) => this.#log.warn("the last checkpoint failed", { reason: messageOf(error) }));
  }

  /** Runs until the job has ended, was stopped, or failed for good (then it rejects). */
  async run(): Promise<RunOutcome> {
    const backoff = new RestartBackoff(this.#parts.restarts);
    for (;;) {
      const startedMs = this.#clock.now();
      this.#move("restoring");
      try {
        const outcome = await this.#attempt();
        this.#move(outcome === "ended" ? "finished" : "stopped");
        return outcome;
      } catch (error) {
        this.#lastFailure = messageOf(error);
        this.#noteFailure(error);
        const pauseMs = this.#pauseBefore(error, backoff, this.#clock.now() - startedMs);
        if (pauseMs === undefined) {
          this.#move("failed");
          throw error;
        }
        this.#move("restarting");
        this.#restarts++;
        this.#log.warn("job failed, restarting", { reason: this.#lastFailure, pauseMs: Math.round(pauseMs), attempt: backoff.attempts });
        await this.#sleep(pauseMs);
        if (this.#stopAsked) {
          this.#move("stopped");
          return "stopped";
        }
      }
    }
  }

  async #attempt(): Promise<RunOutcome> {
    const { directory, begin } = this.#parts;
    const workDirectory = join(directory, randomUUID());
    await mkdir(workDirectory, { recursive: true });
    let start: RunStart | undefined;
    try {
      start = await begin();
      this.#restoredFrom = start.restoredFrom ?? null;
      const { restore, background, ...rest } = start;
      const run = await JobRun.start({
        ...this.#parts,
        ...rest,
        workDirectory,
        ...(restore === undefined ? {} : { restore }),
        ...(background === undefined ? {} : { background }),
      });
      this.#run = run;
      await start
        .sinksRestored()
        .catch((error: unknown) => this.#log.warn("the restored commit was not recorded", { reason: messageOf(error) }));
      this.#move("running");
      if (this.#stopAsked) {
        this.#move("stopping");
        await run.snapshot("stop");
      }
      return await run.done;
    } finally {
      if (this.#run !== undefined) {
        this.#lastStatus = runStatus(this.#run, this.#parts.dataflow);
        this.#history = this.#run.checkpointer.history;
      }
      this.#run = undefined;
      await start?.close();
      await rm(workDirectory, { recursive: true, force: true });
    }
  }

  // Undefined: no further attempt. Errors before the job ever ran are the user's to mend, not to retry.
  #pauseBefore(error: unknown, backoff: RestartBackoff, ranMs: number): number | undefined {
    if (this.#stopAsked) return undefined;
    const neverRan = this.#state === "restoring" && this.#restarts === 0;
    const fatal = hasFatalCause(error) || (error instanceof MillraceError && neverRan);
    return fatal ? undefined : backoff.next(ranMs, this.#parts.random(), this.#clock.now());
  }

  #sleep(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(pauseMs, resolve);
      this.#wakeBackoff = () => {
        cancel();
        resolve();
      };
    });
  }

  #noteFailure(error: unknown): void {
    const code = error instanceof MillraceError ? error.code : "INTERNAL";
    this.#failures.push({ atMs: this.#clock.now(), region: "job", attempt: this.#restarts + 1, code, message: messageOf(error) });
    if (this.#failures.length > failuresKept) this.#failures.shift();
  }

  #move(to: JobState): void {
    if (!moves[this.#state].includes(to)) throw new Error(`a job cannot go from ${this.#state} to ${to}`);
    if (to === "running") this.#runningSinceMs = this.#clock.now();
    else if (to !== "stopping" && to !== "finished") this.#runningSinceMs = null;
    this.#state = to;
  }
}

// A failed checkpoint is a failure to restart from, but not when a later writer has taken the job over: that one runs it now.
function hasFatalCause(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof MillraceError && fatalCodes.has(cause.code)) return true;
  }
  return false;
}
