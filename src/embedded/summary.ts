// The part of an EmbeddedStreamApp's status that people and tools read. Made from what is known, never decided upon.
import type { Condition, EmbeddedStreamAppStatus } from "millrace/api";
import { answerOf } from "../resource/asked.ts";
import { type Problem, withoutUndefined } from "../resource/draft.ts";
import { conditionsFrom, observedGeneration } from "../resource/conditions.ts";
import { isCaughtUp, lagOf, reportOf, tasksOf } from "./caught-up.ts";
import { appSelector } from "./names.ts";
import { type AppDraft, type AppObserved } from "./observed.ts";
import { usefulReplicas } from "./scaling.ts";
import { appSettingsOf } from "./settings.ts";

export function summarize(seen: AppObserved, draft: AppDraft): EmbeddedStreamAppStatus {
  const { status } = draft;
  const asked = [...seen.reports.values()].some(({ kind }) => kind === "answer");
  const tasks = tasksOf(seen);
  const { threads } = appSettingsOf(seen.app.spec);
  const topics = answerOf(seen.topics);
  const unasked = seen.reports.size === 0 && seen.pods.length > 0;
  const readyReplicas = unasked ? status.readyReplicas : seen.pods.filter((pod) => isCaughtUp(seen, pod, Infinity)).length;
  const restoring = seen.pods.reduce((sum, pod) => sum + (reportOf(seen, pod)?.restoringTasks ?? 0), 0);
  const lag = lagOf(seen) ?? status.lag;
  const summary = withoutUndefined<EmbeddedStreamAppStatus>({
    ...status,
    observedGeneration: observedGeneration(seen.app, status.upgrade !== undefined, draft),
    replicas: seen.pods.length,
    readyReplicas,
    partitions: topics?.partitions ?? status.partitions,
    tasks,
    usefulReplicas: tasks === undefined ? undefined : usefulReplicas(tasks, threads),
    restoringTasks: asked ? restoring : status.restoringTasks,
    lag,
    selector: Object.entries(appSelector(seen.app.metadata.name))
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
  });
  const state = stateOf(seen, summary);
  return { ...summary, state, conditions: conditionsOf(seen, { ...summary, state }, draft.degraded) };
}

function stateOf(
  seen: AppObserved,
  { upgrade, wantedReplicas = 0, readyReplicas = 0, replicas = 0, currentRevision }: EmbeddedStreamAppStatus,
): string {
  if (seen.app.metadata.deletionTimestamp !== undefined) return "Deleting";
  if (upgrade !== undefined) return upgrade.kind === "rollback" ? "RollingBack" : "Upgrading";
  if (currentRevision === undefined) return "Created";
  if (appSettingsOf(seen.app.spec).suspend) return replicas === 0 ? "Suspended" : "Suspending";
  if (wantedReplicas === readyReplicas && replicas === wantedReplicas) return "Running";
  return replicas === wantedReplicas ? "Restoring" : "Scaling";
}

function conditionsOf(seen: AppObserved, status: EmbeddedStreamAppStatus, problem: Problem | undefined): readonly Condition[] {
  const { state = "Created", wantedReplicas = 0, readyReplicas = 0, upgrade, pinned } = status;
  const degraded =
    seen.problem === undefined
      ? (problem ??
        (pinned === undefined || pinned.reason === "RollbackRequested" ? undefined : { reason: pinned.reason, message: pinned.message }))
      : { reason: "SpecInvalid", message: seen.problem };
  const ready = readyReplicas > 0 && readyReplicas >= wantedReplicas && upgrade === undefined;
  const counts = `${readyReplicas} of ${wantedReplicas} pods are caught up`;
  const busy = state !== "Running" && state !== "Suspended" && state !== "Created";
  const reason = ready ? "Running" : state === "Running" ? "Starting" : state;
  const doing = upgrade === undefined ? counts : `${upgrade.kind}: ${upgrade.phase}, down to pod ${upgrade.partition}`;
  return conditionsFrom({
    resource: seen.app,
    nowMs: seen.nowMs,
    generation: status.observedGeneration,
    ready: { status: ready ? "True" : "False", reason, message: counts },
    progress: busy ? { reason: state, message: doing } : undefined,
    degraded,
  });
}
