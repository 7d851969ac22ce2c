// The EmbeddedStreamApp manifest: a service of the user's own that runs the library, scaled by the partitions of its input topics.
import type { Condition } from "./conditions.ts";
import type { PodTemplate } from "./pod-template.ts";
import type { RollbackSpec } from "./stream-job-lifecycle.ts";
import type { LastUpgrade, PinnedRevision } from "./stream-job-status.ts";
import type { ManifestMetadata, ResourcesSpec } from "./stream-job.ts";

export interface EmbeddedStreamAppManifest {
  readonly apiVersion: "millrace.dev/v1alpha1";
  readonly kind: "EmbeddedStreamApp";
  readonly metadata: ManifestMetadata;
  readonly spec: EmbeddedStreamAppSpec;
}

export interface EmbeddedStreamAppSpec {
  /**
   * The application's id: its consumer group, and the start of the names of its changelog and repartition topics. Fixed for the app's life,
   * because another id has no state.
   * @pattern ^[a-zA-Z0-9][a-zA-Z0-9._-]*$
   * @minLength 1
   * @maxLength 120
   */
  readonly applicationId: string;
  /**
   * The image of the service.
   * @minLength 1
   * @maxLength 1024
   */
  readonly image: string;
  /**
   * The command of the container, if not the image's own.
   * @maxItems 64
   */
  readonly command?: readonly string[];
  /**
   * Arguments of the command.
   * @maxItems 256
   */
  readonly args?: readonly string[];
  /** How the app and the operator reach Kafka. */
  readonly kafka: KafkaAccess;
  /**
   * Topics that the app reads. Their partitions say how many replicas can be of use, their lag when more are needed.
   * @minItems 1
   * @maxItems 100
   */
  readonly topics: readonly string[];
  /** Names and values that the app reads as its parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /**
   * Pods to run. Set by the operator within `scaling`, or by `kubectl scale` when there is no `scaling`.
   * @asType integer
   * @minimum 0
   * @maximum 1000
   * @default 1
   */
  readonly replicas?: number;
  /** Scale by lag, never above the number of pods that get work. */
  readonly scaling?: EmbeddedScaling;
  /**
   * Tasks that a pod can work on side by side: more pods than tasks divided by it are never run. One `embedded()` works on one thread, so
   * more than 1 is for services that start several, in worker threads of their own.
   * @asType integer
   * @minimum 1
   * @maximum 64
   * @default 1
   */
  readonly threads?: number;
  /**
   * Warm copies of each store on other pods, so that work moves without restoring.
   * @asType integer
   * @minimum 0
   * @maximum 5
   * @default 0
   */
  readonly standbys?: number;
  /**
   * `exactly-once` ties output, state and offsets in one transaction; `at-least-once` costs less and may repeat records after a failure.
   * @default "exactly-once"
   */
  readonly guarantee?: "exactly-once" | "at-least-once";
  /** A volume per pod for the stores, so that a restart replays only the tail of the changelogs. Without it stores are restored whole. */
  readonly storage?: EmbeddedStorage;
  /** How a change of the app is brought out. */
  readonly update?: EmbeddedUpdate;
  /** When a new version is given up. */
  readonly rollback?: RollbackSpec;
  /** Queries of the stores over HTTP. */
  readonly queries?: EmbeddedQueries;
  /**
   * True scales the app to nothing and keeps its volumes and topics.
   * @default false
   */
  readonly suspend?: boolean;
  /** What stays when the app is deleted. */
  readonly deletion?: EmbeddedDeletion;
  /** What each pod gets. */
  readonly resources?: ResourcesSpec;
  /** Merged over the pod that the operator builds; the app's container has the name `app`. */
  readonly podTemplate?: PodTemplate;
  /**
   * How many earlier revisions are kept for rollbacks.
   * @asType integer
   * @minimum 1
   * @maximum 100
   * @default 10
   */
  readonly revisionHistoryLimit?: number;
}

export interface KafkaAccess {
  /**
   * Addresses to start from, as `host:port`.
   * @minItems 1
   * @maxItems 50
   */
  readonly brokers: readonly string[];
  /** Encryption of the connections. Without it they are plain. */
  readonly tls?: {
    /**
     * A Secret with `ca.crt`, and for client certificates `tls.crt` and `tls.key`.
     * @minLength 1
     * @maxLength 253
     */
    readonly secret?: string;
  };
  /** Login. */
  readonly sasl?: {
    /** How to log in. */
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    /**
     * A Secret with `username` and `password`.
     * @minLength 1
     * @maxLength 253
     */
    readonly secret: string;
  };
}

export interface EmbeddedScaling {
  /**
   * The fewest pods.
   * @asType integer
   * @minimum 0
   * @maximum 1000
   * @default 1
   */
  readonly minReplicas?: number;
  /**
   * The most pods. More than tasks divided by threads are never run, whatever the lag.
   * @asType integer
   * @minimum 1
   * @maximum 1000
   */
  readonly maxReplicas: number;
  /**
   * One pod more for each so many records that wait.
   * @asType integer
   * @minimum 1
   * @default 10000
   */
  readonly lagPerReplica?: number;
  /**
   * Time between two steps: a rebalance and the restoring after it must have ended anyway.
   * @default "1 min"
   * @format duration
   */
  readonly cooldown?: string | number;
  /**
   * How long the lag must have been low before a pod is taken away.
   * @default "5 min"
   * @format duration
   */
  readonly scaleDownAfter?: string | number;
}

export interface EmbeddedStorage {
  /**
   * Size of each pod's volume, such as `20Gi`.
   * @minLength 1
   * @maxLength 30
   */
  readonly size: string;
  /**
   * Storage class of the volumes; the cluster's default if not given.
   * @minLength 1
   * @maxLength 253
   */
  readonly storageClassName?: string;
}

export interface EmbeddedUpdate {
  /**
   * `rolling`: pod by pod, each waits until the one before is caught up. `savepoint`: all stop with a consistent copy of the stores, and the new
   * version starts from it; for versions that cannot run side by side.
   * @default "rolling"
   */
  readonly mode?: "rolling" | "savepoint";
  /**
   * How long one pod may take until it is caught up.
   * @default "30 min"
   * @format duration
   */
  readonly caughtUpTimeout?: string | number;
  /**
   * A pod counts as caught up below this many records of lag.
   * @asType integer
   * @minimum 0
   * @default 1000
   */
  readonly caughtUpLag?: number;
  /**
   * Where savepoints go: `s3://bucket/prefix`. Needed for `mode: savepoint`.
   * @pattern ^s3://.+
   * @maxLength 1024
   */
  readonly savepointStorage?: string;
}

export interface EmbeddedQueries {
  /**
   * A port for queries of the stores alone, routed to the pod that has the key. The port of probes and status answers them either way.
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * Port of each pod for them.
   * @asType integer
   * @minimum 1
   * @maximum 65535
   * @default 7070
   */
  readonly port?: number;
}

export interface EmbeddedDeletion {
  /**
   * The pods' volumes.
   * @default "keep"
   */
  readonly volumes?: "keep" | "delete";
  /**
   * The app's own topics: changelogs and repartitions.
   * @default "keep"
   */
  readonly topics?: "keep" | "delete";
}

/** `rolling`: pod by pod; `savepointing`: all pods end with a savepoint; `stopping`: they go; `starting`: the new version's pods come. */
export type AppUpgradePhase = "rolling" | "savepointing" | "stopping" | "starting";

export interface AppUpgrade {
  /** Unique in the app's life. */
  readonly id: string;
  /** What it is for. */
  readonly kind: "upgrade" | "rollback";
  /** How far it is. */
  readonly phase: AppUpgradePhase;
  /** The old revision. */
  readonly from: string;
  /** The new one. */
  readonly to: string;
  /**
   * Pods with this ordinal and above have the new revision.
   * @asType integer
   */
  readonly partition: number;
  /** When the present pod's turn began. */
  readonly phaseStartedAt: string;
  /** The savepoint between the two, as a URL. */
  readonly savepoint?: string;
  /** When it started. */
  readonly startedAt: string;
}

export interface EmbeddedStreamAppStatus {
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
   * Pods there are.
   * @asType integer
   */
  readonly replicas?: number;
  /**
   * Pods that are caught up.
   * @asType integer
   */
  readonly readyReplicas?: number;
  /**
   * The most pods that get work: tasks divided by threads.
   * @asType integer
   */
  readonly usefulReplicas?: number;
  /** Selects the pods, for the scale subresource. */
  readonly selector?: string;
  /**
   * Partitions of the input topics.
   * @asType integer
   */
  readonly partitions?: number;
  /**
   * Tasks of the app: one for each partition of each part of the dataflow.
   * @asType integer
   */
  readonly tasks?: number;
  /**
   * Tasks whose stores are being restored.
   * @asType integer
   */
  readonly restoringTasks?: number;
  /**
   * Records that wait in the input topics.
   * @asType integer
   */
  readonly lag?: number;
  /** The revision that runs or is being started. */
  readonly currentRevision?: string;
  /** The last revision whose pods were all caught up. */
  readonly stableRevision?: string;
  /** When the number of pods last changed. */
  readonly lastScaledAt?: string;
  /**
   * Pods asked for.
   * @asType integer
   */
  readonly wantedReplicas?: number;
  /** Since when fewer pods would do. */
  readonly lowSince?: string;
  /** The change of version that is in progress. */
  readonly upgrade?: AppUpgrade;
  /** The savepoint that the app's state began from, as a URL. */
  readonly restoredFrom?: string;
  /** Tells two restores from the same savepoint apart. */
  readonly restoreId?: string;
  /** A revision that runs although the manifest says another, because that one was rolled back. Ends with the next change of the manifest. */
  readonly pinned?: PinnedRevision;
  /** The last change of version. */
  readonly lastUpgrade?: LastUpgrade;
}
