// The StreamJob manifest: what `kubectl apply` and `millrace run -f` take. The operator's CustomResourceDefinition describes the same fields.

import type { DeletionPolicy, RollbackSpec, SavepointPolicy, UpgradeSpec } from "./stream-job-lifecycle.ts";
import type { PodTemplate } from "./pod-template.ts";

export interface ManifestMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface StreamJobManifest {
  readonly apiVersion: "millrace.dev/v1alpha1";
  readonly kind: "StreamJob";
  readonly metadata: ManifestMetadata;
  readonly spec: StreamJobSpec;
}

export interface StreamJobSpec {
  /** The image of the job's pods; not used by `millrace run`. */
  readonly image?: string;
  readonly job: JobSpec;
  /** True ends the job's pods and keeps its state: with a savepoint, unless `upgrade.mode` says otherwise. False starts it again from there. Default false. */
  readonly suspend?: boolean;
  /** How many instances each operator has. Default 1. */
  readonly parallelism?: number;
  /** The number of key groups: the most that parallelism can ever be. Fixed for the job's life. Default 128. */
  readonly maxParallelism?: number;
  readonly checkpoints?: CheckpointSpec;
  readonly state?: StateSpec;
  readonly badRecords?: BadRecordsSpec;
  readonly upgrade?: UpgradeSpec;
  readonly rollback?: RollbackSpec;
  readonly savepoints?: SavepointPolicy;
  readonly deletion?: DeletionPolicy;
  /** Any change of this value restarts the job with its state, as an upgrade to the same version would. */
  readonly restartNonce?: string;
  /** Merged into every pod of the job before `jobManager.podTemplate` and `taskManager.podTemplate`. */
  readonly podTemplate?: PodTemplate;
  readonly jobManager?: JobManagerSpec;
  readonly taskManager?: TaskManagerSpec;
  /** How many earlier revisions are kept for rollbacks. Default 10. */
  readonly revisionHistoryLimit?: number;
}

export interface JobManagerSpec {
  /** Leader and standbys. Default 2. */
  readonly replicas?: number;
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface TaskManagerSpec {
  /** TaskManagers; default as many as `parallelism` needs. With a HorizontalPodAutoscaler leave `parallelism` out: it is then `replicas` times `slots`. */
  readonly replicas?: number;
  /** Slots of each TaskManager: how many instances of each operator it runs. Default 1. */
  readonly slots?: number;
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface ResourcesSpec {
  /** CPU cores, such as `2` or `500m`: the request, and no limit. */
  readonly cpu?: string;
  /** Memory, such as `2Gi`: request and limit. */
  readonly memory?: string;
  /** Local disk for state, such as `20Gi`: request and limit of ephemeral storage. */
  readonly ephemeralStorage?: string;
}

export interface JobSpec {
  /** The module whose default export is the job, relative to the manifest (or to the image's working directory). */
  readonly module: string;
  /** Handed to the job's function as `flow.parameters`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Start from this savepoint or checkpoint (a URL or path) when the job has no checkpoint of its own. */
  readonly initialSavepoint?: string;
  /** Start although the snapshot holds state that no operator of the job uses; that state is dropped. Default false. */
  readonly allowNonRestoredState?: boolean;
}

export interface CheckpointSpec {
  /** `file:///path` or `s3://bucket/prefix`. Without it the job keeps no snapshots and starts anew each time. */
  readonly storage?: string;
  /** Time between two checkpoints, such as `10 s`. Default 10 s. */
  readonly interval?: string | number;
  /** The least time between the end of one and the start of the next. Default 0. */
  readonly minPause?: string | number;
  /** How many completed checkpoints are kept. Default 3. */
  readonly retained?: number;
  /** How many attempts to write one checkpoint may fail before the job fails. Default 10. */
  readonly tolerableFailures?: number;
  /** For `s3://` storage that is not AWS; credentials come from the environment. */
  readonly s3?: { readonly endpoint?: string; readonly region?: string; readonly forcePathStyle?: boolean };
}

export interface StateSpec {
  /** `memory` (default) or `rocksdb`, for state that is larger than memory. */
  readonly backend?: "memory" | "rocksdb";
  /** For `rocksdb`: bytes of heap that state may take, such as `256Mi`. Default 256Mi. */
  readonly memoryBudget?: string | number;
}

export interface BadRecordsSpec {
  /** `dead-letter` (default) or `fail`. */
  readonly onBadRecord?: "dead-letter" | "fail";
  /** Above this many bad records in a minute the job fails. Default 1000. */
  readonly maxPerMinute?: number;
  /** Where dead letters go; default the log. */
  readonly deadLetters?:
    | { readonly kafka: { readonly brokers: readonly string[]; readonly topic: string } }
    | { readonly files: { readonly path: string } };
}
