// Names and labels of the objects of a MicroBatchJob. What they are called is part of the operator's reference.
import { ownerLabels } from "../controller/owner-labels.ts";
import type { MicroBatchJob } from "../ports/objects.ts";
import { componentLabel, managedBy, managedByLabel, runLabel, shortName } from "../resource/names.ts";

export const batchFinalizer = "millrace.dev/microbatchjob";

export type BatchComponent = "driver" | "executor";

export function batchLabels(job: string): Readonly<Record<string, string>> {
  return { [managedByLabel]: managedBy, "app.kubernetes.io/name": job, [ownerLabels.MicroBatchJob]: job };
}

export function batchRunLabels(job: string, run: number, component?: BatchComponent): Readonly<Record<string, string>> {
  return { ...batchLabels(job), [runLabel]: String(run), ...(component === undefined ? {} : { [componentLabel]: component }) };
}

// A StreamJob of the same name has names of its own.
export const batchAccountName = (job: string): string => shortName(job, "batch");
export const batchTokenName = (job: string): string => shortName(job, "batch", "token");
export const batchRestName = (job: string): string => shortName(job, "batch", "rest");
export const batchRunName = (job: string, run: number): string => shortName(job, "batch", String(run));
/** One name for each run: the API server lets no second driver of a run be. */
export const driverName = (job: string, run: number): string => shortName(job, "batch", String(run), "driver");
export const executorsName = (job: string, run: number): string => shortName(job, "batch", String(run), "ex");

export const keyOfBatchJob = (job: MicroBatchJob): { readonly namespace: string; readonly name: string } => ({
  namespace: job.metadata.namespace ?? "",
  name: job.metadata.name,
});
