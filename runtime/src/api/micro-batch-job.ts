// The MicroBatchJob manifest: a driver and executors that process one batch for each trigger.
import type { BadRecordsSpec } from "./bad-records.ts";
import type { CheckpointSpec } from "./checkpoints.ts";
import type { PodTemplate } from "./pod-template.ts";
import type { DeletionPolicy, RollbackSpec, UpgradeSpec } from "./stream-job-lifecycle.ts";
import type { JobSpec, ManifestMetadata, ResourcesSpec, StateSpec } from "./stream-job.ts";

export interface MicroBatchJobManifest {
  readonly apiVersion: "millrace.dev/v1alpha1";
  readonly kind: "MicroBatchJob";
  readonly metadata: ManifestMetadata;
  readonly spec: MicroBatchJobSpec;
}

export interface MicroBatchJobSpec {
  /**
   * The image of the job's pods. Default the runtime image of the operator's version.
   * @minLength 1
   * @maxLength 1024
   */
  readonly image?: string;
  /** What to run. */
  readonly job: JobSpec;
  /**
   * When a batch starts.
   * @default {}
   */
  readonly trigger?: TriggerSpec;
  /** How much one batch takes. */
  readonly input?: BatchInputSpec;
  /**
   * Partitions of each shuffle: tasks of a batch that have state.
   * @asType integer
   * @minimum 1
   * @maximum 32768
   * @default 1
   */
  readonly parallelism?: number;
  /**
   * The number of key groups: the most that parallelism can ever be. Fixed for the job's life.
   * @asType integer
   * @minimum 1
   * @maximum 32768
   * @default 128
   */
  readonly maxParallelism?: number;
  /** Where the offset log, the commit log and the state live. */
  readonly checkpoints?: CheckpointSpec;
  /** Where state lives while the job runs. */
  readonly state?: StateSpec;
  /** Records that cannot be processed. */
  readonly badRecords?: BadRecordsSpec;
  /**
   * True ends the job's pods after the current batch and keeps its state.
   * @default false
   */
  readonly suspend?: boolean;
  /**
   * How the job is stopped: `after-batch` lets the current batch end, `immediate` runs it again at the next start.
   * @default "after-batch"
   */
  readonly stopMode?: "after-batch" | "immediate";
  /** Runs at set times; for triggers that end, `available-now` and `once`. */
  readonly schedule?: ScheduleSpec;
  /** The pod that plans batches. */
  readonly driver?: DriverSpec;
  /** The pods that process them. None: the driver processes. */
  readonly executors?: ExecutorSpec;
  /**
   * What happens when the driver fails.
   * @default {}
   */
  readonly restart?: BatchRestartSpec;
  /** How a change of the job is brought out: between two batches. */
  readonly upgrade?: UpgradeSpec;
  /** When a new version is given up. */
  readonly rollback?: RollbackSpec;
  /** What happens when the job is deleted. */
  readonly deletion?: DeletionPolicy;
  /**
   * Any change of this value restarts the job with its state.
   * @minLength 1
   * @maxLength 256
   */
  readonly restartNonce?: string;
  /** Merged into every pod of the job before `driver.podTemplate` and `executors.podTemplate`. */
  readonly podTemplate?: PodTemplate;
  /**
   * How many earlier revisions are kept for rollbacks.
   * @asType integer
   * @minimum 1
   * @maximum 100
   * @default 10
   */
  readonly revisionHistoryLimit?: number;
  /**
   * Delete the resource this many seconds after its run has ended. Default never.
   * @asType integer
   * @minimum 0
   * @maximum 315360000
   */
  readonly timeToLiveSeconds?: number;
}

export interface TriggerSpec {
  /**
   * `processing-time`: a batch every `interval`. `available-now`: batches until what was there at the start is processed, then the end. `once`: one
   * batch, then the end. `continuous`: record by record, with a checkpoint every `interval`.
   * @default "processing-time"
   */
  readonly type?: "processing-time" | "available-now" | "once" | "continuous";
  /**
   * Time between two batches; without it the next one starts when the last has ended. For `continuous`, between two checkpoints.
   * @format duration
   */
  readonly interval?: string | number;
}

export interface BatchInputSpec {
  /**
   * The most records of one batch over all sources. Default no limit.
   * @asType integer
   * @minimum 1
   */
  readonly maxRecordsPerBatch?: number;
  /**
   * The most bytes of one batch, such as `512Mi`, of a job of the dataflow API, which holds them in memory. Default a share of the container's memory.
   * @format size
   */
  readonly maxBytesPerBatch?: string | number;
  /**
   * With executors: what a batch takes of each Kafka source is divided among at least about so many tasks, also where the topic has fewer
   * partitions. Default a task for each slot, at most one for each partition.
   * @asType integer
   * @minimum 1
   * @maximum 32768
   */
  readonly minPartitions?: number;
  /**
   * Take less when batches last longer than the trigger's interval.
   * @default true
   */
  readonly backpressure?: boolean;
}

export interface ScheduleSpec {
  /**
   * When to run, as five fields: minute, hour, day of the month, month, day of the week.
   * @minLength 9
   * @maxLength 100
   */
  readonly cron: string;
  /**
   * Time zone of `cron`, such as `Europe/Vienna`.
   * @minLength 1
   * @maxLength 64
   * @default "Etc/UTC"
   */
  readonly timeZone?: string;
  /**
   * When a run is due and the last one has not ended: `Forbid` leaves it out, `Replace` stops the last one after its batch.
   * @default "Forbid"
   */
  readonly concurrencyPolicy?: "Forbid" | "Replace";
  /**
   * A run that could not start for this long is left out. Default none is.
   * @format duration
   */
  readonly startingDeadline?: string | number;
  /**
   * How many ended runs the status lists.
   * @asType integer
   * @minimum 0
   * @maximum 50
   * @default 10
   */
  readonly historyLimit?: number;
}

export interface DriverSpec {
  /** What the driver's pod gets. */
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface ExecutorSpec {
  /**
   * The fewest executors. Where `max` is above 0 there is at least one: executors read the input, so nobody else sees that there is some.
   * @asType integer
   * @minimum 0
   * @maximum 1000
   * @default 0
   */
  readonly min?: number;
  /**
   * The most executors.
   * @asType integer
   * @minimum 0
   * @maximum 1000
   * @default 0
   */
  readonly max?: number;
  /**
   * Tasks that one executor processes at a time.
   * @asType integer
   * @minimum 1
   * @maximum 64
   * @default 1
   */
  readonly slots?: number;
  /**
   * An executor without work for this long goes.
   * @default "2 min"
   * @format duration
   */
  readonly idleTimeout?: string | number;
  /**
   * How long a leaving executor may take for its tasks and to hand over its state.
   * @default "1 min"
   * @format duration
   */
  readonly decommissionTimeout?: string | number;
  /**
   * Attempts of one task before the batch fails.
   * @asType integer
   * @minimum 1
   * @maximum 100
   * @default 4
   */
  readonly maxTaskAttempts?: number;
  /**
   * Start a slow task a second time on another executor; the first to end counts.
   * @default false
   */
  readonly speculation?: boolean;
  /** What each executor's pod gets. */
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface BatchRestartSpec {
  /**
   * `always` also starts a run again that has ended, `on-failure` one that failed, `never` none.
   * @default "on-failure"
   */
  readonly policy?: "always" | "on-failure" | "never";
  /**
   * Failures in a row before the job counts as failed.
   * @asType integer
   * @minimum 0
   * @maximum 10000
   * @default 10
   */
  readonly maxFailures?: number;
  /**
   * Wait before the first restart; doubled with each failure.
   * @default "5 s"
   * @format duration
   */
  readonly initialDelay?: string | number;
  /**
   * The longest wait.
   * @default "5 min"
   * @format duration
   */
  readonly maxDelay?: string | number;
  /**
   * Failures are forgotten after the job has run well for this long.
   * @default "10 min"
   * @format duration
   */
  readonly resetAfter?: string | number;
}
