// The status of a StreamJob: what the operator knows for sure and what it is about to do. It is written before each action, so that a restarted operator goes on.
import type { Condition } from "./conditions.ts";

export interface StreamJobStatus {
  /** The generation of the manifest that this status is about. */
  readonly observedGeneration?: number;
  /** One word for people. */
  readonly state?: StreamJobState;
  readonly conditions?: readonly Condition[];
  /** The highest number given to a run of this job. Numbers rise, also when the job is deleted and made again: they fence older runs. */
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
  readonly lastUpgrade?: LastUpgrade;
  /** A change of parallelism without a restart of the pods that is in progress. */
  readonly rescale?: { readonly id: string; readonly from: number; readonly to: number; readonly startedAt: string };
  /** A revision that runs although the manifest says another, because that one was rolled back. Ends with the next change of the manifest. */
  readonly pinned?: PinnedRevision;
  readonly savepoints?: SavepointsStatus;
  /** Nonces of the manifest that have been served. */
  readonly served?: { readonly restart?: string; readonly savepoint?: string; readonly redeploy?: string };
  /** Pods of the TaskManagers: for the scale subresource. */
  readonly replicas?: number;
  readonly readyReplicas?: number;
  /** Selects the TaskManagers' pods: for the scale subresource. */
  readonly selector?: string;
  readonly parallelism?: number;
  /** What the job itself last said. */
  readonly job?: { readonly state: string; readonly restarts: number; readonly lastFailure?: string; readonly restoredFrom?: string };
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
  readonly sinceRun: number;
  /** A savepoint or checkpoint, as a URL. */
  readonly location?: string;
}

export interface ActiveRun {
  readonly run: number;
  readonly revision: string;
  readonly restore: RestorePoint;
  /** True: its pods wait for the order to start. */
  readonly standby: boolean;
  readonly parallelism: number;
  /** `starting`: its pods are being made; `stable`: it has completed a checkpoint; `finished`: its input has ended. */
  readonly phase: "starting" | "stable" | "finished";
  readonly startedAt: string;
}

export type UpgradeKind = "deploy" | "upgrade" | "rollback" | "restart" | "redeploy" | "recover" | "rescale" | "suspend" | "delete";

/** `preparing`: new pods stand by; `savepointing`: the old run ends with a savepoint; `stopping`: old pods go; `starting`: the new run becomes stable. */
export type UpgradePhase = "preparing" | "savepointing" | "stopping" | "starting";

export interface UpgradeProgress {
  /** Unique in the job's life. */
  readonly id: string;
  readonly kind: UpgradeKind;
  readonly phase: UpgradePhase;
  readonly mode: "savepoint" | "drain" | "last-state" | "stateless" | "given";
  readonly from?: { readonly run: number; readonly revision: string };
  readonly to?: { readonly run: number; readonly revision: string; readonly parallelism: number; readonly standby: boolean };
  /** The id that the runtime knows the savepoint by. */
  readonly savepointId?: string;
  readonly savepointAttempt?: number;
  readonly savepoint?: string;
  readonly restore?: RestorePoint;
  readonly startedAt: string;
  readonly phaseStartedAt: string;
  /** When the old run stopped processing. */
  readonly stoppedAt?: string;
  /** Why an earlier attempt of this operation did not succeed. */
  readonly problem?: string;
}

export interface LastUpgrade {
  readonly id: string;
  readonly kind: UpgradeKind;
  readonly from?: string;
  readonly to?: string;
  readonly result: "Succeeded" | "Failed" | "Superseded";
  /** Why it failed. */
  readonly message?: string;
  readonly savepoint?: string;
  /** How long nothing was processed, ms. */
  readonly gapMs?: number;
  readonly startedAt: string;
  readonly endedAt: string;
}

export interface PinnedRevision {
  readonly revision: string;
  /** The revision of the manifest that does not run. */
  readonly insteadOf: string;
  readonly reason: "RolledBack" | "RollbackRequested" | "UpgradeFailed";
  readonly message: string;
}

export interface SavepointsStatus {
  /** The Savepoint that is about to be made; its name is kept before it is. */
  readonly pending?: { readonly name: string; readonly trigger: "schedule" | "nonce" };
  /** The newest completed one. */
  readonly last?: string;
  readonly lastScheduledAt?: string;
}
