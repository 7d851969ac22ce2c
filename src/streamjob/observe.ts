// Reads everything that a decision may rest on. Never changes anything.
import { type JobAddress, type JobClient, restPortAnnotation } from "../ports/job-client.ts";
import type { Deployment, Pod, StreamJob } from "../ports/objects.ts";
import { asking, hostOf, nobody, tokenIn } from "../resource/asked.ts";
import type { Reader } from "../resource/reader.ts";
import type { Look } from "../resource/reconciler.ts";
import { othersOf } from "../resource/others.ts";
import { type Component, keyOfJob, runName, tokenSecretName } from "./names.ts";
import { builtAnnotation, componentLabel, runLabel } from "../resource/names.ts";
import { ports } from "./build/plan.ts";
import type { Observed, PodSeen, WorkloadSeen } from "./observed.ts";
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

export interface ObserveParts extends Look {
  readonly client: JobClient;
  readonly defaultImage: string | undefined;
}

export async function observe(job: StreamJob, parts: ObserveParts): Promise<Observed> {
  const { live, cached, nowMs, defaultImage, refused, terminating } = parts;
  const key = keyOfJob(job);
  const [deployments, pods, revisions, savepoints, leaseMissing, others] = await Promise.all([
    live.owned("Deployment", key),
    live.owned("Pod", key),
    cached.owned("ControllerRevision", key),
    cached.owned("Savepoint", key),
    isLeaseMissing(job, parts),
    othersOf(cached, otherKinds, key),
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
    others,
    leaseMissing,
    savepoints,
    ...asked,
    refused,
    terminating,
    defaultImage,
    built: parts.built,
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
      reports.set(run, address === undefined ? noJobManager : await asking(() => client.report(address)));
    }),
  );
  const { phase, from, savepointId } = upgrade ?? {};
  if (phase === "savepointing" && from !== undefined && savepointId !== undefined) {
    const address = await addressOf(job, from.run, pods, parts.cached);
    savepoint = address === undefined ? noJobManager : await asking(() => client.savepoint(address, savepointId));
  }
  return { reports, savepoint };
}

const noJobManager = nobody("no JobManager runs");

/** Where a run can be asked; undefined when none of its JobManagers runs. */
export async function addressOf(job: StreamJob, run: number, pods: readonly PodSeen[], cached: Reader): Promise<JobAddress | undefined> {
  const { namespace, name } = keyOfJob(job);
  const jobManagers = pods
    .filter((pod) => pod.run === run && pod.component === "jobmanager" && pod.running && pod.ip !== undefined)
    .map((pod) => ({
      podName: pod.name,
      url: `http://${hostOf(pod.ip ?? "")}:${pod.restPort}`,
    }));
  if (jobManagers.length === 0) return undefined;
  const secret = await cached.get("Secret", { namespace, name: tokenSecretName(name) });
  return { namespace, job: name, run, jobManagers, token: tokenIn(secret) };
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

const componentOf = (labels: Readonly<Record<string, string>> = {}): Component =>
  labels[componentLabel] === "taskmanager" ? "taskmanager" : "jobmanager";
