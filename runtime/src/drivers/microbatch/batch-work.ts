// What a loop of batches drives: reads a batch, writes its plan, runs it and commits it. A query and a job of the dataflow API each have their own.
import type { Log } from "../../base/log.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { Trigger } from "../../dataframe/query.ts";
import type { OffsetEntry, SourceRange } from "./log/batch-log.ts";
import type { Phases, QueryProgress } from "./progress.ts";
import type { BatchCheckpoint } from "./running-batches.ts";

/** What was read for a batch that is not planned yet. */
export interface BatchInput {
  readonly ranges: ReadonlyMap<string, SourceRange>;
  readonly records: number;
}

/** A batch that is planned: what it reads is in the log. */
export interface PlannedBatch {
  readonly entry: OffsetEntry;
  readonly records: number;
  readonly phases: Phases;
}

export interface BatchWork {
  readonly kind: "query" | "job";
  readonly name: string;
  readonly id: string;
  readonly runId: string;
  readonly trigger: Trigger;
  readonly log: Log;
  readonly restoredFrom: string | undefined;
  /** What it keeps outlives the process. */
  readonly isKept: boolean;
  /** The batch whose state was restored; -1 for none. */
  readonly restoredBatchId: number;
  readonly lastCheckpoint: BatchCheckpoint | undefined;
  /** What was restored is one of its own checkpoints: a savepoint may be made from it. */
  readonly ownRestored: boolean;
  /** Why a source can give nothing any more. */
  readonly failure: { readonly error: unknown } | undefined;
  /** No batch will have records any more. */
  readonly exhausted: boolean;
  /** When something is due that needs no records, ms; Infinity for never. */
  readonly nextWakeMs: number;
  /** A batch without records is wanted now. */
  isDue(nowMs: number): boolean;
  /** Finishes what the run before began: the batch that it had planned and not finished is returned, read again. */
  recover(): Promise<PlannedBatch | undefined>;
  /** Reads what is there. */
  read(maxRecords: number): Promise<BatchInput>;
  plan(batchId: number, input: BatchInput, phases: Phases): Promise<PlannedBatch>;
  /** Runs a planned batch to its commit; undefined when it was given up. */
  execute(batch: PlannedBatch): Promise<QueryProgress | undefined>;
  /** It is to end behind the batch under way: from now on a batch that might never end by itself is given up instead of waiting. */
  ending(): void;
  /** Gives up the batch under way; it is run again by the next start. */
  abort(): void;
  /** Calls `wake` once when a source may have something. */
  watch(wake: () => void): void;
  /** Copies a batch's checkpoint. */
  savepoint(batchId: number, id: string): Promise<SavepointResult>;
  savepointResult(id: string): Promise<SavepointResult | undefined>;
  /** Writes down that this run ends with a savepoint: no driver of it goes on. */
  endRun(savepoint: string): Promise<void>;
  close(): Promise<void>;
}
