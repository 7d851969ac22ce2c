// The JobClient port: what the operator asks of a running job. Implementations reject with JobClientError only.
import type { RestorePoint } from "millrace/api";

export type JobProcessState =
  | "created"
  | "standby"
  | "restoring"
  | "running"
  | "stopping"
  | "restarting"
  | "finished"
  | "stopped"
  | "failed";

export interface JobReport {
  readonly run: number;
  readonly state: JobProcessState;
  readonly parallelism: number;
  readonly restarts: number;
  readonly lastFailure: string | undefined;
  readonly restoredFrom: string | undefined;
  /** When processing began after the last restore. */
  readonly runningSinceMs: number | undefined;
  /** Standing by, with code and state at hand. */
  readonly prepared: boolean;
  /** The newest checkpoint that this run completed. */
  readonly lastCheckpoint: { readonly id: number; readonly location: string | undefined; readonly completedAtMs: number } | undefined;
}

export type SavepointMode = "keep" | "stop" | "drain";

export interface SavepointReport {
  readonly id: string;
  readonly mode: SavepointMode;
  readonly phase: "running" | "completed" | "failed";
  readonly location: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly formatVersion: number | undefined;
  /** When the job's state was cut: after this, mode stop lets nothing more out. */
  readonly cutAtMs: number | undefined;
  readonly completedAtMs: number | undefined;
  readonly failure: string | undefined;
}

/** On a pod: where its REST API is when it is not at the usual port, because pods share one address. */
export const restPortAnnotation = "millrace.dev/rest-port";

/** One JobManager of a run. */
export interface JobManagerAddress {
  readonly podName: string;
  /** `http://host:port` */
  readonly url: string;
}

/** Where a run can be reached: its JobManagers, and the token that they take. */
export interface JobAddress {
  readonly namespace: string;
  readonly job: string;
  readonly run: number;
  readonly jobManagers: readonly JobManagerAddress[];
  readonly token: string;
}

export interface JobClient {
  /** The leader's word; of a run that stands by, the least prepared JobManager's. */
  report(address: JobAddress): Promise<JobReport>;
  /** Tells every JobManager of the run what to start from. Idempotent. */
  start(address: JobAddress, restore: RestorePoint): Promise<void>;
  /** Idempotent by id. */
  startSavepoint(address: JobAddress, id: string, mode: SavepointMode): Promise<SavepointReport>;
  /** Undefined when the job has never heard of the id. */
  savepoint(address: JobAddress, id: string): Promise<SavepointReport | undefined>;
  rescale(address: JobAddress, parallelism: number): Promise<void>;
}

/** `unreachable`: nobody answered, it may have been done; `refused`: the job says no, and why. */
export class JobClientError extends Error {
  readonly code = "JOB_REQUEST_FAILED";
  readonly reason: "unreachable" | "refused";

  constructor(reason: "unreachable" | "refused", subject: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(`${subject}: ${message}`, options);
    this.name = "JobClientError";
    this.reason = reason;
  }
}

export const isUnreachable = (error: unknown): boolean => error instanceof JobClientError && error.reason === "unreachable";
export const isRefused = (error: unknown): error is JobClientError => error instanceof JobClientError && error.reason === "refused";
