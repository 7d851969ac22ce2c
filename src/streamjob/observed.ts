// What is known about a job at one moment: everything that a decision may rest on.
import type { JobReport, SavepointReport } from "../ports/job-client.ts";
import type { Savepoint, StreamJob } from "../ports/objects.ts";
import type { Built } from "../resource/built.ts";
import type { Asked } from "../resource/asked.ts";
import type { Refusal } from "../resource/reconciler.ts";
import type { OtherSeen } from "../resource/others.ts";
import type { Component } from "./names.ts";
import type { Revision } from "./revision.ts";

export interface WorkloadSeen {
  readonly component: Component;
  readonly name: string;
  readonly uid: string;
  readonly run: number;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly builtFrom: string | undefined;
  readonly deleting: boolean;
}

export interface PodSeen {
  readonly name: string;
  readonly run: number;
  readonly component: Component;
  readonly ready: boolean;
  readonly running: boolean;
  readonly deleting: boolean;
  /** Its containers have ended and will not start again, as after an eviction. */
  readonly ended: boolean;
  readonly ip: string | undefined;
  readonly restPort: number;
  readonly restarts: number;
  /** Why its container does not run, such as `CrashLoopBackOff`. */
  readonly waiting: string | undefined;
  readonly message: string | undefined;
}

export interface Observed {
  readonly nowMs: number;
  readonly job: StreamJob;
  /** What is wrong with the spec. */
  readonly problem: string | undefined;
  /** Oldest first. */
  readonly revisions: readonly Revision[];
  readonly workloads: readonly WorkloadSeen[];
  readonly pods: readonly PodSeen[];
  readonly others: readonly OtherSeen[];
  /** Looked for, and not there. Leases are not watched: their holders write them all the time. */
  readonly leaseMissing: boolean;
  readonly savepoints: readonly Savepoint[];
  /** By run. */
  readonly reports: ReadonlyMap<number, Asked<JobReport>>;
  /** The savepoint of the upgrade in progress; an answer of undefined: the job does not know the id. */
  readonly savepoint: Asked<SavepointReport | undefined>;
  /** The job said no to the last step. */
  readonly refused: Refusal | undefined;
  /** Nothing can be made in the namespace any more. */
  readonly terminating: boolean;
  readonly defaultImage: string | undefined;
  readonly built: Built;
}
