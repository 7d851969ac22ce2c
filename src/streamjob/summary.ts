// The part of the status that people and tools read: conditions, state, counts. Made from what is known, never decided upon.
import type { Condition, StreamJobState, StreamJobStatus } from "millrace/api";
import { type Draft, reportOf } from "./draft.ts";
import { type Problem, withoutUndefined } from "../resource/draft.ts";
import { conditionsFrom, observedGeneration, type Readiness } from "../resource/conditions.ts";
import { brokenPods } from "./health.ts";
import { runLabels } from "./names.ts";
import type { Observed } from "./observed.ts";
import { settingsOf } from "./settings.ts";

export function summarize(seen: Observed, draft: Draft): StreamJobStatus {
  const { status } = draft;
  const { active } = status;
  const report = reportOf(seen, active?.run);
  const job =
    report === undefined
      ? active === undefined
        ? undefined
        : status.job
      : {
          state: report.state,
          restarts: report.restarts,
          ...(report.lastFailure === undefined ? {} : { lastFailure: report.lastFailure.slice(0, 1000) }),
          ...(report.restoredFrom === undefined ? {} : { restoredFrom: report.restoredFrom }),
        };
  const workers = seen.workloads.find(({ run, component }) => run === active?.run && component === "taskmanager");
  const summary = withoutUndefined<StreamJobStatus>({
    ...status,
    observedGeneration: observedGeneration(seen.job, status.upgrade !== undefined || status.rescale !== undefined, draft),
    job,
    replicas: workers?.replicas ?? 0,
    readyReplicas: workers?.readyReplicas ?? 0,
    parallelism: active?.parallelism ?? 0,
    ...(active === undefined ? {} : { selector: selectorOf(seen.job.metadata.name, active.run) }),
    ...lastSavepoint(seen, status),
  });
  const state = stateOf(seen, summary);
  return { ...summary, state, conditions: conditionsOf(seen, { ...summary, state }, draft.degraded) };
}

const selectorOf = (job: string, run: number): string =>
  Object.entries(runLabels(job, run, "taskmanager"))
    .map(([name, value]) => `${name}=${value}`)
    .join(",");

function lastSavepoint(seen: Observed, status: StreamJobStatus): Pick<StreamJobStatus, "savepoints"> {
  const completed = seen.savepoints.filter((savepoint) => savepoint.status?.phase === "Completed");
  const at = (savepoint: (typeof completed)[number]): string => savepoint.status?.completedAt ?? "";
  const newest = completed.toSorted((a, b) => (at(a) < at(b) ? 1 : -1))[0]?.metadata.name;
  const { savepoints } = status;
  if (newest === undefined) return savepoints === undefined ? {} : { savepoints };
  return { savepoints: { ...savepoints, last: newest } };
}

function stateOf(seen: Observed, { active, upgrade, rescale, job }: StreamJobStatus): StreamJobState {
  if (seen.job.metadata.deletionTimestamp !== undefined) return "Deleting";
  switch (upgrade?.kind) {
    case "deploy":
      return "Deploying";
    case "rollback":
      return "RollingBack";
    case "suspend":
      return "Suspending";
    case "delete":
      return "Deleting";
    case "rescale":
      return "Rescaling";
    case "upgrade":
    case "restart":
    case "redeploy":
    case "recover":
      return "Upgrading";
    case undefined:
      break;
  }
  if (rescale !== undefined) return "Rescaling";
  if (active === undefined) return settingsOf(seen.job.spec).suspend ? "Suspended" : "Created";
  if (active.phase === "finished") return "Finished";
  return job?.state === "failed" ? "Failed" : "Running";
}

function conditionsOf(seen: Observed, status: StreamJobStatus, problem: Problem | undefined): readonly Condition[] {
  const { upgrade, rescale } = status;
  const progress = upgrade === undefined ? (rescale === undefined ? undefined : "Rescaling") : (status.state ?? "Upgrading");
  const doing =
    upgrade === undefined
      ? rescale === undefined
        ? ""
        : `parallelism ${rescale.from} to ${rescale.to}`
      : `${upgrade.kind}: ${upgrade.phase}`;
  return conditionsFrom({
    resource: seen.job,
    nowMs: seen.nowMs,
    generation: status.observedGeneration,
    ready: readiness(seen, status),
    progress: progress === undefined ? undefined : { reason: progress, message: doing },
    degraded: degradation(seen, status, problem),
  });
}

function readiness(seen: Observed, { active, job, state }: StreamJobStatus): Readiness {
  if (active === undefined) {
    if (seen.problem !== undefined) return { status: "False", reason: "SpecInvalid", message: seen.problem };
    return { status: "False", reason: state ?? "Created", message: "no run is active" };
  }
  if (active.phase === "finished") return { status: "False", reason: "Finished", message: "the job has read all of its input" };
  const asked = seen.reports.get(active.run);
  if (asked?.kind === "unreachable")
    return { status: "False", reason: active.phase === "starting" ? "Starting" : "Unreachable", message: "no JobManager answers" };
  if (job === undefined) return { status: "False", reason: "Starting", message: "its pods are being made" };
  if (job.state === "running") return { status: "True", reason: "Running", message: `run ${active.run} processes` };
  const reasons: Readonly<Record<string, string>> = {
    failed: "JobFailed",
    restarting: "JobRestarting",
    finished: "Finished",
    stopped: "Stopped",
  };
  return { status: "False", reason: reasons[job.state] ?? "Starting", message: job.lastFailure ?? `the job is ${job.state}` };
}

function degradation(
  seen: Observed,
  { active, pinned, lastUpgrade, job }: StreamJobStatus,
  problem: Problem | undefined,
): Problem | undefined {
  if (seen.problem !== undefined) {
    const instead = active === undefined ? "" : `; revision ${active.revision} goes on`;
    return { reason: "SpecInvalid", message: `${seen.problem}${instead}` };
  }
  if (problem !== undefined) return problem;
  const broken = brokenPods(seen, active?.run);
  if (broken !== undefined) return broken;
  if (pinned !== undefined && pinned.reason !== "RollbackRequested")
    return { reason: pinned.reason, message: `revision ${pinned.insteadOf}: ${pinned.message}; revision ${pinned.revision} runs` };
  if (job?.state === "failed" && active !== undefined) return { reason: "JobFailed", message: job.lastFailure ?? "the job failed" };
  if (lastUpgrade?.result === "Failed" && lastUpgrade.kind !== "upgrade")
    return { reason: "OperationFailed", message: `${lastUpgrade.kind}: ${lastUpgrade.message ?? ""}` };
  return undefined;
}
