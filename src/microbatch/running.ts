// A MicroBatchJob with a run: what became of its driver, whether it works, and whether the manifest asks for something else.
import type { ActiveBatchRun, BatchStop, LastUpgrade } from "millrace/api";
import { normal, type Problem } from "../resource/draft.ts";
import { allocate } from "./allocation.ts";
import { brokenDriver } from "./broken-driver.ts";
import { type BatchDraft, driverPod, pause, record, reportOf, sinceMs, statusOf, timeOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { endOfRun } from "./run-end.ts";
import { batchRevisionName } from "./revision.ts";
import { type BatchSettings, batchSettingsOf } from "./settings.ts";
import { stopping } from "./stopping.ts";
import type { BatchTarget } from "./target.ts";
import { tidy } from "./waiting.ts";

/** How often a run is asked whose state decides what comes next. */
const pollMs = 500;
/** How often a run is asked whose executors follow its load. */
const loadMs = 15_000;
/** A driver that has nothing to read works, if it has lived so long. */
const idleStableMs = 10_000;

export function running(seen: BatchObserved, active: ActiveBatchRun, target: BatchTarget): BatchDraft {
  const pod = driverPod(seen, active.run);
  if (active.driver !== undefined && (pod === undefined || pod.uid !== active.driver))
    return endOfRun(seen, active, { kind: "lost", message: "its driver's pod is gone" }, target);
  if (pod !== undefined && active.driver === undefined) return record({ ...statusOf(seen), active: { ...active, driver: pod.uid } });
  if (pod?.ended !== undefined) {
    const { failed, reason, message } = pod.ended;
    const report = reportOf(seen);
    if (failed) {
      const text = report?.lastFailure ?? message ?? reason ?? "no reason given";
      const why = reason === "OOMKilled" ? `out of memory: ${text}` : text;
      return endOfRun(seen, active, { kind: "failed", message: why, isFinal: report?.failureIsFinal === true }, target);
    }
    const kind = report?.state === "finished" || (report === undefined && batchSettingsOf(seen.job.spec).ends) ? "finished" : "stopped";
    return endOfRun(seen, active, { kind, message: "it was stopped from outside" }, target);
  }
  if (active.stop !== undefined) return stopping(seen, active, active.stop);
  const settings = batchSettingsOf(seen.job.spec);
  const wish = wishOf(seen, active, target, settings);
  if (wish !== undefined) return stop(seen, active, wish, settings);
  const skipped = skippedRun(seen, settings);
  if (skipped !== undefined) return skipped;
  return active.phase === "starting" ? starting(seen, active, settings) : stable(seen, active, settings);
}

type Wish = BatchStop["reason"];

function wishOf(seen: BatchObserved, active: ActiveBatchRun, target: BatchTarget, settings: BatchSettings): Wish | undefined {
  const { served, pinned } = statusOf(seen);
  if (seen.problem !== undefined || target.kind !== "known") return undefined;
  if (settings.suspend) return "suspend";
  if (settings.redeploy !== undefined && served?.redeploy !== settings.redeploy.token) return "redeploy";
  if (target.revision.name !== active.revision) return pinned?.revision === target.revision.name ? "rollback" : "upgrade";
  if (settings.restartNonce !== undefined && served?.restart !== settings.restartNonce) return "restart";
  if (settings.scheduled && settings.concurrency === "Replace" && seen.due.missedMs !== undefined) return "replace";
  return undefined;
}

/** Writes down that the run is to end, and how. */
export function stop(seen: BatchObserved, active: ActiveBatchRun, reason: Wish, settings: BatchSettings): BatchDraft {
  const saves =
    reason === "delete"
      ? settings.deletionPolicy === "savepoint"
      : (reason === "upgrade" || reason === "suspend") && settings.withSavepoint && settings.stopMode === "after-batch";
  // A run that never committed anything has nothing of its own to save: what it was started from still holds.
  const savepointId =
    saves && active.phase === "stable"
      ? `${(seen.job.metadata.uid ?? "").replaceAll("-", "").slice(0, 8)}-${active.run}-${reason}`
      : undefined;
  const how: BatchStop = { reason, since: timeOf(seen), ...(savepointId === undefined ? {} : { savepointId }) };
  return record({ ...statusOf(seen), active: { ...active, phase: "stopping", stop: how } }, [
    normal("RunStopping", `run ${active.run} is to end: ${reason}`),
  ]);
}

// With concurrencyPolicy Forbid a time at which the run before goes on is left out.
function skippedRun(seen: BatchObserved, settings: BatchSettings): BatchDraft | undefined {
  const { missedMs, nextMs } = seen.due;
  if (!settings.scheduled || missedMs === undefined || settings.concurrency !== "Forbid") return undefined;
  const lastScheduledAt = new Date(missedMs).toISOString();
  const nextScheduledAt = nextMs === undefined ? undefined : new Date(nextMs).toISOString();
  return record({ ...statusOf(seen), lastScheduledAt, nextScheduledAt }, [
    normal("RunSkipped", `the run of ${lastScheduledAt} is left out, because the one before has not ended`),
  ]);
}

function starting(seen: BatchObserved, active: ActiveBatchRun, settings: BatchSettings): BatchDraft {
  const report = reportOf(seen);
  const runningMs = report?.state === "running" && report.runningSinceMs !== undefined ? seen.nowMs - report.runningSinceMs : 0;
  const late = sinceMs(seen, active.startedAt) > settings.stableTimeoutMs;
  const works = report?.batch !== undefined || (report?.idle === true && runningMs >= idleStableMs);
  // A runtime that does not say whether it is idle, and runs without a failure all the time, has had nothing to do.
  if (works || (late && report?.state === "running" && report.idle === undefined)) return becomeStable(seen, active);
  const broken = brokenDriver(driverPod(seen, active.run));
  const problem =
    broken ?? (late ? { reason: "NotStable", message: "it committed no batch in time; see spec.rollback.stableTimeout" } : undefined);
  if (problem === undefined) return pause(seen, pollMs);
  return giveUp(seen, active, problem, settings) ?? pause(seen, 5_000, problem);
}

/** Back to the last stable revision; undefined where there is none, or it must not be. */
function giveUp(seen: BatchObserved, active: ActiveBatchRun, problem: Problem, settings: BatchSettings): BatchDraft | undefined {
  const { upgrade, stableRevision } = statusOf(seen);
  if (upgrade?.kind !== "upgrade" || stableRevision === undefined || !settings.automaticRollback) return undefined;
  const draft = stop(seen, active, "rollback", settings);
  const insteadOf = batchRevisionName(seen.job.metadata.name, seen.job.spec);
  const message = problem.message.slice(0, 1000);
  // The manifest may have changed since; then there is nothing to hold back.
  const pinned =
    active.revision === insteadOf ? { pinned: { revision: stableRevision, insteadOf, reason: "RolledBack" as const, message } } : {};
  return { ...draft, status: { ...draft.status, ...pinned } };
}

function becomeStable(seen: BatchObserved, active: ActiveBatchRun): BatchDraft {
  const { upgrade, ...rest } = statusOf(seen);
  const { silentSince: _silent, ...run } = active;
  const base = { ...rest, stableRevision: active.revision, active: { ...run, phase: "stable" as const, stableAt: timeOf(seen) } };
  if (upgrade === undefined) return record(base, [normal("RunStable", `run ${active.run} works`)]);
  const lastUpgrade = succeeded(seen, upgrade);
  const gap = lastUpgrade.gapMs === undefined ? "" : `, nothing was processed for ${lastUpgrade.gapMs} ms`;
  const from = lastUpgrade.savepoint === undefined ? "" : ` from savepoint ${lastUpgrade.savepoint}`;
  return record({ ...base, lastUpgrade }, [
    normal(upgrade.kind === "rollback" ? "RolledBack" : "Upgraded", `revision ${active.revision} runs${from}${gap}`),
  ]);
}

export function succeeded(seen: BatchObserved, upgrade: NonNullable<BatchObserved["job"]["status"]>["upgrade"] & object): LastUpgrade {
  const { id, kind, from, to, savepoint, stoppedAt, startedAt } = upgrade;
  const sinceRunningMs = reportOf(seen)?.runningSinceMs;
  const gapMs =
    stoppedAt === undefined || sinceRunningMs === undefined ? undefined : Math.max(0, Math.round(sinceRunningMs - Date.parse(stoppedAt)));
  return {
    id,
    kind,
    ...(from === undefined ? {} : { from }),
    to,
    result: "Succeeded",
    ...(savepoint === undefined ? {} : { savepoint }),
    ...(gapMs === undefined ? {} : { gapMs }),
    startedAt,
    endedAt: timeOf(seen),
  };
}

function stable(seen: BatchObserved, active: ActiveBatchRun, settings: BatchSettings): BatchDraft {
  const status = statusOf(seen);
  if ((status.failures ?? 0) > 0 && active.stableAt !== undefined) {
    const leftMs = settings.restart.resetMs - sinceMs(seen, active.stableAt);
    const { lastFailure: _message, lastFailureAt: _at, ...rest } = status;
    if (leftMs <= 0) return record({ ...rest, failures: 0 });
  }
  const broken = brokenDriver(driverPod(seen, active.run));
  if (broken !== undefined) return pause(seen, 5_000, broken);
  const moved = reallocated(seen, settings);
  if (moved !== undefined) return moved;
  const { nextMs } = seen.due;
  const dynamic = settings.executors.max > settings.executors.min;
  const { lowSince } = status.allocation ?? {};
  const idleLeftMs = lowSince === undefined ? Infinity : Math.max(500, settings.executors.idleMs - sinceMs(seen, lowSince));
  const againMs = Math.min(
    dynamic ? Math.min(loadMs, idleLeftMs) : Infinity,
    settings.scheduled && nextMs !== undefined ? Math.max(1, nextMs - seen.nowMs) : Infinity,
  );
  return tidy(seen, settings) ?? (againMs === Infinity ? pause(seen) : pause(seen, againMs));
}

// How many executors there should be follows the load; it is written down before it is done.
function reallocated(seen: BatchObserved, settings: BatchSettings): BatchDraft | undefined {
  const status = statusOf(seen);
  if (settings.executors.max === 0 && status.allocation === undefined) return undefined;
  const report = reportOf(seen);
  if (report === undefined && status.allocation !== undefined && settings.executors.max !== settings.executors.min) return undefined;
  const load = {
    nowMs: seen.nowMs,
    running: report?.state === "running",
    idle: report?.idle === true,
    batch: status.batch,
    triggerMs: report?.triggerMs ?? settings.triggerMs,
  };
  const allocation = allocate(status.allocation, load, settings.executors);
  if (JSON.stringify(allocation) === JSON.stringify(status.allocation)) return undefined;
  const before = status.allocation?.executors;
  if (before === allocation.executors || before === undefined) return record({ ...status, allocation });
  const why = allocation.executors > before ? "batches fall behind" : "fewer are enough";
  return record({ ...status, allocation }, [normal("ExecutorsChanged", `${before} executors become ${allocation.executors}: ${why}`)]);
}
