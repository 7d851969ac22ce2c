// Reads everything that a decision may rest on. Never changes anything.
import { isClusterError } from "../ports/cluster-error.ts";
import { type JobAddress, type JobClient, isUnreachable, restPortAnnotation } from "../ports/job-client.ts";
import type { Deployment, Kinds, Pod, StreamJob } from "../ports/objects.ts";
import { messageOf } from "../ports/machine.ts";
import { builtAnnotation, type Component, componentLabel, keyOfJob, runLabel, runName, tokenSecretName } from "./names.ts";
import { ports } from "./build/plan.ts";
import type { Asked, Observed, OtherSeen, PodSeen, WorkloadSeen } from "./observed.ts";
import type { Reader } from "./reader.ts";
import { revisionOf } from "./revision.ts";
import { problemOf } from "./settings.ts";

const otherKinds = [
  "ConfigMap",
  "Service",
  "Secret",
  "ServiceAccount",
  "Role",
  "RoleBinding",
  "PodDisruptionBudget",
  "NetworkPolicy",
] as const;

export interface ObserveParts {
  /** What changes with every step: from the cluster itself when a step is about to be taken. */
  readonly live: Reader;
  /** What may be a moment old, because acting on it twice does no harm. */
  readonly cached: Reader;
  readonly client: JobClient;
  readonly nowMs: number;
  readonly defaultImage: string | undefined;
  /** Ask the active run also when nothing is in progress. */
  readonly ask: boolean;
  readonly refused: Observed["refused"];
  readonly terminating: boolean;
}

export async function observe(job: StreamJob, parts: ObserveParts): Promise<Observed> {
  const { live, cached, nowMs, defaultImage, refused, terminating } = parts;
  const key = keyOfJob(job);
  const [deployments, pods, revisions, savepoints, leaseMissing, ...others] = await Promise.all([
    live.ofJob("Deployment", key),
    live.ofJob("Pod", key),
    cached.ofJob("ControllerRevision", key),
    cached.ofJob("Savepoint", key),
    isLeaseMissing(job, parts),
    ...otherKinds.map(async (kind) => (await cached.ofJob(kind, key)).map((object) => otherSeen(kind, object))),
  ]);
  const seenPods = pods.map(podSeen);
  const asked = await ask(job, seenPods, parts);
  return {
    nowMs,
    job,
    problem: problemOf(job.spec, defaultImage),
    revisions: revisions.map(revisionOf).sort((a, b) => a.number - b.number),
    workloads: deployments.map(workloadSeen),
    pods: seenPods,
    others: others.flat(),
    leaseMissing,
    savepoints,
    ...asked,
    refused,
    terminating,
    defaultImage,
  };
}

async function isLeaseMissing(job: StreamJob, { live, cached }: ObserveParts): Promise<boolean> {
  const run = job.status?.active?.run;
  if (live === cached || run === undefined) return false;
  const { namespace, name } = keyOfJob(job);
  return (await live.get("Lease", { namespace, name: runName(name, run) })) === undefined;
}

async function ask(job: StreamJob, pods: readonly PodSeen[], parts: ObserveParts): Promise<Pick<Observed, "reports" | "savepoint">> {
  const { active, upgrade, rescale } = job.status ?? {};
  const runs = new Set<number>();
  if (active !== undefined && (parts.ask || upgrade !== undefined || rescale !== undefined)) runs.add(active.run);
  if (upgrade?.to !== undefined) runs.add(upgrade.to.run);
  if (upgrade?.from !== undefined && upgrade.phase !== "starting") runs.add(upgrade.from.run);
  const reports = new Map<number, Observed["reports"] extends ReadonlyMap<number, infer A> ? A : never>();
  let savepoint: Observed["savepoint"] = { kind: "unasked" };
  const { client } = parts;
  await Promise.all(
    [...runs].map(async (run) => {
      const address = await addressOf(job, run, pods, parts.cached);
      reports.set(run, address === undefined ? nobody : await asking(() => client.report(address)));
    }),
  );
  const { phase, from, savepointId } = upgrade ?? {};
  if (phase === "savepointing" && from !== undefined && savepointId !== undefined) {
    const address = await addressOf(job, from.run, pods, parts.cached);
    savepoint = address === undefined ? nobody : await asking(() => client.savepoint(address, savepointId));
  }
  return { reports, savepoint };
}

const nobody = { kind: "unreachable", reason: "no JobManager runs" } as const;

async function asking<T>(request: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { kind: "answer", answer: await request() };
  } catch (error) {
    // Nothing that a job answers may stop the reconciling of its pods.
    if (isUnreachable(error) || !isClusterError(error)) return { kind: "unreachable", reason: messageOf(error) };
    throw error;
  }
}

/** Where a run can be asked; undefined when none of its JobManagers runs. */
export async function addressOf(job: StreamJob, run: number, pods: readonly PodSeen[], cached: Reader): Promise<JobAddress | undefined> {
  const { namespace, name } = keyOfJob(job);
  const jobManagers = pods
    .filter((pod) => pod.run === run && pod.component === "jobmanager" && pod.running && pod.ip !== undefined)
    .map((pod) => ({
      podName: pod.name,
      url: `http://${(pod.ip ?? "").includes(":") ? `[${pod.ip ?? ""}]` : (pod.ip ?? "")}:${pod.restPort}`,
    }));
  if (jobManagers.length === 0) return undefined;
  const secret = await cached.get("Secret", { namespace, name: tokenSecretName(name) });
  const token = Buffer.from(secret?.data?.["token"] ?? "", "base64").toString("utf8");
  return { namespace, job: name, run, jobManagers, token };
}

function workloadSeen({ metadata, spec, status }: Deployment): WorkloadSeen {
  return {
    component: componentOf(metadata.labels),
    name: metadata.name,
    uid: metadata.uid ?? "",
    run: Number(metadata.labels?.[runLabel] ?? 0),
    replicas: (spec as { readonly replicas?: number }).replicas ?? 1,
    readyReplicas: status?.readyReplicas ?? 0,
    builtFrom: metadata.annotations?.[builtAnnotation],
    deleting: metadata.deletionTimestamp !== undefined,
  };
}

export function podSeen({ metadata, status }: Pod): PodSeen {
  const container = status?.containerStatuses?.find(({ name }) => name === "millrace") ?? status?.containerStatuses?.[0];
  const unschedulable = status?.conditions?.find(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable");
  return {
    name: metadata.name,
    run: Number(metadata.labels?.[runLabel] ?? 0),
    component: componentOf(metadata.labels),
    ready: status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true,
    running: status?.phase === "Running" && container?.state?.waiting === undefined,
    deleting: metadata.deletionTimestamp !== undefined,
    ended: status?.phase === "Succeeded" || status?.phase === "Failed",
    ip: status?.podIP,
    restPort: Number(metadata.annotations?.[restPortAnnotation] ?? ports.rest),
    restarts: container?.restartCount ?? 0,
    waiting: container?.state?.waiting?.reason ?? unschedulable?.reason,
    message: container?.lastState?.terminated?.message ?? container?.state?.waiting?.message ?? unschedulable?.message,
  };
}

function otherSeen<K extends (typeof otherKinds)[number]>(kind: K, { metadata }: Kinds[K]): OtherSeen {
  const run = metadata.labels?.[runLabel];
  return {
    kind,
    name: metadata.name,
    uid: metadata.uid ?? "",
    run: run === undefined ? undefined : Number(run),
    builtFrom: metadata.annotations?.[builtAnnotation],
  };
}

const componentOf = (labels: Readonly<Record<string, string>> = {}): Component =>
  labels[componentLabel] === "taskmanager" ? "taskmanager" : "jobmanager";
