// The resources that the plugin reads, as kubectl prints them.
import type {
  EmbeddedStreamAppStatus,
  MicroBatchJobStatus,
  SavepointSpec,
  SavepointStatus,
  StreamJobSpec,
  StreamJobStatus,
} from "../api/index.ts";
import type { Kubectl } from "./kubectl.ts";

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
}

export interface StreamJobObject {
  readonly metadata: Metadata;
  readonly spec: StreamJobSpec;
  readonly status?: StreamJobStatus;
}

export interface SavepointObject {
  readonly metadata: Metadata;
  readonly spec: SavepointSpec;
  readonly status?: SavepointStatus;
}

export interface RevisionObject {
  readonly metadata: Metadata;
  readonly revision: number;
  readonly data?: { readonly spec?: { readonly image?: string } };
}

export interface MicroBatchJobObject {
  readonly metadata: Metadata;
  readonly status?: MicroBatchJobStatus;
}

export interface EmbeddedStreamAppObject {
  readonly metadata: Metadata;
  readonly status?: EmbeddedStreamAppStatus;
}

export async function embeddedStreamApp(kubectl: Kubectl, name: string): Promise<EmbeddedStreamAppObject> {
  return JSON.parse(await kubectl.run(["get", "embeddedstreamapps.millrace.dev", name, "-o", "json"])) as EmbeddedStreamAppObject;
}

export async function microBatchJob(kubectl: Kubectl, name: string): Promise<MicroBatchJobObject> {
  return JSON.parse(await kubectl.run(["get", "microbatchjobs.millrace.dev", name, "-o", "json"])) as MicroBatchJobObject;
}

const selector = (job: string): string => `millrace.dev/job=${job}`;

export async function streamJob(kubectl: Kubectl, name: string): Promise<StreamJobObject> {
  return JSON.parse(await kubectl.run(["get", "streamjobs.millrace.dev", name, "-o", "json"])) as StreamJobObject;
}

export async function savepoint(kubectl: Kubectl, name: string): Promise<SavepointObject> {
  return JSON.parse(await kubectl.run(["get", "savepoints.millrace.dev", name, "-o", "json"])) as SavepointObject;
}

/** The savepoints of a job, newest first. */
export async function savepointsOf(kubectl: Kubectl, job: string): Promise<readonly SavepointObject[]> {
  const list = JSON.parse(await kubectl.run(["get", "savepoints.millrace.dev", "-o", "json"])) as { items: SavepointObject[] };
  return list.items
    .filter(({ spec }) => spec.job === job)
    .toSorted((one, other) => other.metadata.creationTimestamp.localeCompare(one.metadata.creationTimestamp));
}

/** The revisions of a job, newest first. */
export async function revisionsOf(kubectl: Kubectl, job: string, labels: string = selector(job)): Promise<readonly RevisionObject[]> {
  const list = JSON.parse(await kubectl.run(["get", "controllerrevisions.apps", "-l", labels, "-o", "json"])) as {
    items: RevisionObject[];
  };
  return list.items.toSorted((one, other) => other.revision - one.revision);
}
