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
  /**
   * The StreamJob of the same namespace that it is taken of.
   * @minLength 1
   * @maxLength 253
   */
  readonly job: string;
  /**
   * Set for a savepoint that exists already: it is recorded, not taken.
   * @pattern ^(file|s3)://
   * @maxLength 2048
   */
  readonly location?: string;
  /**
   * What happens to the files when this resource is deleted. `Keep`, or `Delete` once nothing refers to them.
   * @default "Keep"
   */
  readonly disposal?: "Keep" | "Delete";
  /**
   * How long taking it may take.
   * @default "10 min"
   * @format duration
   */
  readonly timeout?: string | number;
  /**
   * How many attempts may fail.
   * @asType integer
   * @minimum 0
   * @maximum 100
   * @default 3
   */
  readonly backoffLimit?: number;
}

/** `Pending`: the job cannot take it yet; `InProgress`: asked for; `Disposing`: its files are being deleted. */
export type SavepointPhase = "Pending" | "InProgress" | "Completed" | "Failed" | "Disposing";

export interface SavepointStatus {
  /**
   * The generation of the manifest that this status is about.
   * @asType integer
   */
  readonly observedGeneration?: number;
  /** `Pending`: the job cannot take it yet; `InProgress`: asked for; `Disposing`: its files are being deleted. */
  readonly phase?: SavepointPhase;
  /** Ready, Progressing and Degraded. */
  readonly conditions?: readonly Condition[];
  /** The id that the runtime knows it by. */
  readonly savepointId?: string;
  /**
   * The attempt that is under way, from 1.
   * @asType integer
   */
  readonly attempt?: number;
  /** Why it was taken. */
  readonly trigger?: "user" | "schedule" | "nonce" | "upgrade" | "suspend" | "deletion";
  /**
   * The run of the job that it was taken of.
   * @asType integer
   */
  readonly run?: number;
  /** The revision of the job that it was taken of. */
  readonly revision?: string;
  /** Where it is, as a URL. */
  readonly location?: string;
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
  /** When it was asked for. */
  readonly startedAt?: string;
  /** When it was complete. */
  readonly completedAt?: string;
  /** Why the last attempt failed. */
  readonly error?: string;
  /** What a disposal needs when the job is gone: the image, and how to reach the storage. */
  readonly access?: {
    /** The image of the job. */
    readonly image?: string;
    /** Its pod template, as JSON. */
    readonly podTemplate?: string;
    /** Its service account. */
    readonly serviceAccount?: string;
    /** How it reaches S3, as JSON. */
    readonly s3?: string;
  };
}
