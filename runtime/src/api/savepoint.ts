// The Savepoint resource: a snapshot that belongs to its user, taken by hand, by schedule or by an upgrade. It outlives its job.
import type { Condition } from "./conditions.ts";
import type { ManifestMetadata } from "./stream-job.ts";

export interface SavepointManifest {
  readonly apiVersion: "millrace.dev/v1alpha1";
  readonly kind: "Savepoint";
  readonly metadata: ManifestMetadata;
  readonly spec: SavepointSpec;
}

export interface SavepointSpec {
  /** The StreamJob of the same namespace that it is taken of. */
  readonly job: string;
  /** Set for a savepoint that exists already: it is recorded, not taken. */
  readonly location?: string;
  /** What happens to the files when this resource is deleted. `Keep` (default), or `Delete` once nothing refers to them. */
  readonly disposal?: "Keep" | "Delete";
  /** How long taking it may take. Default 10 min. */
  readonly timeout?: string | number;
  /** How many attempts may fail. Default 3. */
  readonly backoffLimit?: number;
}

/** `Pending`: the job cannot take it yet; `InProgress`: asked for; `Disposing`: its files are being deleted. */
export type SavepointPhase = "Pending" | "InProgress" | "Completed" | "Failed" | "Disposing";

export interface SavepointStatus {
  readonly observedGeneration?: number;
  readonly phase?: SavepointPhase;
  readonly conditions?: readonly Condition[];
  /** The id that the runtime knows it by. */
  readonly savepointId?: string;
  readonly attempt?: number;
  readonly trigger?: "user" | "schedule" | "nonce" | "upgrade" | "suspend" | "deletion";
  readonly run?: number;
  readonly revision?: string;
  readonly location?: string;
  readonly sizeBytes?: number;
  readonly formatVersion?: number;
  readonly startedAt?: string;
  readonly completedAt?: string;
  /** Why the last attempt failed. */
  readonly error?: string;
  /** What a disposal needs when the job is gone: the image, and how to reach the storage. */
  readonly access?: { readonly image?: string; readonly podTemplate?: string; readonly serviceAccount?: string; readonly s3?: string };
}
