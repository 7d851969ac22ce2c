// The part of a MicroBatchJob's status that people and tools read: conditions, state, figures. Made from what is known, never decided upon.
import type { BatchStatus, Condition, MicroBatchJobState, MicroBatchJobStatus } from "millrace/api";
import type { BatchReport } from "../ports/driver-client.ts";
import { type Problem, withoutUndefined } from "../resource/draft.ts";
import { conditionsFrom, observedGeneration, type Readiness } from "../resource/conditions.ts";
import { type BatchDraft, driverPod, reportOf } from "./draft.ts";
import { batchRunLabels } from "./names.ts";
import type { BatchObserved } from "./observed.ts";
import { batchSettingsOf } from "./settings.ts";

export function summarize(seen: BatchObserved, draft: BatchDraft): MicroBatchJobStatus {
  const { status } = draft;
  const { active } = status;
  const report = reportOf(seen);
  const executors = seen.executors.find(({ run }) => run === active?.run);
  const batch = report?.batch === undefined ? status.batch : batchOf(report.batch, report.triggerMs);
  const summary = withoutUndefined<MicroBatchJobStatus>({
    ...status,
    observedGeneration: observedGeneration(seen.job, active?.stop !== undefined || status.upgrade !== undefined, draft),
    batch,
    replicas: executors?.replicas ?? 0,
    readyReplicas: executors?.readyReplicas ?? 0,
    ...(active === undefined ? {} : { selector: selectorOf(seen.job.metadata.name, active.run) }),
  });
  const state = stateOf(seen, summary);
  return { ...summary, state, conditions: conditionsOf(seen, { ...summary, state }, draft.degraded) };
}

const selectorOf = (job: string, run: number): string =>
  Object.entries(batchRunLabels(job, run, "executor"))
    .map(([name, value]) => `${name}=${value}`)
    .join(",");

const batchOf = (batch: BatchReport, triggerMs: number | undefined): BatchStatus =>
  withoutUndefined<BatchStatus>({
    id: batch.id,
    completedAt: batch.completedAtMs === undefined ? undefined : new Date(batch.completedAtMs).toISOString(),
    durationMs: batch.durationMs === undefined ? undefined : Math.round(batch.durationMs),
    inputRows: batch.inputRows,
    inputRowsPerSecond: batch.inputRowsPerSecond,
    backlog: batch.backlog,
    triggerMs: triggerMs === undefined || triggerMs === 0 ? undefined : Math.round(triggerMs),
    watermark: batch.watermark,
  });

function stateOf(seen: BatchObserved, status: MicroBatchJobStatus): MicroBatchJobState {
  const { active, upgrade, ended, retryAt } = status;
  const settings = batchSettingsOf(seen.job.spec);
  if (seen.job.metadata.deletionTimestamp !== undefined) return "Deleting";
  if (active?.stop?.reason === "rollback" || (active !== undefined && upgrade?.kind === "rollback")) return "RollingBack";
  if (active?.stop?.reason === "upgrade" || (active !== undefined && upgrade !== undefined)) return "Upgrading";
  if (active !== undefined) return active.phase === "stopping" ? "Stopping" : active.phase === "stable" ? "Running" : "Starting";
  if (settings.suspend) return "Suspended";
  if (ended !== undefined) return ended.result === "Succeeded" ? "Finished" : "Failed";
  if (retryAt !== undefined) return "WaitingToRetry";
  return settings.scheduled ? "Scheduled" : "Created";
}

function conditionsOf(seen: BatchObserved, status: MicroBatchJobStatus, problem: Problem | undefined): readonly Condition[] {
  const { state = "Created", active } = status;
  const busy = active?.phase === "starting" || active?.phase === "stopping" || status.upgrade !== undefined;
  return conditionsFrom({
    resource: seen.job,
    nowMs: seen.nowMs,
    generation: status.observedGeneration,
    ready: readiness(seen, status),
    progress: busy && active !== undefined ? { reason: state, message: `run ${active.run} is ${active.phase}` } : undefined,
    degraded: degradation(seen, status, problem),
  });
}

function readiness(seen: BatchObserved, status: MicroBatchJobStatus): Readiness {
  const { active, state = "Created", nextScheduledAt, lastFailure, retryAt } = status;
  if (active === undefined) {
    if (seen.problem !== undefined) return { status: "False", reason: "SpecInvalid", message: seen.problem };
    switch (state) {
      case "Scheduled":
        return { status: "True", reason: "Scheduled", message: `the next run is due at ${nextScheduledAt ?? "no time"}` };
      case "Finished":
        return { status: "False", reason: "Finished", message: "the job has processed all of its input" };
      case "Failed":
        return { status: "False", reason: "JobFailed", message: lastFailure ?? "the job failed" };
      case "WaitingToRetry":
        return {
          status: "False",
          reason: "WaitingToRetry",
          message: `${lastFailure ?? "the run has ended"}; again at ${retryAt ?? "once"}`,
        };
      default:
        return { status: "False", reason: state, message: "no run is active" };
    }
  }
  if (active.phase === "stopping")
    return { status: "False", reason: "Stopping", message: `run ${active.run} is to end: ${active.stop?.reason ?? ""}` };
  if (seen.report.kind === "unreachable" && driverPod(seen, active.run)?.ended === undefined)
    return { status: "False", reason: active.phase === "starting" ? "Starting" : "Unreachable", message: "the driver does not answer" };
  if (active.phase === "starting") return { status: "False", reason: "Starting", message: "it has committed no batch yet" };
  return { status: "True", reason: "Running", message: `run ${active.run} processes` };
}

function degradation(seen: BatchObserved, status: MicroBatchJobStatus, problem: Problem | undefined): Problem | undefined {
  const { active, pinned, ended, failures = 0, lastFailure, history = [], batch } = status;
  if (seen.problem !== undefined) {
    const instead = active === undefined ? "" : `; revision ${active.revision} goes on`;
    return { reason: "SpecInvalid", message: `${seen.problem}${instead}` };
  }
  if (problem !== undefined) return problem;
  if (pinned !== undefined && pinned.reason !== "RollbackRequested")
    return { reason: pinned.reason, message: `revision ${pinned.insteadOf}: ${pinned.message}; revision ${pinned.revision} runs` };
  if (ended?.result === "Failed") return { reason: "JobFailed", message: lastFailure ?? "the job failed" };
  if (failures > 0) return { reason: "Restarting", message: `${failures} failures in a row; the last: ${lastFailure ?? "unknown"}` };
  if (active === undefined && history[0]?.result === "Failed")
    return { reason: "LastRunFailed", message: `run ${history[0].run}: ${history[0].message ?? "it failed"}` };
  if (active?.phase === "stable" && batch?.triggerMs !== undefined && (batch.durationMs ?? 0) > 2 * batch.triggerMs)
    return { reason: "BatchesTooSlow", message: `a batch takes ${batch.durationMs ?? 0} ms, its trigger is ${batch.triggerMs} ms` };
  return undefined;
}
