// What is known about a MicroBatchJob at one moment: everything that a decision may rest on.
import type { DriverReport } from "../ports/driver-client.ts";
import type { SavepointReport } from "../ports/job-client.ts";
import type { MicroBatchJob } from "../ports/objects.ts";
import type { Built } from "../resource/built.ts";
import type { Asked } from "../resource/asked.ts";
import type { OtherSeen } from "../resource/others.ts";
import type { WorkloadSeen } from "../streamjob/observed.ts";
import type { BatchComponent } from "./names.ts";
import type { BatchRevision } from "./revision.ts";

export interface BatchPodSeen {
  readonly name: string;
  readonly uid: string;
  readonly run: number;
  readonly component: BatchComponent;
  readonly ready: boolean;
  readonly running: boolean;
  readonly deleting: boolean;
  /** How its process has ended; of a driver for good, because it is not started again. */
  readonly ended: { readonly failed: boolean; readonly reason: string | undefined; readonly message: string | undefined } | undefined;
  readonly ip: string | undefined;
  readonly restPort: number;
  readonly restarts: number;
  /** Why its container does not run, such as `ImagePullBackOff`. */
  readonly waiting: string | undefined;
  readonly message: string | undefined;
}

/** When runs are due by the schedule, ms. */
export interface DueSeen {
  /** The latest time until now at which a run was due and not started for. */
  readonly missedMs: number | undefined;
  /** The next time from now on. */
  readonly nextMs: number | undefined;
}

export interface BatchObserved {
  readonly nowMs: number;
  readonly job: MicroBatchJob;
  /** What is wrong with the spec. */
  readonly problem: string | undefined;
  /** Oldest first. */
  readonly revisions: readonly BatchRevision[];
  readonly executors: readonly Omit<WorkloadSeen, "component">[];
  readonly pods: readonly BatchPodSeen[];
  readonly others: readonly OtherSeen[];
  /** Of the active run's driver: asked while it runs, or read from what it left behind. */
  readonly report: Asked<DriverReport>;
  /** The savepoint that the run is to end with; an answer of undefined: the driver does not know the id. */
  readonly savepoint: Asked<SavepointReport | undefined>;
  readonly due: DueSeen;
  /** The driver said no to the last step. */
  readonly refused: string | undefined;
  readonly defaultImage: string | undefined;
  readonly built: Built;
}
