// The status of a MicroBatchJob: its batches, its executors, its runs.
import type { Condition } from "./conditions.ts";
import type { LastUpgrade } from "./stream-job-status.ts";

export interface MicroBatchJobStatus {
  /**
   * The generation of the manifest that this status is about.
   * @asType integer
   */
  readonly observedGeneration?: number;
  /** One word for people. */
  readonly state?: string;
  /** Ready, Progressing and Degraded. */
  readonly conditions?: readonly Condition[];
  /**
   * The highest number given to a run of this job: they fence older drivers.
   * @asType integer
   */
  readonly run?: number;
  /** The revision that runs or is being started. */
  readonly currentRevision?: string;
  /** The last revision that committed a batch. */
  readonly stableRevision?: string;
  /** The last batch. */
  readonly batch?: BatchStatus;
  /**
   * Executors asked for.
   * @asType integer
   */
  readonly replicas?: number;
  /**
   * Executors that are there.
   * @asType integer
   */
  readonly readyReplicas?: number;
  /** Selects the executors' pods. */
  readonly selector?: string;
  /**
   * Failures of the driver in a row.
   * @asType integer
   */
  readonly failures?: number;
  /** Why it last failed. */
  readonly lastFailure?: string;
  /** When a run was last started by schedule. */
  readonly lastScheduledAt?: string;
  /** When the next run is due. */
  readonly nextScheduledAt?: string;
  /**
   * Ended runs, newest first.
   * @maxItems 50
   */
  readonly history?: readonly BatchRun[];
  /** The last change of version. */
  readonly lastUpgrade?: LastUpgrade;
}

export interface BatchStatus {
  /**
   * Number of the last committed batch.
   * @asType integer
   */
  readonly id: number;
  /** When it was committed. */
  readonly completedAt?: string;
  /**
   * How long it took, ms.
   * @asType integer
   */
  readonly durationMs?: number;
  /**
   * Records it read.
   * @asType integer
   */
  readonly inputRows?: number;
  /** Records that came in a second. */
  readonly inputRowsPerSecond?: number;
  /** Event time up to which results are final. */
  readonly watermark?: string;
}

export interface BatchRun {
  /**
   * Number of the run.
   * @asType integer
   */
  readonly run: number;
  /** When it started. */
  readonly startedAt: string;
  /** When it ended. */
  readonly endedAt: string;
  /** How it ended. */
  readonly result: "Succeeded" | "Failed" | "Replaced";
  /**
   * Batches that it committed.
   * @asType integer
   */
  readonly batches?: number;
  /** Why it failed. */
  readonly message?: string;
}
