// How a job of the dataflow API is run in batches.
import type { StorageOptions } from "../../../checkpoint/storage/open-storage.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../../core/ports/state-backend.ts";
import type { Trigger } from "../../../dataframe/query.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { BadRowOptions } from "../../task/bad-row-policy.ts";
import type { QueryProgress } from "../progress.ts";
import type { QueryRestore } from "../query-options.ts";

export interface BatchJobOptions {
  readonly dataflow: Dataflow;
  readonly trigger: Exclude<Trigger, { readonly kind: "continuous" }>;
  /** Default 1. */
  readonly parallelism?: number;
  readonly maxParallelism?: number;
  /**
   * `file://` or `s3://`: offset log, commit log and snapshots, in a folder of the job's name. Without it they are kept in a temporary folder
   * and a restart begins anew.
   */
  readonly checkpointLocation?: string;
  readonly storageOptions?: StorageOptions;
  /** Opens the checkpoint location. Default: what the URL's scheme says. */
  readonly openStorage?: (url: string, options: StorageOptions) => Promise<SnapshotStorage>;
  /** The number of this deployment of the job; it fences those below it. Default 0. */
  readonly run?: number;
  readonly restore?: QueryRestore;
  /** Drops state that no operator uses any more, instead of refusing. Default false. */
  readonly allowNonRestoredState?: boolean;
  /** Checkpoints that are kept. Default 3. */
  readonly retained?: number;
  /** How many attempts to write or commit one checkpoint may fail before the job fails. Default 10. */
  readonly tolerableFailures?: number;
  /** How long one may take, ms. Default Infinity. */
  readonly checkpointTimeoutMs?: number;
  /** The most records of a batch over all sources. Default 1,000,000. */
  readonly maxRecordsPerTrigger?: number;
  /** The most bytes of records of a batch, which are held in memory. Default 64 MiB. */
  readonly maxBytesPerTrigger?: number;
  /** Lowers the size of batches to what was processed within the trigger's interval. Default false. */
  readonly backpressure?: boolean;
  readonly stateBackend?: StateBackendFactory;
  /** What sources and sinks may hold of bytes on their way. */
  readonly bufferBytes?: number;
  /** Default: to the dead letters, at most 1,000 a minute. */
  readonly badRows?: BadRowOptions;
  /** Where dead letters go; undefined for the log. */
  readonly deadLetterSink?: Sink;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Told of each batch. */
  readonly onProgress?: (progress: QueryProgress) => void;
}
