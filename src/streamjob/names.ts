// Names and labels of the objects of a job. What they are called is part of the operator's reference.
import { hash } from "node:crypto";
import { ownerLabels } from "../controller/owner-labels.ts";
import type { KubeObject, StreamJob } from "../ports/objects.ts";

export const jobLabel: string = ownerLabels.StreamJob;
export const runLabel = "millrace.dev/run";
export const componentLabel = "app.kubernetes.io/component";
export const managedByLabel = "app.kubernetes.io/managed-by";
export const managedBy = "millrace";
export const finalizer = "millrace.dev/streamjob";
export const rollbackAnnotation = "millrace.dev/rollback-to";
export const startAnnotation = "millrace.dev/start";
/** Of what an object was built: an object with another value is applied again. */
export const builtAnnotation = "millrace.dev/built-from";

export type Component = "jobmanager" | "taskmanager";

const longestName = 52;

/** Keeps names within what Kubernetes takes: a long one ends in a digest of itself. */
export function shortName(...parts: readonly string[]): string {
  const name = parts.join("-");
  if (name.length <= longestName) return name;
  return `${name.slice(0, longestName - 9).replace(/[^a-z0-9]+$/, "")}-${digest(name).slice(0, 8)}`;
}

export const digest = (text: string): string => hash("sha256", text, "hex");

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
