// The status of a MicroBatchJob: its batches, its executors, its runs.
import type { Condition } from "./conditions.ts";
import type { LastUpgrade, PinnedRevision, RestorePoint } from "./stream-job-status.ts";

export interface MicroBatchJobStatus {
  /**
   * The generation of the manifest that this status is about.
   * @asType integer
   */
  readonly observedGeneration?: number;
  /** One word for people. */
  readonly state?: MicroBatchJobState;
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
  /** The run whose driver should be there. */
  readonly active?: ActiveBatchRun;
  /** What the next run starts from, while there is none. */
  readonly resumeFrom?: RestorePoint;
  /** The change of version that is in progress: until the new one is stable. */
  readonly upgrade?: BatchUpgrade;
  /** Why no run is started any more: the last one has ended for good. */
  readonly ended?: BatchEnd;
  /** When the next attempt starts, after a failure. */
  readonly retryAt?: string;
  /** A revision that runs although the manifest says another, because that one was rolled back. Ends with the next change of the manifest. */
  readonly pinned?: PinnedRevision;
  /** Nonces of the manifest that have been served. */
  readonly served?: {
    /** `spec.restartNonce`. */
    readonly restart?: string;
    /** `spec.upgrade.redeploy`. */
    readonly redeploy?: string;
  };
  /** How many executors are asked for, and since when. */
  readonly allocation?: ExecutorAllocation;
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
  /** When it last failed. */
  readonly lastFailureAt?: string;
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

export type MicroBatchJobState =
  | "Created"
  | "Starting"
  | "Running"
  | "Stopping"
  | "Upgrading"
  | "RollingBack"
  | "WaitingToRetry"
  | "Scheduled"
  | "Suspended"
  | "Finished"
  | "Failed"
  | "Deleting";

export interface ActiveBatchRun {
  /**
   * Number of the run.
   * @asType integer
   */
  readonly run: number;
  /** The revision, by the name of its ControllerRevision. */
  readonly revision: string;
  /** What it starts from. */
  readonly restore: RestorePoint;
  /** `starting`: it has committed nothing yet; `stable`: it works; `stopping`: it was told to end. */
  readonly phase: "starting" | "stable" | "stopping";
  /** When it started. */
  readonly startedAt: string;
  /** When it became stable. */
  readonly stableAt?: string;
  /** The uid of its driver's pod, once that has been seen: a pod that is gone since is lost. */
  readonly driver?: string;
  /** Since when its driver does not answer. */
  readonly silentSince?: string;
  /** How it is ended. */
  readonly stop?: BatchStop;
}

export interface BatchStop {
  /** What it is ended for. */
  readonly reason: "upgrade" | "rollback" | "restart" | "redeploy" | "suspend" | "replace" | "delete";
  /** The id that the runtime knows its last savepoint by. Without it, none is taken. */
  readonly savepointId?: string;
  /** The savepoint, as a URL. */
  readonly savepoint?: string;
  /** Why none could be taken. */
  readonly problem?: string;
  /** When it was decided. */
  readonly since: string;
}

export interface BatchUpgrade {
  /** Unique in the job's life. */
  readonly id: string;
  /** What it is for. */
  readonly kind: "upgrade" | "rollback";
  /** The old revision. */
  readonly from?: string;
  /** The new one. */
  readonly to: string;
  /** The savepoint between the two, as a URL. */
  readonly savepoint?: string;
  /** When the old one had ended. */
  readonly stoppedAt?: string;
  /**
   * Failures of the new one.
   * @asType integer
   */
  readonly failures?: number;
  /** When it started. */
  readonly startedAt: string;
}

export interface BatchEnd {
  /** How. */
  readonly result: "Succeeded" | "Failed";
  /** The revision that ran. */
  readonly revision: string;
  /** When. */
  readonly at: string;
}

export interface ExecutorAllocation {
  /**
   * Executors asked for.
   * @asType integer
   */
  readonly executors: number;
  /** When that changed. */
  readonly since: string;
  /** Since when fewer would do. */
  readonly lowSince?: string;
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
  /**
   * Records that wait to be read; not known for every source.
   * @asType integer
   */
  readonly backlog?: number;
  /**
   * The trigger's interval, ms: a batch that takes longer falls behind.
   * @asType integer
   */
  readonly triggerMs?: number;
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
  readonly result: "Succeeded" | "Failed" | "Replaced" | "Stopped";
  /**
   * Batches that it committed.
   * @asType integer
   */
  readonly batches?: number;
  /**
   * The last batch that it committed.
   * @asType integer
   */
  readonly lastBatch?: number;
  /** Why it failed. */
  readonly message?: string;
}
