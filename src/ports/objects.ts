// The Kubernetes objects that the operator reads and writes: only the fields that it looks at; the rest passes through.
import type {
  EmbeddedStreamAppSpec,
  EmbeddedStreamAppStatus,
  MicroBatchJobSpec,
  MicroBatchJobStatus,
  SavepointSpec,
  SavepointStatus,
  StreamJobSpec,
  StreamJobStatus,
} from "millrace/api";

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

interface WithSpec extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface StreamJob extends KubeObject {
  readonly spec: StreamJobSpec;
  readonly status?: StreamJobStatus;
}

export interface Savepoint extends KubeObject {
  readonly spec: SavepointSpec;
  readonly status?: SavepointStatus;
}

export interface MicroBatchJob extends KubeObject {
  readonly spec: MicroBatchJobSpec;
  readonly status?: MicroBatchJobStatus;
}

export interface EmbeddedStreamApp extends KubeObject {
  readonly spec: EmbeddedStreamAppSpec;
  readonly status?: EmbeddedStreamAppStatus;
}

export interface StatefulSet extends WithSpec {
  readonly status?: { readonly observedGeneration?: number; readonly replicas?: number; readonly readyReplicas?: number };
}

export interface Deployment extends WithSpec {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly exitCode?: number; readonly reason?: string; readonly message?: string };
  };
  readonly lastState?: { readonly terminated?: { readonly exitCode?: number; readonly reason?: string; readonly message?: string } };
}

export interface Pod extends WithSpec {
  readonly status?: {
    readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly podIP?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface ControllerRevision extends KubeObject {
  readonly revision: number;
  readonly data: unknown;
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number;
  };
}

export interface Role extends KubeObject {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

export interface RoleBinding extends KubeObject {
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
}

export interface KubeEvent extends KubeObject {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly source: { readonly component: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
  readonly involvedObject: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion?: string;
  };
}

/** Every kind that the operator touches. */
export interface Kinds {
  readonly StreamJob: StreamJob;
  readonly Savepoint: Savepoint;
  readonly EmbeddedStreamApp: EmbeddedStreamApp;
  readonly MicroBatchJob: MicroBatchJob;
  readonly Deployment: Deployment;
  readonly StatefulSet: StatefulSet;
  readonly PersistentVolumeClaim: KubeObject;
  readonly Pod: Pod;
  readonly Service: WithSpec;
  readonly ConfigMap: ConfigMap;
  readonly Secret: Secret;
  readonly ServiceAccount: KubeObject;
  readonly Role: Role;
  readonly RoleBinding: RoleBinding;
  readonly Lease: Lease;
  readonly ControllerRevision: ControllerRevision;
  readonly PodDisruptionBudget: WithSpec;
  readonly NetworkPolicy: WithSpec;
  readonly Event: KubeEvent;
}

export type Kind = keyof Kinds;
export type AnyObject = Kinds[Kind];
