// What a snapshot's manifest says. Plain JSON; docs/reference/snapshot-format.md explains every member.
import type { Redistribution } from "../../core/ports/operator-state.ts";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { SectionPart, StoredRange } from "./data-file.ts";

export const manifestName = "manifest.json";
export const manifestFormat = "millrace-snapshot";
export const manifestVersion = 1;

export type SnapshotKind = "checkpoint" | "savepoint";

/** A data file of the snapshot. */
export interface ManifestFile {
  /** Relative to the manifest's folder. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Of the whole file, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** Bytes inside the manifest, or in a data file (`file` counts in `Manifest.files`). */
export type Payload = { readonly inline: string } | (StoredRange & { readonly file: number });

/** A part of an operator's keyed state: what one section of a data file holds for a range of key groups. */
export interface StateRef {
  readonly file: number;
  readonly part: SectionPart;
  /** A base holds all entries of its range, a delta those that changed. */
  readonly kind: "base" | "delta";
  /** The checkpoint that the entries belong to; parts apply in the order bases, then deltas by this. */
  readonly checkpointId: number;
  /** Key groups `[from, to)` that count; what the section holds besides is to be skipped. */
  readonly from: number;
  readonly to: number;
  /** Stored bytes, about: it stays as written when the range is clipped later. */
  readonly sizeBytes: number;
  /** The specs that the section's blocks use, as places in `OperatorManifest.tables`. */
  readonly tables: readonly number[];
}

export interface StoredSpec {
  /** 16 hexadecimal digits: names the spec in data files. */
  readonly id: string;
  readonly spec: StoredTableSpec;
}

/** The entries of one operator state list, by subtask. A payload is a list of entries as `encodeEntries` writes them. */
export interface ListManifest {
  readonly name: string;
  readonly redistribution: Redistribution;
  readonly parts: readonly { readonly subtask: number; readonly entryCount: number; readonly payload: Payload }[];
}

export interface SplitManifest {
  readonly id: string;
  readonly position: unknown;
  readonly subtask: number;
  /** The split's own watermark; null when it has none yet. */
  readonly watermarkMs: number | null;
}

export interface SourceManifest {
  readonly splits: readonly SplitManifest[];
  /** Ids of splits that have ended and must not be read again. */
  readonly finished: readonly string[];
  /** What the connector's enumerator keeps; absent where it keeps nothing. */
  readonly enumerator?: unknown;
}

export interface OperatorManifest {
  /** The operator's name in the plan, such as `windowAggregate`. */
  readonly kind: string;
  readonly parallelism: number;
  /** The least watermark of the instances; null when there was none. */
  readonly watermarkMs: number | null;
  readonly tables: readonly StoredSpec[];
  readonly state: readonly StateRef[];
  readonly lists: readonly ListManifest[];
  readonly source?: SourceManifest;
  /** What the sink's instances prepared. */
  readonly sink?: readonly { readonly subtask: number; readonly payload: Payload }[];
}

export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly formatVersion: typeof manifestVersion;
  readonly kind: SnapshotKind;
  readonly jobName: string;
  readonly jobId: string;
  readonly checkpointId: number;
  /** Of a savepoint: the id that its client gave. */
  readonly savepointId?: string;
  readonly epoch: number;
  readonly planFingerprint: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly createdBy: string;
  readonly maxParallelism: number;
  readonly files: readonly ManifestFile[];
  readonly operators: Readonly<Record<string, OperatorManifest>>;
}
