// The DriverClient port: what the operator asks of the driver of a MicroBatchJob. Implementations reject with JobClientError only.
import type { SavepointReport } from "./job-client.ts";

export type DriverState = "created" | "running" | "stopping" | "finished" | "stopped" | "failed";

/** The last committed batch. */
export interface BatchReport {
  readonly id: number;
  readonly completedAtMs: number | undefined;
  readonly durationMs: number | undefined;
  readonly inputRows: number | undefined;
  readonly inputRowsPerSecond: number | undefined;
  /** Records that wait to be read; undefined where no source knows. */
  readonly backlog: number | undefined;
  /** RFC 3339; undefined where the query has none. */
  readonly watermark: string | undefined;
}

export interface DriverReport {
  readonly run: number;
  readonly state: DriverState;
  /** Undefined until this run has committed one. */
  readonly batch: BatchReport | undefined;
  /** There is nothing to read at the moment; undefined where the runtime does not say. */
  readonly idle: boolean | undefined;
  readonly triggerMs: number | undefined;
  /** When processing began. */
  readonly runningSinceMs: number | undefined;
  readonly lastFailure: string | undefined;
  /** Another run of the same revision would fail as well. */
  readonly failureIsFinal: boolean;
  readonly restoredFrom: string | undefined;
  /** The savepoint that it ended with. */
  readonly savepoint: { readonly id: string; readonly location: string } | undefined;
}

/** Where a run's driver can be reached, and the token that it takes. */
export interface DriverAddress {
  readonly job: string;
  readonly run: number;
  /** `http://host:port` */
  readonly url: string;
  readonly token: string;
}

export interface DriverClient {
  report(address: DriverAddress): Promise<DriverReport>;
  /** Takes a savepoint behind the batch under way, and ends the run with it. Idempotent by id. */
  stopWithSavepoint(address: DriverAddress, id: string): Promise<SavepointReport>;
  /** Undefined when the driver has never heard of the id. */
  savepoint(address: DriverAddress, id: string): Promise<SavepointReport | undefined>;
  /** Ends the run: behind the batch under way, or at once. Idempotent. */
  stop(address: DriverAddress, mode: "after-batch" | "immediate"): Promise<void>;
}
