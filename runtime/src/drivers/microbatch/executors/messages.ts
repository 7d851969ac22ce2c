// What travels between a query's driver and its executors: one JSON text per message, over one connection that the executor opens.
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import type { SourceSplit } from "../../../core/ports/source.ts";
import type { SourceRange } from "../log/batch-log.ts";
import type { OperatorFigures } from "../run/operator-runner.ts";

export const executorProtocolVersion = 1;

/** Where the output of a task can be fetched: host:port of the executor, and the name it has there. */
export interface OutputRef {
  readonly executorId: string;
  readonly address: string;
  readonly output: string;
}

/** A group of splits that one executor reads from batch to batch. */
export interface SplitGroup {
  readonly scan: string;
  /** Names the reader that is kept for it. */
  readonly name: string;
  readonly splits: readonly SourceSplit[];
}

/** Reads records, computes what follows from them alone, and keeps the rows for those who need them. */
export interface ReadTask {
  readonly kind: "read";
  readonly group: SplitGroup;
  readonly bounded: boolean;
  readonly partitions: number;
  /** `poll`: what is there, within the limits. `replay`: exactly so many records of each split. */
  readonly work:
    | {
        readonly kind: "poll";
        readonly quotas: Readonly<Record<string, number>> | null;
        readonly maxRecords: number | null;
        readonly maxMs: number;
      }
    | { readonly kind: "replay"; readonly counts: Readonly<Record<string, number>> };
}

export interface ReadResult {
  readonly kind: "read";
  readonly range: SourceRange;
  readonly records: number;
  readonly finished: readonly string[];
  /** What waits now, by split; null where the connector does not know. */
  readonly lags: Readonly<Record<string, number>> | null;
  /** The latest event time by column, and by SQL of watermarks, ms; null for none. */
  readonly latestMs: Readonly<Record<string, number | null>>;
  readonly latestSqlMs: Readonly<Record<string, number | null>>;
  /** Records that were no rows, in this task. */
  readonly malformed: number;
  readonly output: OutputRef;
}

/** A part of an operator's state: the key groups of one of `parallelism` subtasks. */
export interface PartitionName {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
}

/** Gives the rows of a batch to one part of an operator's state, and writes what that changes to the storage. */
export interface StateTask {
  readonly kind: "state";
  readonly partition: PartitionName;
  readonly checkpointId: number;
  /** The state to begin with; null for none. */
  readonly base: { readonly checkpointId: number; readonly url: string } | null;
  /** Before the batch, and with it; null for none yet, ms. */
  readonly lastWatermarkMs: number | null;
  readonly watermarkMs: number | null;
  /** By input of the operator. */
  readonly inputs: readonly (readonly OutputRef[])[];
  /** The state is due to be written anew in the background. */
  readonly baseDue: boolean;
}

export interface StateResult {
  readonly kind: "state";
  readonly ack: UploadAck;
  readonly figures: OperatorFigures;
  readonly state: { readonly entries: number; readonly memory: number; readonly disk: number };
  /** When the next timer of processing time is due; null for none. */
  readonly nextWakeMs: number | null;
  readonly rows: number;
  readonly output: OutputRef;
  /** It had to be read from the storage first. */
  readonly restored: boolean;
}

export type ExecutorTask = ReadTask | StateTask;
export type TaskResult = ReadResult | StateResult;

export type ExecutorMessage =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly query: string;
      readonly fingerprint: string;
      readonly executorId: string;
      readonly slots: number;
      /** host:port where outputs are fetched. */
      readonly address: string;
      /** State that is here and published, and of which checkpoint. */
      readonly partitions: readonly { readonly partition: PartitionName; readonly checkpointId: number }[];
    }
  | { readonly kind: "done"; readonly taskId: string; readonly attempt: number; readonly result: TaskResult }
  | {
      readonly kind: "failed";
      readonly taskId: string;
      readonly attempt: number;
      readonly code: string;
      readonly message: string;
      /** The output that could not be fetched. */
      readonly missing?: OutputRef;
    }
  | { readonly kind: "looked"; readonly requestId: number; readonly lags: Readonly<Record<string, number>> | null }
  /** It wants to go: no further tasks, and a word when nothing of it is needed any more. */
  | { readonly kind: "leaving" };

export type DriverMessage =
  | { readonly kind: "welcome"; readonly epoch: number }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "run"; readonly taskId: string; readonly attempt: number; readonly task: ExecutorTask }
  | { readonly kind: "cancel"; readonly taskId: string; readonly attempt: number }
  /** What waits in these splits? */
  | { readonly kind: "look"; readonly requestId: number; readonly group: SplitGroup; readonly bounded: boolean; readonly maxMs: number }
  /** A checkpoint is published, with these parts of the state as this executor has them; others of it are void. */
  | { readonly kind: "published"; readonly checkpointId: number; readonly partitions: readonly PartitionName[] }
  /** Outputs, and readers of groups, that nobody needs any more. */
  | { readonly kind: "release"; readonly outputs: readonly string[]; readonly groups: readonly string[] }
  | { readonly kind: "released" };

export function partitionKey({ uid, subtask, parallelism }: PartitionName): string {
  return `${uid} ${subtask}/${parallelism}`;
}

/** JSON has no infinities. */
export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
