// Reads everything that a decision about a MicroBatchJob may rest on. Never changes anything.
import type { DriverAddress, DriverClient, DriverReport } from "../ports/driver-client.ts";
import { restPortAnnotation } from "../ports/job-client.ts";
import { messageOf } from "../ports/machine.ts";
import type { ContainerStatus, Deployment, MicroBatchJob, Pod } from "../ports/objects.ts";
import { asking, hostOf, nobody, tokenIn, unasked } from "../resource/asked.ts";
import type { Reader } from "../resource/reader.ts";
import type { Look } from "../resource/reconciler.ts";
import { othersOf } from "../resource/others.ts";
import { componentLabel, runLabel, builtAnnotation } from "../resource/names.ts";
import { batchPorts } from "./build/plan.ts";
import { batchTokenName, keyOfBatchJob } from "./names.ts";
import type { BatchObserved, BatchPodSeen, DueSeen } from "./observed.ts";
import { reportOfEnded } from "./parting-words.ts";
import { batchRevisionOf } from "./revision.ts";
import { dueTimes } from "./schedule.ts";
import { batchProblemOf } from "./settings.ts";

const otherKinds = ["ConfigMap", "Service", "Secret", "ServiceAccount", "NetworkPolicy"] as const;

export interface BatchObserveParts extends Look {
  readonly client: DriverClient;
  readonly defaultImage: string | undefined;
}

export async function observe(job: MicroBatchJob, parts: BatchObserveParts): Promise<BatchObserved> {
  const { live, cached, nowMs, defaultImage, refused } = parts;
  const key = keyOfBatchJob(job);
  const [deployments, pods, revisions, others] = await Promise.all([
    live.owned("Deployment", key),
    live.owned("Pod", key),
    cached.owned("ControllerRevision", key),
    othersOf(cached, otherKinds, key),
  ]);
  const seenPods = pods.map(podSeen);
  const due = dueOf(job, nowMs);
  return {
    nowMs,
    job,
    problem: batchProblemOf(job.spec, defaultImage) ?? due.problem,
    revisions: revisions.map(batchRevisionOf).sort((a, b) => a.number - b.number),
    executors: deployments.map(executorsSeen),
    pods: seenPods,
    others,
    ...(await ask(job, seenPods, parts)),
    due: due.seen,
    refused: refused?.reason,
    defaultImage,
    built: parts.built,
  };
}

function dueOf({ spec, metadata, status }: MicroBatchJob, nowMs: number): { readonly seen: DueSeen; readonly problem?: string } {
  const { schedule } = spec;
  const none: DueSeen = { missedMs: undefined, nextMs: undefined };
  if (schedule === undefined) return { seen: none };
  const served = Date.parse(status?.lastScheduledAt ?? metadata.creationTimestamp ?? "");
  try {
    return { seen: dueTimes(schedule.cron, schedule.timeZone ?? "Etc/UTC", Number.isNaN(served) ? nowMs : served, nowMs) };
  } catch (error) {
    return { seen: none, problem: `spec.schedule: ${messageOf(error)}` };
  }
}

async function ask(
  job: MicroBatchJob,
  pods: readonly BatchPodSeen[],
  parts: BatchObserveParts,
): Promise<Pick<BatchObserved, "report" | "savepoint">> {
  const { active } = job.status ?? {};
  if (active === undefined) return { report: unasked, savepoint: unasked };
  const pod = pods.find((one) => one.run === active.run && one.component === "driver");
  if (pod?.ended !== undefined) {
    const report = reportOfEnded(pod.ended.message, active.run);
    return { report: report === undefined ? noDriver : { kind: "answer", answer: report }, savepoint: unasked };
  }
  if (!parts.ask && active.phase === "stable") return { report: unasked, savepoint: unasked };
  const address = pod === undefined ? undefined : await addressOfDriver(job, pod, parts.cached);
  if (address === undefined) return { report: noDriver, savepoint: noDriver };
  const report = await asking<DriverReport>(() => parts.client.report(address));
  const { savepointId, savepoint } = active.stop ?? {};
  if (savepointId === undefined || savepoint !== undefined || report.kind !== "answer") return { report, savepoint: unasked };
  return { report, savepoint: await asking(() => parts.client.savepoint(address, savepointId)) };
}

const noDriver = nobody("no driver runs");

/** Where the driver can be asked; undefined when it does not run. */
export async function addressOfDriver(job: MicroBatchJob, pod: BatchPodSeen, cached: Reader): Promise<DriverAddress | undefined> {
  if (!pod.running || pod.ip === undefined) return undefined;
  const { namespace, name } = keyOfBatchJob(job);
  const secret = await cached.get("Secret", { namespace, name: batchTokenName(name) });
  return { job: `${namespace}/${name}`, run: pod.run, url: `http://${hostOf(pod.ip)}:${pod.restPort}`, token: tokenIn(secret) };
}

const executorsSeen = ({ metadata, spec, status }: Deployment): BatchObserved["executors"][number] => ({
  name: metadata.name,
  uid: metadata.uid ?? "",
  run: Number(metadata.labels?.[runLabel] ?? 0),
  replicas: (spec as { readonly replicas?: number }).replicas ?? 1,
  readyReplicas: status?.readyReplicas ?? 0,
  builtFrom: metadata.annotations?.[builtAnnotation],
  deleting: metadata.deletionTimestamp !== undefined,
});

export function podSeen({ metadata, status }: Pod): BatchPodSeen {
  const container = status?.containerStatuses?.find(({ name }) => name === "millrace") ?? status?.containerStatuses?.[0];
  const unschedulable = status?.conditions?.find(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable");
  const waiting = container?.state?.waiting;
  return {
    name: metadata.name,
    uid: metadata.uid ?? "",
    run: Number(metadata.labels?.[runLabel] ?? 0),
    component: metadata.labels?.[componentLabel] === "executor" ? "executor" : "driver",
    ready: status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true,
    running: status?.phase === "Running" && waiting === undefined && container?.state?.terminated === undefined,
    deleting: metadata.deletionTimestamp !== undefined,
    ended: endOf(status, container),
    ip: status?.podIP,
    restPort: Number(metadata.annotations?.[restPortAnnotation] ?? batchPorts.rest),
    restarts: container?.restartCount ?? 0,
    waiting: waiting?.reason ?? unschedulable?.reason,
    message: waiting?.message ?? unschedulable?.message,
  };
}

function endOf(status: Pod["status"], container: ContainerStatus | undefined): BatchPodSeen["ended"] {
  if (status?.phase !== "Succeeded" && status?.phase !== "Failed") return undefined;
  const last = container?.state?.terminated;
  return { failed: status.phase === "Failed", reason: last?.reason ?? status.reason, message: last?.message ?? status.message };
}
