// A query as a whole: a DataFrame, where its rows go, how, and when. A plain value that a driver runs.
import type { BatchSink } from "../core/ports/batch-sink.ts";
import type { Sink } from "../core/ports/sink.ts";
import type { OutputMode } from "../operators/frame/frame-aggregate.ts";
import type { Relation } from "./relation/relation.ts";

/**
 * When batches run. `processingTime`: one every interval while there is input (0: at once). `availableNow`: as many as it takes for
 * what is there at the start, then the query ends. `once`: the same in a single batch. `continuous`: no batches, row by row.
 */
export type Trigger =
  | { readonly kind: "processingTime"; readonly intervalMs: number }
  | { readonly kind: "availableNow" }
  | { readonly kind: "once" }
  | { readonly kind: "continuous"; readonly checkpointMs: number };

/** The rows of one batch as a function of the user's own gets them. */
export interface BatchRows<Row> {
  readonly batchId: number;
  /** The rows as objects, fit to be kept. */
  rows(): readonly Row[];
}

/**
 * Calls a function with the rows of each batch. A batch that was not completed before a failure comes again with the same id and the
 * same rows, so a function that stores the id with its effects makes them exactly once.
 */
export interface ForeachBatchSink<Row = unknown> {
  readonly kind: "foreachBatch";
  readonly fn: (batch: BatchRows<Row>) => Promise<void> | void;
}

/** Calls functions row by row; at least once. */
export interface ForeachSink<Row = unknown> {
  readonly kind: "foreach";
  readonly open?: (batchId: number) => Promise<void> | void;
  readonly process: (row: Row) => Promise<void> | void;
  readonly close?: (error: unknown) => Promise<void> | void;
}

export type { BatchSink, BatchSinkWriter } from "../core/ports/batch-sink.ts";

export type FrameSink<Row = unknown> = Sink | ForeachBatchSink<Row> | ForeachSink<Row> | BatchSink;

export interface StreamQuery {
  readonly kind: "stream";
  readonly name: string;
  readonly relation: Relation;
  readonly sink: FrameSink<never>;
  readonly mode: OutputMode;
  readonly trigger: Trigger;
}

export interface BatchQuery {
  readonly kind: "batch";
  readonly name: string;
  readonly relation: Relation;
  readonly sink: FrameSink<never>;
}
