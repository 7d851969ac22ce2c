// What a process shows and asks of whatever it runs in batches: a DataFrame query or a job of the dataflow API.
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { QueryProgress } from "./progress.ts";
import type { QueryState, StopMode } from "./query-state.ts";
import type { QuerySavepointMode } from "./savepoint-requests.ts";

/** The newest checkpoint that a run has completed. */
export interface BatchCheckpoint {
  readonly id: number;
  readonly location: string;
  readonly completedAtMs: number;
}

export interface RunningBatches {
  readonly name: string;
  readonly id: string;
  readonly runId: string;
  /** Settles when it has ended; rejects with why it failed. */
  readonly done: Promise<"finished" | "stopped">;
  readonly state: QueryState;
  readonly restoredFrom: string | undefined;
  readonly lastCheckpoint: BatchCheckpoint | undefined;
  readonly lastBatchId: number;
  readonly lastProgress: QueryProgress | undefined;
  /** Of the last hundred batches, oldest first. */
  readonly recentProgress: readonly QueryProgress[];
  /** There is nothing to read at the moment. */
  readonly idle: boolean;
  /** Time between two triggers, ms; 0 where the next batch follows at once. */
  readonly triggerMs: number;
  stop(mode?: StopMode): Promise<void>;
  savepoint(id: string, mode?: QuerySavepointMode): Promise<SavepointResult>;
  savepointResult(id: string): Promise<SavepointResult | undefined>;
}
