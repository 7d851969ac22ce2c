// How a query is run: where it keeps its checkpoint, and with what.
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../core/ports/state-backend.ts";
import type { ExecutorOptions } from "./executors/driver/open-executors.ts";
import type { KernelOptions } from "./kernel/kernel.ts";
import type { QueryProgress } from "./progress.ts";
import type { WatermarkPolicy } from "./run/watermarks.ts";

/** What a start goes on from: the newest checkpoint of a run numbered `sinceRun` or above; else `location`; else nothing. */
export interface QueryRestore {
  /** Default 0: whatever checkpoint there is. */
  readonly sinceRun?: number;
  /** A savepoint's or a checkpoint's URL. */
  readonly location?: string;
}

export interface QueryOptions {
  /**
   * `file://` or `s3://`: offset log, commit log and state, in a folder of the query's name. Without it they are kept in a temporary
   * folder and a restart begins anew.
   */
  readonly checkpointLocation?: string;
  readonly storageOptions?: StorageOptions;
  /** The number of this deployment of the query; it fences those below it. Default 0. */
  readonly run?: number;
  readonly restore?: QueryRestore;
  /** Drops state that no operator of the query uses any more, instead of refusing. Default false. */
  readonly allowNonRestoredState?: boolean;
  /** Opens the checkpoint location. Default: what the URL's scheme says. */
  readonly openStorage?: (url: string, options: StorageOptions) => Promise<SnapshotStorage>;
  /** The most records of a batch, over all sources that have no limit of their own. Default 1,000,000. */
  readonly maxRecordsPerTrigger?: number;
  /** Lowers the size of batches to what was processed within the trigger's interval. Default false. */
  readonly backpressure?: boolean;
  /** How several watermarks make one. Default `min`. */
  readonly multipleWatermarkPolicy?: WatermarkPolicy;
  /** Batches without records where event time has come further, so that results are not held back. Default true. */
  readonly noDataBatches?: boolean;
  readonly stateBackend?: StateBackendFactory;
  readonly maxParallelism?: number;
  /** Checkpoints of state that are kept. Default 3. */
  readonly retained?: number;
  readonly kernel?: KernelOptions;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Executors that connect here compute the query; without this its driver does. */
  readonly executors?: ExecutorOptions;
  /** Told of each batch. */
  readonly onProgress?: (progress: QueryProgress) => void;
}
