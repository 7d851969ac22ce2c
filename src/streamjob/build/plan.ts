// What the builders build from: one run of a job, with everything about it decided.
import type { StreamJob } from "../../ports/objects.ts";
import type { Revision } from "../revision.ts";

export const ports = { rest: 8081, rpc: 6123, exchange: 6124 } as const;

export interface RunPlan {
  readonly job: StreamJob;
  readonly run: number;
  readonly revision: Revision;
  readonly parallelism: number;
  readonly slots: number;
  readonly jobManagers: number;
  readonly taskManagers: number;
  /** True: the pods wait for the order to start. */
  readonly standby: boolean;
  readonly restore: { readonly sinceRun: number; readonly location?: string } | undefined;
}
