// The StreamJob manifest: what `kubectl apply` and `millrace run -f` take. Its JSON schema and its CustomResourceDefinition are made from this.
import type { BadRecordsSpec } from "./bad-records.ts";
import type { CheckpointSpec } from "./checkpoints.ts";
import type { PodTemplate } from "./pod-template.ts";
import type { RestartSpec } from "./restarts.ts";
import type { DeletionPolicy, RollbackSpec, SavepointPolicy, UpgradeSpec } from "./stream-job-lifecycle.ts";

export interface ManifestMetadata {
  /**
   * The resource's name.
   * @pattern ^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$
   */
  readonly name: string;
  /** The namespace in a cluster. */
  readonly namespace?: string;
  /** Labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Annotations. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface StreamJobManifest {
  readonly apiVersion: "millrace.dev/v1alpha1";
  readonly kind: "StreamJob";
  /** Name and labels. */
  readonly metadata: ManifestMetadata;
  readonly spec: StreamJobSpec;
}

/** The job: what runs, with how much parallelism, where its state goes, and how it is upgraded. */
export interface StreamJobSpec {
  /**
   * The image of the job's pods, made from the runtime image and the job's package. Default the runtime image of the operator's version, which is
   * enough for a job from a ConfigMap. `millrace run` does not use it.
   * @minLength 1
   * @maxLength 1024
   */
  readonly image?: string;
  /** What to run. */
  readonly job: JobSpec;
  /**
   * True ends the job's pods and keeps its state: with a savepoint, unless `upgrade.mode` says otherwise. False starts it again from there.
   * @default false
   */
  readonly suspend?: boolean;
  /**
   * How many instances each operator has. Default 1, or `taskManager.replicas` times `taskManager.slots` where those are given.
   * @asType integer
   * @minimum 1
   * @maximum 32768
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
  /** Other numbers of instances for single operators, by their uid. */
  readonly vertexParallelism?: Readonly<Record<string, number>>;
  /** Checkpoints: how often, and where to. */
  readonly checkpoints?: CheckpointSpec;
  /** How rows go between the slots of a cluster. */
  readonly exchange?: ExchangeSpec;
  /** Where state lives while the job runs. */
  readonly state?: StateSpec;
  /** Records that cannot be processed. */
  readonly badRecords?: BadRecordsSpec;
  /** What happens after a failure. */
  readonly restarts?: RestartSpec;
  /** How a change of the job is brought out. */
  readonly upgrade?: UpgradeSpec;
  /** When a new version is given up. */
  readonly rollback?: RollbackSpec;
  /** Savepoints that the operator takes by itself. */
  readonly savepoints?: SavepointPolicy;
  /** What happens when the job is deleted. */
  readonly deletion?: DeletionPolicy;
  /**
   * Any change of this value restarts the job with its state, as an upgrade to the same version would.
   * @minLength 1
   * @maxLength 256
   */
  readonly restartNonce?: string;
  /** Merged into every pod of the job before `jobManager.podTemplate` and `taskManager.podTemplate`. */
  readonly podTemplate?: PodTemplate;
  /** The pods that coordinate the job. */
  readonly jobManager?: JobManagerSpec;
  /** The pods that process. */
  readonly taskManager?: TaskManagerSpec;
  /**
   * How many earlier revisions are kept for rollbacks.
   * @asType integer
   * @minimum 1
   * @maximum 100
   * @default 10
   */
  readonly revisionHistoryLimit?: number;
}

export interface JobManagerSpec {
  /**
   * Leader and standbys.
   * @asType integer
   * @minimum 1
   * @maximum 5
   * @default 2
   */
  readonly replicas?: number;
  /** What each JobManager's pod gets. */
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface TaskManagerSpec {
  /**
   * TaskManagers; default as many as `parallelism` needs. For `kubectl scale` and a HorizontalPodAutoscaler give a number to start with and leave
   * `parallelism` out: it is then `replicas` times `slots`.
   * @asType integer
   * @minimum 1
   * @maximum 10000
   */
  readonly replicas?: number;
  /**
   * Slots of each TaskManager: how many instances of each operator it runs.
   * @asType integer
   * @minimum 1
   * @maximum 64
   * @default 1
   */
  readonly slots?: number;
  /** What each TaskManager's pod gets. */
  readonly resources?: ResourcesSpec;
  /** Merged strategically over `spec.podTemplate`. */
  readonly podTemplate?: PodTemplate;
}

export interface ResourcesSpec {
  /**
   * CPU cores, such as `2` or `500m`: the request, and no limit.
   * @minLength 1
   * @maxLength 30
   */
  readonly cpu?: string;
  /**
   * Memory, such as `2Gi`: request and limit.
   * @minLength 1
   * @maxLength 30
   */
  readonly memory?: string;
  /**
   * Local disk for state, such as `20Gi`: request and limit of ephemeral storage.
   * @minLength 1
   * @maxLength 30
   */
  readonly ephemeralStorage?: string;
}

export interface JobSpec {
  /**
   * The module whose default export is the job, relative to the manifest, or to the image's working directory.
   * @minLength 1
   * @maxLength 1024
   */
  readonly module: string;
  /**
   * A ConfigMap of the same namespace whose keys are the job's files, `module` among them: for small jobs, without an image of their own.
   * `millrace run` does not use it.
   * @minLength 1
   * @maxLength 253
   */
  readonly configMap?: string;
  /** Names and values that the job reads by `flow.parameter(name)`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /**
   * Start from this savepoint or checkpoint (a URL or path) when the job has no checkpoint of its own.
   * @minLength 1
   * @maxLength 2048
   */
  readonly initialSavepoint?: string;
  /**
   * Start although the snapshot holds state that no operator of the job uses; that state is dropped.
   * @default false
   */
  readonly allowNonRestoredState?: boolean;
}

export interface ExchangeSpec {
  /**
   * How long rows wait for others to fill their frame. Less gives them to the next operator sooner, and costs a message for fewer rows.
   * @default "5 ms"
   * @format duration
   */
  readonly flushTimeout?: string | number;
  /**
   * Bytes of rows that may be under way to a slot or wait there, such as `16Mi`: at most a quarter of the slot's share for bytes on their way.
   * @default "32Mi"
   * @format size
   */
  readonly buffers?: string | number;
}

export interface StateSpec {
  /**
   * `memory`, or `rocksdb` for state that is larger than memory.
   * @default "memory"
   */
  readonly backend?: "memory" | "rocksdb";
  /**
   * For `rocksdb`: bytes of memory that state may take, such as `256Mi`. Default: its share of the container's memory, or 252Mi where there is no limit.
   * @format size
   */
  readonly memoryBudget?: string | number;
}
