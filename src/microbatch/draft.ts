// The pieces that decisions about a MicroBatchJob are made of.
import type { MicroBatchJobStatus } from "millrace/api";
import type { DriverReport } from "../ports/driver-client.ts";
import { type Draft, pause as pauseWith, type Problem, record as recordStatus } from "../resource/draft.ts";
import type { BatchObserved, BatchPodSeen } from "./observed.ts";
import type { BatchStep } from "./step.ts";

export type BatchDraft = Draft<MicroBatchJobStatus, BatchStep>;

export const statusOf = (seen: BatchObserved): MicroBatchJobStatus => seen.job.status ?? {};

/** Write this down, then look again. */
export const record: typeof recordStatus<MicroBatchJobStatus> = recordStatus;

/** Do this; nothing changes in what is known. */
export const act = (seen: BatchObserved, step: BatchStep): BatchDraft => ({ status: statusOf(seen), step });

export const pause = (seen: BatchObserved, againAfterMs?: number, degraded?: Problem): BatchDraft =>
  pauseWith(statusOf(seen), againAfterMs, degraded);

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
