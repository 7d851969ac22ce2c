// What a job's leader and its slots say to each other: plain JSON, carried by RPC to a TaskManager and by a message port to the slot's thread.
import type { SourceSplit } from "../../core/ports/source.ts";
import type { UploadAck } from "../../checkpoint/upload/ack.ts";

/**
 * A region is a connected part of the dataflow: what has to restart together. A slice is what one slot runs of a region: subtask `k` of
 * every node that has one. Slices of several regions may share a slot; each is deployed, restarted and cancelled for itself.
 */
export interface SliceId {
  readonly region: string;
  /** Rises with every deployment of the region. A peer of another attempt is refused, so nothing of an old deployment flows into a new one. */
  readonly attempt: number;
  readonly slot: number;
}

/** Where a slot's exchange server listens. `taskManagerId` tells which slots share a process and exchange without a socket. */
export interface SlotAddress {
  readonly slot: number;
  readonly taskManagerId: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Where the instances of a node run. A job with a sink for dead letters has a vertex `dead-letters` in every region, each with the
 * parallelism of all of them: one instance per slice, so that a bad row goes by a direct call. Without it dead letters go to the log.
 */
export interface VertexPlacement {
  readonly uid: string;
  readonly parallelism: number;
  /** By subtask: the number of the slot that runs it; -1 for an instance of `dead-letters` that belongs to another region. */
  readonly slots: readonly number[];
}

export interface SnapshotLocation {
  /** The snapshot's folder, as a URL that `openSnapshot` takes. */
  readonly url: string;
  readonly sha256?: string;
  readonly checkpointId: number;
  /** True when the snapshot records that its sinks have committed it. */
  readonly committed: boolean;
  readonly allowNonRestoredState: boolean;
}

export interface SplitAssignment {
  readonly uid: string;
  readonly subtask: number;
  readonly splits: readonly { readonly split: SourceSplit; readonly watermarkMs?: number }[];
  /** No split will come any more: the source instance ends with its last one. */
  readonly complete: boolean;
}

/** From the leader. Every command carries the leader's epoch; a slot refuses what comes from an older one (FENCED). */
export type SlotCommand = { readonly epoch: number; readonly slice: SliceId } & (
  | {
      /** Opens, restores and connects everything; nothing is processed until `start`. Answered by `deployed` or `failed`. */
      readonly kind: "deploy";
      readonly planFingerprint: string;
      readonly vertices: readonly VertexPlacement[];
      readonly slots: readonly SlotAddress[];
      readonly restore?: SnapshotLocation;
      /** Options of the job that a PATCH may have changed since the manifest was read are given here, never guessed. */
      readonly checkpointIntervalMs: number;
      readonly alignmentTimeoutMs: number;
    }
  | { readonly kind: "start" }
  | { readonly kind: "assign"; readonly assignments: readonly SplitAssignment[] }
  | {
      /**
       * Sources emit the barrier. Idempotent: a slice that has the checkpoint already answers again. `after`: `go` on; `hold` after
       * the barrier, so that no output follows it (stop); `drain`: sources end first, event time reaches its end, then comes the barrier.
       */
      readonly kind: "trigger";
      readonly checkpointId: number;
      readonly after: "go" | "hold" | "drain";
    }
  /** The checkpoint is published: sinks commit it, the uploader forgets it, sources tell the outside. Answered by `committed`. */
  | { readonly kind: "commit"; readonly checkpointId: number }
  /** Ask for a base of an operator's state in the background. */
  | { readonly kind: "base"; readonly uid: string; readonly subtask: number }
  /** Closes everything. Answered by `closed`. */
  | { readonly kind: "cancel" }
);

/** What a slice is doing. */
export type SliceState = "deploying" | "deployed" | "running" | "ended" | "holding" | "failed" | "closed";

export interface SubtaskReport {
  readonly uid: string;
  readonly subtask: number;
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** ms since the epoch; null before the first watermark. */
  readonly watermarkMs: number | null;
  readonly stateBytes?: number;
  readonly stateEntries?: number;
  /** Records of a source that are known and not read. */
  readonly lagRecords?: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** Sent every second and at every change of state. Totals since the deployment; rates are the reader's to compute. */
export interface SliceReport {
  readonly state: SliceState;
  readonly busyMs: number;
  readonly backpressuredMs: number;
  readonly idleMs: number;
  readonly subtasks: readonly SubtaskReport[];
  readonly exchange: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly queuedBytesIn: number;
    readonly queuedBytesOut: number;
  };
}

/** Where the time of a deployment went, ms. */
export interface DeployTimes {
  /** Until the slices of the deployment before were closed. */
  readonly clearingMs: number;
  /** Reading the snapshot's manifest and what is small of it. */
  readonly snapshotMs: number;
  /** Opening sources and sinks and reading state, all side by side. */
  readonly instancesMs: number;
  /** Until the connections to and from all peers stood. */
  readonly connectMs: number;
}

/** Splits that a source instance has read to their end since its slice was deployed, up to the barrier (or now, in a status). */
export interface FinishedSplits {
  readonly uid: string;
  readonly subtask: number;
  readonly splitIds: readonly string[];
}

/** All that a checkpoint needs of one slice. */
export interface SliceAck {
  readonly checkpointId: number;
  readonly ack: UploadAck;
  /** Only source instances that have finished any. Without it a leader that was not there would read those splits again. */
  readonly finishedSplits: readonly FinishedSplits[];
}

export interface CheckpointTimes {
  /** From the first barrier that came to an instance of the slice to the last one's, ms. */
  readonly alignmentMs: number;
  /** How long processing stood still, ms. */
  readonly cutMs: number;
  readonly unaligned: boolean;
  /** Rows in flight that are part of the checkpoint, bytes. */
  readonly inFlightBytes: number;
  readonly uploadMs: number;
}

/** To the leader. Kept by the TaskManager until a leader has taken them (acks and failures), so a new leader hears them too. */
export type SlotEvent = { readonly slice: SliceId } & (
  | { readonly kind: "deployed"; readonly times: DeployTimes }
  | { readonly kind: "report"; readonly report: SliceReport }
  /** The slice's part of a checkpoint is in the storage. Sent again to a new leader until `commit` comes. */
  | ({ readonly kind: "acknowledged"; readonly times: CheckpointTimes } & SliceAck)
  /** An attempt to write failed; the slice tries again unless `fatal`. */
  | { readonly kind: "uploadFailed"; readonly checkpointId: number; readonly reason: string; readonly fatal: boolean }
  | { readonly kind: "committed"; readonly checkpointId: number }
  | { readonly kind: "commitFailed"; readonly checkpointId: number; readonly reason: string; readonly fatal: boolean }
  /** All sources of the slice have ended and everything they gave is processed; a checkpoint may still be triggered. */
  | { readonly kind: "ended" }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      /** What no restart can mend. */
      readonly fatal: boolean;
      readonly uid?: string;
      readonly subtask?: number;
      /** The record that was being processed when a user's function failed, where it is known. */
      readonly record?: { readonly splitId: string; readonly position: number };
      /** The peer that was lost, when that is the cause: the leader looks there for the reason. */
      readonly lostSlot?: number;
    }
  | { readonly kind: "closed" }
);

/** What a slot tells a leader that it registers with: everything the leader needs to go on without a restart. */
export interface SliceStatus {
  readonly slice: SliceId;
  readonly state: SliceState;
  readonly vertices: readonly VertexPlacement[];
  readonly slots: readonly SlotAddress[];
  /** The checkpoint that the slice has begun and that is not committed yet. */
  readonly pending?: { readonly checkpointId: number; readonly after: "go" | "hold" | "drain"; readonly ack?: SliceAck };
  /** The last checkpoint that the slice has committed, 0 for none since its deployment. */
  readonly committedCheckpointId: number;
  /** How long ago the last checkpoint came here, ms; none before the first. An age, for clocks of two machines differ. */
  readonly checkpointAgeMs?: number;
  /** Splits that each source instance reads now. */
  readonly splits: readonly { readonly uid: string; readonly subtask: number; readonly splitIds: readonly string[] }[];
  readonly finishedSplits: readonly FinishedSplits[];
}
