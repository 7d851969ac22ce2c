// What the coordinator hears, and what it asks for: it decides, and others act.
import type { SourceSplit } from "../../../core/ports/source.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { SourceRecord } from "../../../checkpoint/store/operator-record.ts";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import type { SavepointMode } from "../../continuous/job-run.ts";
import type { RestoredSource } from "../../continuous/split-book.ts";
import type { RestartStrategy } from "../../continuous/restart-backoff.ts";
import type { SliceStatus, SlotCommand, SlotEvent } from "../slot-protocol.ts";
import type { Parallelism } from "./job-graph.ts";
import type { OfferedSlot } from "./slot-pool.ts";

export interface CoordinatorOptions {
  readonly epoch: number;
  /** Names this deployment of the job: a job that has ended does not start again under the same name. */
  readonly revision: string;
  readonly parallelism: number;
  readonly vertexParallelism: Readonly<Record<string, number>>;
  readonly checkpointIntervalMs: number;
  readonly minPauseMs: number;
  readonly alignmentTimeoutMs: number;
  /** A checkpoint that takes longer has failed once more: it goes on, and is counted. */
  readonly checkpointTimeoutMs: number;
  /** How many attempts to finish one checkpoint may fail before the slices that hold it up are restarted. */
  readonly tolerableFailures: number;
  readonly restarts: RestartStrategy;
  /** How long a TaskManager whose connection closed may take to come back before its slices count as lost. */
  readonly reconnectMs: number;
  /** How long a new leader waits for the slices that run, before it restarts their region. */
  readonly adoptMs: number;
  readonly deployTimeoutMs: number;
  /** How long a slice may take to close before its thread is ended. */
  readonly cancelTimeoutMs: number;
  readonly allowNonRestoredState: boolean;
}

/** The snapshot that a restart begins from. */
export interface LatestSnapshot {
  readonly checkpointId: number;
  readonly url: string;
  readonly sha256?: string;
  readonly committed: boolean;
  /** One of this job's checkpoints: what is somebody else's is not written to. */
  readonly own: boolean;
  readonly sources: ReadonlyMap<string, RestoredSource>;
}

export interface SavepointIntent {
  readonly id: string;
  readonly mode: SavepointMode;
}

export type Outcome = "ended" | "stopped" | "drained" | "failed";

/** What outlives a leader: written before the step that it announces, conditionally and with the epoch. */
export interface ExecutionRecord {
  readonly format: "millrace-execution";
  readonly formatVersion: 1;
  readonly revision: string;
  readonly parallelism: Parallelism;
  /** By region, the attempt that was deployed last. */
  readonly attempts: Readonly<Record<string, number>>;
  /** Savepoints that were asked for and are not known to be finished. */
  readonly savepoints: readonly SavepointIntent[];
  /** A stop without a savepoint was asked for. */
  readonly stopAsked: boolean;
  readonly restarts: number;
  readonly outcome?: Outcome;
  /** Of a job that failed. */
  readonly reason?: string;
}

/** What a leader finds when it begins. */
export interface CoordinatorStart {
  readonly record: ExecutionRecord | undefined;
  readonly latest: LatestSnapshot | undefined;
  readonly nextCheckpointId: number;
  /** Savepoints of the record that are complete already. */
  readonly made: readonly SavepointResult[];
}

export interface RegisteredSlice {
  readonly index: number;
  readonly status: SliceStatus;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

export type CoordinatorEvent =
  | {
      readonly kind: "registered";
      readonly taskManagerId: string;
      readonly slots: readonly OfferedSlot[];
      readonly slices: readonly RegisteredSlice[];
      /** When it said so, by the coordinator's clock, if it had to wait for this leader. Default now. */
      readonly saidAtMs?: number;
    }
  /** `gone`: it is not worth waiting for (its heartbeats stopped, it said goodbye). */
  | { readonly kind: "disconnected"; readonly taskManagerId: string; readonly gone: boolean; readonly reason: string }
  | { readonly kind: "slot"; readonly taskManagerId: string; readonly index: number; readonly event: SlotEvent }
  /** The slot's thread ended; a new one may have taken its place, at another port. */
  | {
      readonly kind: "slotDied";
      readonly taskManagerId: string;
      readonly index: number;
      readonly incarnation: number;
      readonly reason: string;
    }
  | { readonly kind: "slotBack"; readonly taskManagerId: string; readonly slot: OfferedSlot }
  | {
      readonly kind: "discovered";
      readonly uid: string;
      readonly generation: number;
      readonly splits: readonly SourceSplit[];
      /** No more will come. */
      readonly exhausted: boolean;
      readonly enumerator: unknown;
    }
  | { readonly kind: "discoverFailed"; readonly uid: string; readonly generation: number; readonly failure: Failure }
  | {
      readonly kind: "published";
      readonly checkpointId: number;
      readonly url: string;
      readonly sha256?: string;
      readonly writtenBytes: number;
      readonly totalBytes: number;
    }
  | { readonly kind: "savepointMade"; readonly checkpointId: number; readonly result: SavepointResult }
  | { readonly kind: "markedCommitted"; readonly checkpointId: number }
  /** A step in the storage failed; it is asked for again after a pause. */
  | { readonly kind: "storageFailed"; readonly step: StorageStep; readonly checkpointId: number; readonly failure: Failure }
  | { readonly kind: "recordWritten"; readonly record: ExecutionRecord }
  | { readonly kind: "savepointAsked"; readonly id: string; readonly mode: SavepointMode }
  | { readonly kind: "stopAsked" }
  | {
      readonly kind: "rescaleAsked";
      readonly requestId: number;
      readonly job?: number;
      readonly vertices?: Readonly<Record<string, number>>;
    }
  | { readonly kind: "baseDue"; readonly uid: string; readonly subtask: number }
  | { readonly kind: "tick" };

export type StorageStep = "publish" | "savepoint" | "markCommitted";

export type CoordinatorAction =
  | {
      readonly kind: "send";
      readonly taskManagerId: string;
      readonly index: number;
      readonly incarnation: number;
      readonly command: SlotCommand;
    }
  /** End the slot's thread and start another one. */
  | { readonly kind: "resetSlot"; readonly taskManagerId: string; readonly index: number }
  /** Open the source's enumerator anew and look for splits, then again as often as it says. */
  | {
      readonly kind: "discover";
      readonly uid: string;
      readonly generation: number;
      readonly enumerator: unknown;
      readonly known: ReadonlySet<string>;
    }
  | { readonly kind: "stopDiscovery"; readonly uid: string }
  | {
      readonly kind: "publish";
      readonly checkpointId: number;
      readonly acks: readonly UploadAck[];
      readonly sources: ReadonlyMap<string, SourceRecord>;
    }
  | { readonly kind: "makeSavepoint"; readonly checkpointId: number; readonly id: string }
  | { readonly kind: "markCommitted"; readonly checkpointId: number; readonly savepointId?: string }
  | { readonly kind: "writeRecord"; readonly record: ExecutionRecord }
  | { readonly kind: "answerRescale"; readonly requestId: number; readonly result: RescaleResult | Failure }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  /** Nothing more will happen: everything is closed and recorded. */
  | { readonly kind: "over"; readonly outcome: Outcome; readonly reason?: string };

export interface RescaleResult {
  readonly checkpointId: number;
  /** From the barrier of the first slice that stopped until all were running again. */
  readonly gapMs: number;
  readonly vertices: Readonly<Record<string, number>>;
}
