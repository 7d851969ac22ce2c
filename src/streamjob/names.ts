// Names and labels of the objects of a job. What they are called is part of the operator's reference.
import { ownerLabels } from "../controller/owner-labels.ts";
import type { KubeObject, StreamJob } from "../ports/objects.ts";
import { componentLabel, managedBy, managedByLabel, runLabel, shortName } from "../resource/names.ts";

export const jobLabel: string = ownerLabels.StreamJob;
export const finalizer = "millrace.dev/streamjob";
export const startAnnotation = "millrace.dev/start";

export type Component = "jobmanager" | "taskmanager";

export function jobLabels(job: string): Readonly<Record<string, string>> {
  return { [managedByLabel]: managedBy, "app.kubernetes.io/name": job, [jobLabel]: job };
}

export function runLabels(job: string, run: number, component?: Component): Readonly<Record<string, string>> {
  return { ...jobLabels(job), [runLabel]: String(run), ...(component === undefined ? {} : { [componentLabel]: component }) };
}

export const serviceAccountName = (job: string): string => shortName(job, "job");
export const tokenSecretName = (job: string): string => shortName(job, "token");
export const restServiceName = (job: string): string => shortName(job, "rest");
export const runName = (job: string, run: number): string => shortName(job, String(run));
export const workloadName = (job: string, run: number, component: Component): string =>
  shortName(job, String(run), component === "jobmanager" ? "jm" : "tm");

export const keyOfJob = (job: StreamJob): { readonly namespace: string; readonly name: string } => ({
  namespace: job.metadata.namespace ?? "",
  name: job.metadata.name,
});

const epochMs = Date.UTC(2020, 0, 1);

/** Rises also when a job is deleted and made again, because the first run's number is the second of its creation. */
export function firstRun(job: KubeObject): number {
  return Math.floor((Date.parse(job.metadata.creationTimestamp ?? "") - epochMs) / 1000);
}
