// A model of the runtime: one run of a job over simulated pods. It restores, counts records, takes checkpoints and savepoints, and stops for good.
import type { RestorePoint } from "millrace/api";
import type { JobProcessState, JobReport, SavepointMode, SavepointReport } from "../ports/job-client.ts";
import type { Pod } from "../ports/objects.ts";
import type { JobStorage } from "./job-storage.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface JobTiming {
  readonly restoreMs: number;
  readonly checkpointMs: number;
  readonly savepointMs: number;
  readonly recordsPerMs: number;
}

export const defaultJobTiming: JobTiming = { restoreMs: 300, checkpointMs: 5_000, savepointMs: 400, recordsPerMs: 1 };

/** What is wrong with a version of the job, by words in its image's name. */
export const faultOf = (image: string): "crash" | "crash-running" | "no-checkpoint" | "no-restore" | undefined =>
  (["crash-running", "crash", "no-checkpoint", "no-restore"] as const).find((word) => image.includes(word));

export class SimulatedRun {
  readonly run: number;
  readonly image: string;
  readonly jobManagers = new Map<string, Pod>();
  readonly taskManagers = new Map<string, Pod>();
  order: RestorePoint | undefined;
  parallelism: number;
  readonly slots: number;
  readonly #storage: JobStorage;
  readonly #time: VirtualTime;
  readonly #timing: JobTiming;
  readonly #changed: () => void;
  #state: JobProcessState = "created";
  #attempt = 0;
  #base = 0;
  #sinceMs: number | undefined;
  #restarts = 0;
  #lastFailure: string | undefined;
  #restoredFrom: string | undefined;
  #lastCheckpoint: JobReport["lastCheckpoint"];
  readonly #savepoints = new Map<string, SavepointReport>();
  /** So many savepoints fail before one succeeds. */
  savepointFailures = 0;

  constructor(parts: {
    readonly run: number;
    readonly image: string;
    readonly parallelism: number;
    readonly slots: number;
    readonly storage: JobStorage;
    readonly time: VirtualTime;
    readonly timing: JobTiming;
    readonly changed: () => void;
  }) {
    this.run = parts.run;
    this.image = parts.image;
    this.parallelism = parts.parallelism;
    this.slots = parts.slots;
    this.#storage = parts.storage;
    this.#time = parts.time;
    this.#timing = parts.timing;
    this.#changed = parts.changed;
  }

  /** True while it may put something out. */
  get processing(): boolean {
    return this.#state === "running" || this.#state === "stopping";
  }

  get state(): JobProcessState {
    return this.#state;
  }

  get report(): JobReport {
    return {
      run: this.run,
      state: this.#state,
      parallelism: this.parallelism,
      restarts: this.#restarts,
      lastFailure: this.#lastFailure,
      restoredFrom: this.#restoredFrom,
      runningSinceMs: this.#sinceMs,
      prepared: this.#state === "standby",
      lastCheckpoint: this.#lastCheckpoint,
    };
  }

  /** Pods came or went, or the order is known: what follows from that. */
  look(): void {
    if (this.#storage.stopped.has(this.run)) return this.#move("stopped");
    const enough = this.taskManagers.size * this.slots >= this.parallelism;
    if (this.processing && !enough) {
      this.#restarts++;
      this.#lastFailure = "a TaskManager is lost";
      this.#attempt++;
      this.#move("restarting");
    }
    if (this.jobManagers.size === 0) {
      if (!this.processing && this.#state !== "failed") this.#move("created");
      return;
    }
    if (this.#state === "failed" || this.processing || this.#state === "restoring") return;
    if (this.order === undefined) return this.#move("standby");
    if (enough) this.#restore(this.order);
    else this.#move("restarting");
  }

  savepointReport(id: string): SavepointReport | undefined {
    return this.#storage.savepoints.get(id)?.report ?? this.#savepoints.get(id);
  }

  /** Undefined when the job cannot take one now. */
  startSavepoint(id: string, mode: SavepointMode): SavepointReport | undefined {
    const known = this.savepointReport(id);
    if (known !== undefined) return known;
    if (this.#state !== "running" || this.jobManagers.size === 0) return undefined;
    const begun: SavepointReport = {
      id,
      mode,
      phase: "running",
      location: undefined,
      sizeBytes: undefined,
      formatVersion: undefined,
      cutAtMs: undefined,
      completedAtMs: undefined,
      failure: undefined,
    };
    this.#savepoints.set(id, begun);
    const attempt = this.#attempt;
    if (mode !== "keep") this.#move("stopping");
    this.#time.after(this.#timing.savepointMs, () => this.#finishSavepoint(begun, attempt));
    return begun;
  }

  #finishSavepoint(begun: SavepointReport, attempt: number): void {
    const { id, mode } = begun;
    // Who coordinated it is gone, and with it the savepoint.
    if (this.#savepoints.get(id) !== begun) return;
    if (attempt !== this.#attempt || !this.processing || this.savepointFailures > 0) {
      this.savepointFailures = Math.max(0, this.savepointFailures - 1);
      this.#savepoints.set(id, { ...begun, phase: "failed", failure: "the storage did not answer" });
      if (this.#state === "stopping") this.#move("running");
      return;
    }
    const records = this.#records();
    if (this.#storage.checkpoint(this.run, records) === undefined) return this.#fail("FENCED");
    const nowMs = this.#time.now();
    this.#storage.savepoint(this.run, records, { ...begun, phase: "completed", cutAtMs: nowMs, completedAtMs: nowMs });
    if (mode !== "keep") this.#move("stopped");
  }

  /** A JobManager's process ended: what only it knew is lost. */
  forget(): void {
    if (this.jobManagers.size > 0) return;
    this.#savepoints.clear();
    if (this.#state === "stopping") this.#move("running");
  }

  #restore(order: RestorePoint): void {
    this.#move("restoring");
    const attempt = ++this.#attempt;
    this.#time.after(this.#timing.restoreMs, () => {
      if (attempt !== this.#attempt || this.#state !== "restoring") return;
      if (faultOf(this.image) === "no-restore") return this.#fail("STATE_SCHEMA_INCOMPATIBLE");
      if (faultOf(this.image) === "crash-running") {
        this.#restarts++;
        this.#lastFailure = "the user's function threw";
        this.#move("restarting");
        this.#time.after(2_000, () => this.look());
        return;
      }
      if (this.taskManagers.size * this.slots < this.parallelism) return this.#move("restarting");
      if (!this.#storage.enter(this.run)) return this.#fail("FENCED");
      const records = this.#storage.restore(this.run, order);
      if (records === undefined) return this.#fail("SNAPSHOT_MISSING");
      this.#restoredFrom = this.#storage.restores.at(-1)?.from;
      this.#base = records;
      this.#sinceMs = this.#time.now();
      this.#move("running");
      this.#checkpointLater(attempt);
    });
  }

  #checkpointLater(attempt: number): void {
    this.#time.after(this.#timing.checkpointMs, () => {
      if (attempt !== this.#attempt || !this.processing) return;
      if (this.#state === "running" && this.jobManagers.size > 0 && faultOf(this.image) !== "no-checkpoint") {
        const stored = this.#storage.checkpoint(this.run, this.#records());
        if (stored === undefined) return this.#fail("FENCED");
        this.#lastCheckpoint = { id: this.#storage.checkpoints.length, location: stored.location, completedAtMs: this.#time.now() };
      }
      this.#checkpointLater(attempt);
    });
  }

  #records(): number {
    return this.#base + Math.floor((this.#time.now() - (this.#sinceMs ?? this.#time.now())) * this.#timing.recordsPerMs);
  }

  #fail(reason: string): void {
    this.#lastFailure = reason;
    this.#move("failed");
  }

  #move(to: JobProcessState): void {
    if (this.#state === to) return;
    this.#state = to;
    this.#changed();
  }
}
