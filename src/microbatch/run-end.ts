// The end of a run: noted, and what follows from it: another attempt after a wait, the next version, the version before, or nothing.
import type { ActiveBatchRun, BatchRun, LastUpgrade, MicroBatchJobStatus, RestorePoint } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import { normal, warning } from "../resource/draft.ts";
import { type BatchDraft, record, reportOf, statusOf, timeOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { batchRevisionName } from "./revision.ts";
import { backoffMs, type BatchSettings, batchSettingsOf } from "./settings.ts";
import type { BatchTarget } from "./target.ts";

export interface RunEnd {
  /** `lost`: its pod is gone; `stopped`: it ended in order before its work was done. */
  readonly kind: "finished" | "stopped" | "failed" | "lost";
  readonly message: string;
  /** Another run of the same revision would fail as well. */
  readonly isFinal?: boolean;
}

/** So many failures of a new version, one after the other, are enough. */
const upgradeFailures = 3;

export function endOfRun(seen: BatchObserved, active: ActiveBatchRun, how: RunEnd, target: BatchTarget): BatchDraft {
  const { active: _ended, ...rest } = statusOf(seen);
  const settings = batchSettingsOf(seen.job.spec);
  const base: MicroBatchJobStatus = {
    ...rest,
    resumeFrom: resumeFrom(seen, active, settings),
    history: [entry(seen, active, how), ...(rest.history ?? [])].slice(0, settings.historyLimit),
  };
  if (active.stop !== undefined) return stoppedOnPurpose(seen, active, base, target);
  switch (how.kind) {
    case "finished":
      return finished(seen, active, base, settings);
    case "stopped":
    case "lost":
      return interrupted(seen, active, base, how, settings);
    case "failed":
      return failed(seen, active, base, how, settings);
  }
}

function entry(seen: BatchObserved, active: ActiveBatchRun, { kind, message }: RunEnd): BatchRun {
  const replaced = active.stop?.reason === "replace";
  const onPurpose = active.stop !== undefined;
  const batch = reportOf(seen)?.batch?.id;
  const result =
    kind === "finished" ? "Succeeded" : replaced ? "Replaced" : onPurpose ? "Stopped" : kind === "failed" ? "Failed" : "Stopped";
  return {
    run: active.run,
    startedAt: active.startedAt,
    endedAt: timeOf(seen),
    result,
    ...(batch === undefined ? {} : { lastBatch: batch }),
    ...(kind === "finished" || onPurpose ? {} : { message: message.slice(0, 1000) }),
  };
}

function savepointOf(seen: BatchObserved, { stop }: ActiveBatchRun): string | undefined {
  if (stop?.savepoint !== undefined) return stop.savepoint;
  const left = reportOf(seen)?.savepoint;
  return left !== undefined && left.id === stop?.savepointId ? left.location : undefined;
}

// What the next run starts from: the savepoint of this one, or the newest checkpoint since what this one was started from.
function resumeFrom(seen: BatchObserved, active: ActiveBatchRun, { stateless }: BatchSettings): RestorePoint {
  const { stop, run, restore } = active;
  if (stop?.reason === "upgrade" && stateless) return { sinceRun: run + 1 };
  const location = savepointOf(seen, active);
  return location === undefined ? restore : { sinceRun: run + 1, location };
}

function stoppedOnPurpose(seen: BatchObserved, active: ActiveBatchRun, base: MicroBatchJobStatus, target: BatchTarget): BatchDraft {
  const { stop, revision, run } = active;
  const reason = stop?.reason ?? "restart";
  const note = normal("RunStopped", `run ${run} has ended: ${reason}`);
  if (reason !== "upgrade" && reason !== "rollback") return record({ ...base, failures: 0 }, [note]);
  const { upgrade, stableRevision, ...rest } = base;
  const to = target.kind === "known" ? target.revision.name : revision;
  const savepoint = savepointOf(seen, active);
  const id = `${(seen.job.metadata.uid ?? "").replaceAll("-", "").slice(0, 8)}-${run}-${reason}`;
  const next = {
    ...{ id, kind: reason, from: revision, to, stoppedAt: timeOf(seen), startedAt: stop?.since ?? timeOf(seen) },
    ...(savepoint === undefined ? {} : { savepoint }),
  };
  // A version that was being brought out and is given up, or overtaken by another.
  const over = upgrade === undefined ? {} : { lastUpgrade: overOf(seen, upgrade, reason === "rollback" ? "Failed" : "Superseded") };
  const stable = stableRevision === undefined ? {} : { stableRevision };
  const change = to === revision ? {} : { upgrade: next };
  return record({ ...rest, ...stable, ...over, ...change, failures: 0 }, [note]);
}

function overOf(
  seen: BatchObserved,
  upgrade: NonNullable<MicroBatchJobStatus["upgrade"]>,
  result: "Failed" | "Superseded",
  message?: string,
): LastUpgrade {
  const { id, kind, from, to, savepoint, startedAt } = upgrade;
  const why = message ?? statusOf(seen).pinned?.message;
  return {
    id,
    kind,
    ...(from === undefined ? {} : { from }),
    to,
    result,
    ...(result === "Failed" && why !== undefined ? { message: why } : {}),
    ...(savepoint === undefined ? {} : { savepoint }),
    startedAt,
    endedAt: timeOf(seen),
  };
}

function finished(seen: BatchObserved, active: ActiveBatchRun, base: MicroBatchJobStatus, settings: BatchSettings): BatchDraft {
  const { upgrade, lastFailure: _failure, lastFailureAt: _at, ...rest } = base;
  const brought: LastUpgrade | undefined =
    upgrade === undefined
      ? undefined
      : {
          ...{
            id: upgrade.id,
            kind: upgrade.kind,
            to: upgrade.to,
            result: "Succeeded",
            startedAt: upgrade.startedAt,
            endedAt: timeOf(seen),
          },
          ...(upgrade.from === undefined ? {} : { from: upgrade.from }),
          ...(upgrade.savepoint === undefined ? {} : { savepoint: upgrade.savepoint }),
        };
  const status: MicroBatchJobStatus = {
    ...rest,
    stableRevision: active.revision,
    failures: 0,
    ...(brought === undefined ? {} : { lastUpgrade: brought }),
  };
  const notes = [normal("RunSucceeded", `run ${active.run} has processed its input`)];
  if (settings.scheduled) return record(status, notes);
  if (settings.restart.policy === "always") return record({ ...status, retryAt: inMs(seen, settings.restart.initialMs) }, notes);
  return record({ ...status, ended: { result: "Succeeded", revision: active.revision, at: timeOf(seen) } }, notes);
}

// Nothing that the job did wrong: it goes on at once.
function interrupted(
  seen: BatchObserved,
  active: ActiveBatchRun,
  base: MicroBatchJobStatus,
  how: RunEnd,
  settings: BatchSettings,
): BatchDraft {
  const notes = [warning("RunInterrupted", `run ${active.run}: ${how.message}`)];
  if (settings.restart.policy === "never") return giveUp(seen, active, base, how.message, settings, notes);
  return record({ ...base, retryAt: timeOf(seen) }, notes);
}

function failed(
  seen: BatchObserved,
  active: ActiveBatchRun,
  before: MicroBatchJobStatus,
  { message: problem, isFinal = false }: RunEnd,
  settings: BatchSettings,
): BatchDraft {
  const message = problem.slice(0, 1000);
  const { restart } = settings;
  const well = active.stableAt !== undefined && seen.nowMs - Date.parse(active.stableAt) >= restart.resetMs;
  const failures = (well ? 0 : (before.failures ?? 0)) + 1;
  const base: MicroBatchJobStatus = { ...before, failures, lastFailure: message, lastFailureAt: timeOf(seen) };
  const notes = [warning("RunFailed", `run ${active.run}: ${message}`)];
  const isLast = isFinal || restart.policy === "never";
  const back = rolledBack(seen, active, base, message, isLast, settings, notes);
  if (back !== undefined) return back;
  if (isLast || failures > restart.maxFailures) return giveUp(seen, active, base, message, settings, notes);
  const { upgrade } = base;
  const counted = upgrade === undefined ? {} : { upgrade: { ...upgrade, failures: (upgrade.failures ?? 0) + 1 } };
  return record({ ...base, ...counted, retryAt: inMs(seen, backoffMs(restart, failures)) }, notes);
}

function rolledBack(
  seen: BatchObserved,
  active: ActiveBatchRun,
  base: MicroBatchJobStatus,
  message: string,
  isLast: boolean,
  { automaticRollback }: BatchSettings,
  notes: readonly EventNote[],
): BatchDraft | undefined {
  const { upgrade, stableRevision } = base;
  const wanted = batchRevisionName(seen.job.metadata.name, seen.job.spec);
  const enough = (upgrade?.failures ?? 0) + 1 >= upgradeFailures || isLast;
  if (upgrade?.kind !== "upgrade" || stableRevision === undefined || !automaticRollback || !enough || active.revision !== wanted)
    return undefined;
  const lastUpgrade = overOf(seen, upgrade, "Failed", message);
  const next = {
    ...{ id: `${upgrade.id}-back`, kind: "rollback" as const, from: upgrade.to, to: stableRevision, startedAt: timeOf(seen) },
    ...(upgrade.stoppedAt === undefined ? {} : { stoppedAt: upgrade.stoppedAt }),
  };
  const pinned = { revision: stableRevision, insteadOf: wanted, reason: "RolledBack" as const, message };
  return record({ ...base, lastUpgrade, upgrade: next, pinned, failures: 0 }, [
    ...notes,
    warning("RollingBack", `revision ${upgrade.to} is rolled back to ${stableRevision}: ${message}`),
  ]);
}

function giveUp(
  seen: BatchObserved,
  active: ActiveBatchRun,
  base: MicroBatchJobStatus,
  message: string,
  { scheduled }: BatchSettings,
  notes: readonly EventNote[],
): BatchDraft {
  // The next time of a schedule is a new beginning.
  if (scheduled) return record({ ...base, failures: 0 }, notes);
  return record({ ...base, ended: { result: "Failed", revision: active.revision, at: timeOf(seen) } }, [
    ...notes,
    warning("JobFailed", `no run is started any more: ${message}; mend the job, or change spec.restartNonce`),
  ]);
}

const inMs = (seen: BatchObserved, ms: number): string => new Date(seen.nowMs + ms).toISOString();
