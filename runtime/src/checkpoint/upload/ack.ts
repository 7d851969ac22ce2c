// What an uploader tells the publisher: plain JSON, small, so that it can come from another process.
import type { Redistribution } from "../../core/ports/operator-state.ts";
import type { SplitManifest } from "../format/manifest.ts";
import type { StoredRange } from "../format/data-file.ts";
import type { Range, StatePart, StateSpec } from "../store/lineage.ts";

/** Bytes in the message itself (base64), or in a data file of the upload. */
export type AckPayload = { readonly inline: string } | (StoredRange & { readonly path: string });

export interface AckFile {
  /** Relative to the job's folder. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The state of one instance of one operator at a checkpoint. */
export interface SubtaskAck {
  readonly uid: string;
  readonly kind: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly keyGroups?: Range;
  readonly watermarkMs?: number;
  readonly specs: readonly StateSpec[];
  /** What is new since the last checkpoint that this instance knows to be complete. */
  readonly state: readonly StatePart[];
  readonly lists: readonly {
    readonly name: string;
    readonly redistribution: Redistribution;
    readonly entryCount: number;
    readonly payload: AckPayload;
  }[];
  readonly splits?: readonly SplitManifest[];
  readonly sink?: AckPayload;
}

/** All that one process wrote for a checkpoint. */
export interface UploadAck {
  readonly checkpointId: number;
  readonly files: readonly AckFile[];
  readonly subtasks: readonly SubtaskAck[];
  /** Bytes that this checkpoint wrote. */
  readonly writtenBytes: number;
}
