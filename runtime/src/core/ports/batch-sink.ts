// The contract of a sink that goes by the ids of batches: what a batch wrote is visible once, whoever runs it how often.
import type { Batch } from "../batch/batch.ts";
import type { Schema } from "../schema/schema.ts";

export interface BatchSinkContext {
  readonly queryName: string;
  /** Of the checkpoint location, for its life: batches are numbered within it. */
  readonly queryId: string;
  readonly fields: Schema;
}

/** A sink that makes a batch's output exactly-once by itself, by the batch's id. */
export interface BatchSink {
  readonly kind: "batch";
  readonly connector: string;
  readonly options: Readonly<Record<string, unknown>>;
  open(context: BatchSinkContext): Promise<BatchSinkWriter>;
}

export interface BatchSinkWriter {
  /** Takes the rows of a batch; valid during the call. */
  write(batch: Batch): void;
  /** Makes what was written since the last `finish` visible, unless batch `batchId` is there already. */
  finish(batchId: number): Promise<void>;
  close(): Promise<void>;
}
