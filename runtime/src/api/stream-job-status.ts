// The status of a StreamJob: what the operator knows for sure and what it is about to do. It is written before each action, so that a restarted operator goes on.
import type { Condition } from "./conditions.ts";

export interface StreamJobStatus {
  /**
   * The generation of the manifest that this status is about.
   * @asType integer
   */
  readonly observedGeneration?: number;
  /** One word for people. */
  readonly state?: StreamJobState;
  /** Ready, Progressing and Degraded. */
  readonly conditions?: readonly Condition[];
  /**
   * The highest number given to a run of this job. Numbers rise, also when the job is deleted and made again: they fence older runs.
   * @asType integer
   */
  readonly run?: number;
  /** The revision that runs or is being started. */
  readonly currentRevision?: string;
  /** The last revision that completed a checkpoint. */
  readonly stableRevision?: string;
  /** The run whose pods should be there. */
  readonly active?: ActiveRun;
  /** What the next run starts from, while there is none. */
  readonly resumeFrom?: RestorePoint;
  /** The replacement of one run by another, or the end of one, that is in progress. */
  readonly upgrade?: UpgradeProgress;
  /** The last replacement of one run by another. */
  readonly lastUpgrade?: LastUpgrade;
  /** A change of parallelism without a restart of the pods that is in progress. */
  readonly rescale?: {
    /** Unique in the life of the job. */
    readonly id: string;
    /** The parallelism before. */
    readonly from: number;
    /** The parallelism after. */
    readonly to: number;
    /** When it started. */
    readonly startedAt: string;
  };
  /** A revision that runs although the manifest says another, because that one was rolled back. Ends with the next change of the manifest. */
  readonly pinned?: PinnedRevision;
  /** Savepoints that the operator took by itself. */
  readonly savepoints?: SavepointsStatus;
  /** Nonces of the manifest that have been served. */
  readonly served?: {
    /** `spec.restartNonce`. */
    readonly restart?: string;
    /** `spec.savepoints.nonce`. */
    readonly savepoint?: string;
    /** `spec.upgrade.redeploy`. */
    readonly redeploy?: string;
  };
  /**
   * Pods of the TaskManagers: for the scale subresource.
   * @asType integer
   */
  readonly replicas?: number;
  /**
   * TaskManagers that are ready.
   * @asType integer
   */
  readonly readyReplicas?: number;
  /** Selects the TaskManagers' pods: for the scale subresource. */
  readonly selector?: string;
  /**
   * Instances of each operator.
   * @asType integer
   */
  readonly parallelism?: number;
  /** What the job itself last said. */
  readonly job?: {
    /** Its state. */
    readonly state: string;
    /** How often it restarted. */
    readonly restarts: number;
    /** Why it last did. */
    readonly lastFailure?: string;
    /** The snapshot that it started from. */
    readonly restoredFrom?: string;
  };
}

export type StreamJobState =
  | "Created"
  | "Deploying"
  | "Running"
  | "Upgrading"
  | "RollingBack"
  | "Rescaling"
  | "Suspending"
  | "Suspended"
  | "Finished"
  | "Failed"
  | "Deleting";

/** The newest checkpoint that a run of at least `sinceRun` completed; if there is none, `location`; if there is none, nothing. */
export interface RestorePoint {
  /** The first run whose checkpoints count. */
  readonly sinceRun: number;
  /** A savepoint or checkpoint, as a URL. */
  readonly location?: string;
}

export interface ActiveRun {
  /** Number of the run. */
  readonly run: number;
  /** The revision, by the name of its ControllerRevision. */
  readonly revision: string;
  /** What it starts from. */
  readonly restore: RestorePoint;
  /** True: its pods wait for the order to start. */
  readonly standby: boolean;
  /** Instances of each operator. */
  readonly parallelism: number;
  /** `starting`: its pods are being made; `stable`: it has completed a checkpoint; `finished`: its input has ended. */
  readonly phase: "starting" | "stable" | "finished";
  /** When it started. */
  readonly startedAt: string;
}

export type UpgradeKind = "deploy" | "upgrade" | "rollback" | "restart" | "redeploy" | "recover" | "rescale" | "suspend" | "delete";

/** `preparing`: new pods stand by; `savepointing`: the old run ends with a savepoint; `stopping`: old pods go; `starting`: the new run becomes stable. */
export type UpgradePhase = "preparing" | "savepointing" | "stopping" | "starting";

export interface UpgradeProgress {
  /** Unique in the job's life. */
  readonly id: string;
  /** What it is for. */
  readonly kind: UpgradeKind;
  /** How far it is. */
  readonly phase: UpgradePhase;
  /** What the new run starts from. */
  readonly mode: "savepoint" | "drain" | "last-state" | "stateless" | "given";
  /** The old one. */
  readonly from?: {
    /** Number of the run. */
    readonly run: number;
    /** Its revision. */
    readonly revision: string;
  };
  /** The new one. */
  readonly to?: {
    /** Number of the run. */
    readonly run: number;
    /** Its revision. */
    readonly revision: string;
    /** Instances of each operator. */
    readonly parallelism: number;
    /** True: its pods wait for the order to start. */
    readonly standby: boolean;
  };
  /** The id that the runtime knows the savepoint by. */
  readonly savepointId?: string;
  /** The attempt to take the savepoint, from 1. */
  readonly savepointAttempt?: number;
  /** The savepoint, as a URL. */
  readonly savepoint?: string;
  /** What is known of the savepoint. */
  readonly savepointFacts?: SavepointFacts;
  /** What it starts from. */
  readonly restore?: RestorePoint;
  /** When it started. */
  readonly startedAt: string;
  /** When its phase started. */
  readonly phaseStartedAt: string;
  /** When the old run stopped processing. */
  readonly stoppedAt?: string;
  /** Why an earlier attempt of this operation did not succeed. */
  readonly problem?: string;
}

export interface SavepointFacts {
  /**
   * Bytes of all its files.
   * @asType integer
   */
  readonly sizeBytes?: number;
  /**
   * Version of the snapshot format.
   * @asType integer
   */
  readonly formatVersion?: number;
  /** When it was complete. */
  readonly completedAt?: string;
}

export interface LastUpgrade {
  /** Unique in the life of the job. */
  readonly id: string;
  /** What it is for. */
  readonly kind: UpgradeKind;
  /** The old one. */
  readonly from?: string;
  /** The new one. */
  readonly to?: string;
  /** How it ended. */
  readonly result: "Succeeded" | "Failed" | "Superseded";
  /** Why it failed. */
  readonly message?: string;
  /** The savepoint, as a URL. */
  readonly savepoint?: string;
  /** What is known of the savepoint. */
  readonly savepointFacts?: SavepointFacts;
  /** How long nothing was processed, ms. */
  readonly gapMs?: number;
  /** When it started. */
  readonly startedAt: string;
  /** When it ended. */
  readonly endedAt: string;
}

export interface PinnedRevision {
  /** The revision, by the name of its ControllerRevision. */
  readonly revision: string;
  /** The revision of the manifest that does not run. */
  readonly insteadOf: string;
  /** Why. */
  readonly reason: "RolledBack" | "RollbackRequested" | "UpgradeFailed";
  /** Why, in words. */
  readonly message: string;
}

export interface SavepointsStatus {
  /** The Savepoint that is about to be made; its name is kept before it is. */
  readonly pending?: {
    /** Its name. */
    readonly name: string;
    /** Why it is taken. */
    readonly trigger: "schedule" | "nonce";
  };
  /** The newest completed one. */
  readonly last?: string;
  /** When one was last due. */
  readonly lastScheduledAt?: string;
}
