// What the builders build from: one run of a MicroBatchJob, with everything about it decided.
import type { RestorePoint } from "millrace/api";
import type { MicroBatchJob } from "../../ports/objects.ts";
import type { BatchRevision } from "../revision.ts";

/** `rpc`: where executors reach the driver; `exchange`: where executors reach each other. */
export const batchPorts = { rest: 8081, rpc: 6123, exchange: 6124 } as const;

export interface BatchPlan {
  readonly job: MicroBatchJob;
  readonly run: number;
  readonly revision: BatchRevision;
  readonly restore: RestorePoint;
  /** Undefined for a job whose driver processes. */
  readonly executors: number | undefined;
  readonly slots: number;
  readonly decommissionMs: number;
  readonly stopGraceMs: number;
}
