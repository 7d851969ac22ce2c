// The pieces that decisions about a MicroBatchJob are made of.
import type { MicroBatchJobStatus } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import type { DriverReport } from "../ports/driver-client.ts";
import { type Problem, withoutUndefined } from "../streamjob/draft.ts";
import type { BatchObserved, BatchPodSeen } from "./observed.ts";
import type { BatchStep } from "./step.ts";

export interface BatchDraft {
  readonly status: MicroBatchJobStatus;
  readonly step: BatchStep;
  readonly againAfterMs?: number;
  readonly events?: readonly EventNote[];
  /** Something is wrong that the operator cannot mend by itself, or not yet. */
  readonly degraded?: Problem;
}

export const statusOf = (seen: BatchObserved): MicroBatchJobStatus => seen.job.status ?? {};

/** Write this down, then look again. */
export function record(
  status: { readonly [K in keyof MicroBatchJobStatus]: MicroBatchJobStatus[K] | undefined },
  events: readonly EventNote[] = [],
): BatchDraft {
  return { status: withoutUndefined<MicroBatchJobStatus>(status as MicroBatchJobStatus), step: { kind: "wait" }, againAfterMs: 0, events };
}

/** Do this; nothing changes in what is known. */
export const act = (seen: BatchObserved, step: BatchStep): BatchDraft => ({ status: statusOf(seen), step });

export function pause(seen: BatchObserved, againAfterMs?: number, degraded?: Problem): BatchDraft {
  return {
    status: statusOf(seen),
    step: { kind: "wait" },
    ...(againAfterMs === undefined ? {} : { againAfterMs }),
    ...(degraded === undefined ? {} : { degraded }),
  };
}

export const sinceMs = (seen: BatchObserved, at: string): number => seen.nowMs - Date.parse(at);
export const timeOf = (seen: BatchObserved): string => new Date(seen.nowMs).toISOString();

/** What the active run's driver says of itself, when it was asked and answered for that run. */
export function reportOf(seen: BatchObserved): DriverReport | undefined {
  const { active } = statusOf(seen);
  if (active === undefined || seen.report.kind !== "answer") return undefined;
  return seen.report.answer.run === active.run ? seen.report.answer : undefined;
}

export function driverPod(seen: BatchObserved, run: number): BatchPodSeen | undefined {
  return seen.pods.find((pod) => pod.run === run && pod.component === "driver");
}
