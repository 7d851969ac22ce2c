// An operation in progress: from the old run's last savepoint to the new run's first checkpoint, phase by phase.
import type { RestorePoint, SavepointFacts, UpgradeProgress } from "millrace/api";
import { act, type Draft, pause, phaseOf, record, reportOf, sinceMs, statusOf, time } from "./draft.ts";
import { type Problem, warning, withoutUndefined } from "../resource/draft.ts";
import type { SavepointReport } from "../ports/job-client.ts";
import { othersGone } from "./desired.ts";
import { end, fail, rollBack } from "./replacement-end.ts";
import { brokenPods } from "./health.ts";
import type { Observed } from "./observed.ts";
import { settingsOf } from "./settings.ts";
import type { Target } from "./target.ts";

/** How often pods of a job in progress are asked. */
const pollMs = 500;
const quickPollMs = 100;
const savepointAttempts = 3;
/** A job that does not run cannot take a savepoint; after this it is replaced from its newest checkpoint, which loses nothing either. */
const notRunningMs = 60_000;
const overStates: ReadonlySet<string> = new Set(["stopped", "finished", "failed"]);
const goneMs = 5 * 60_000;
const runningWithoutCheckpointsMs = 30_000;

export function decideReplacement(seen: Observed, upgrade: UpgradeProgress, target: Target): Draft {
  switch (upgrade.phase) {
    case "preparing":
      return superseded(seen, upgrade, target) ?? preparing(seen, upgrade);
    case "savepointing":
      return savepointing(seen, upgrade);
    case "stopping":
      return stopping(seen, upgrade);
    case "starting":
      return superseded(seen, upgrade, target) ?? starting(seen, upgrade);
  }
}

// The manifest has changed since: what is being brought out is not wanted any more.
function superseded(seen: Observed, upgrade: UpgradeProgress, target: Target): Draft | undefined {
  const { to, kind } = upgrade;
  if (to === undefined || seen.problem !== undefined || target.kind !== "known") return undefined;
  const { suspend } = settingsOf(seen.job.spec);
  // A version that could not even be prepared: the manifest still asks for it, and it is not tried again.
  if (!suspend && (target.revision.name === to.revision || kind === "delete")) return undefined;
  return end(seen, upgrade, "Superseded", suspend ? "the job is to be suspended" : `revision ${target.revision.name} is wanted now`);
}

function preparing(seen: Observed, upgrade: UpgradeProgress): Draft {
  const { from, to } = upgrade;
  // A bounded job may come to its end meanwhile: there is nothing left to go on with.
  if (reportOf(seen, from?.run)?.state === "finished") return end(seen, upgrade, "Superseded", "the job has read all of its input");
  const report = reportOf(seen, to?.run);
  const ready = seen.pods.filter((pod) => pod.run === to?.run && pod.component === "taskmanager" && pod.ready).length;
  const needed = seen.workloads.find((workload) => workload.run === to?.run && workload.component === "taskmanager")?.replicas ?? 1;
  if (report?.state === "standby" && report.prepared && ready >= needed) return askForSavepoint(seen, upgrade, 1);
  const broken = brokenPods(seen, to?.run);
  if (broken !== undefined) return fail(seen, upgrade, broken.message);
  if (sinceMs(seen, upgrade.phaseStartedAt) > settingsOf(seen.job.spec).prepareTimeoutMs)
    return fail(seen, upgrade, "its pods did not become ready in time; see spec.upgrade.prepareTimeout");
  return pause(seen, pollMs);
}

function askForSavepoint(seen: Observed, upgrade: UpgradeProgress, attempt: number, problem?: string): Draft {
  const savepointId = attempt === 1 ? upgrade.id : `${upgrade.id}-${attempt}`;
  return record({
    ...statusOf(seen),
    upgrade: phaseOf(seen, upgrade, "savepointing", {
      savepointId,
      savepointAttempt: attempt,
      ...(problem === undefined ? {} : { problem }),
    }),
  });
}

function savepointing(seen: Observed, upgrade: UpgradeProgress): Draft {
  const { from, to, savepointId = upgrade.id, savepointAttempt = 1, mode } = upgrade;
  if (from === undefined) return stopNow(seen, upgrade);
  // Pods of runs before this one may still be going; nothing is switched while a third run is there.
  if (!othersGone(seen, [from.run, to?.run])) return pause(seen, pollMs, leftoverProblem(seen, upgrade));
  const known = seen.savepoint.kind === "answer" ? seen.savepoint.answer : undefined;
  if (known?.phase === "completed") return saved(seen, upgrade, known);
  const report = reportOf(seen, from.run);
  const passedMs = sinceMs(seen, upgrade.phaseStartedAt);
  const limitMs = limitOf(seen, upgrade);
  if (known?.phase === "failed") {
    const problem = known.failure ?? "the savepoint failed";
    if (savepointAttempt >= savepointAttempts || passedMs > limitMs) return giveUpSavepoint(seen, upgrade, problem);
    return askForSavepoint(seen, upgrade, savepointAttempt + 1, problem);
  }
  const running = report?.state === "running" || report?.state === "stopping";
  if (passedMs > limitMs || (!running && passedMs > Math.min(limitMs, notRunningMs)))
    return giveUpSavepoint(seen, upgrade, running ? "it did not complete in time" : "the job does not run");
  if (report !== undefined && overStates.has(report.state)) return stopNow(seen, upgrade);
  const mayAsk =
    report?.state === "running" && known === undefined && seen.savepoint.kind === "answer" && seen.refused?.step !== "startSavepoint";
  if (mayAsk) return act(seen, { kind: "startSavepoint", run: from.run, id: savepointId, mode: mode === "drain" ? "drain" : "stop" });
  return pause(seen, quickPollMs, upgrade.problem === undefined ? undefined : { reason: "SavepointFailed", message: upgrade.problem });
}

// The old run is over, and what it ended with is known.
function saved(seen: Observed, upgrade: UpgradeProgress, report: SavepointReport): Draft {
  const { location, cutAtMs } = report;
  if (location === undefined) return stopNow(seen, upgrade);
  const { to } = upgrade;
  const done = { ...upgrade, savepoint: location, savepointFacts: factsOf(seen, report), stoppedAt: time(cutAtMs ?? seen.nowMs) };
  if (to === undefined) {
    const restore = { sinceRun: (statusOf(seen).run ?? 0) + 1, location };
    return record({ ...statusOf(seen), upgrade: phaseOf(seen, done, "stopping", { restore }) });
  }
  // The old run's last checkpoint is what the savepoint was copied from. It shares its files with those that the new run has fetched ahead, and
  // with those to come; where it is not, as in another storage, there is the savepoint.
  return start(seen, done, { sinceRun: upgrade.from?.run ?? to.run, location });
}

function factsOf(seen: Observed, { sizeBytes, formatVersion, completedAtMs }: SavepointReport): SavepointFacts {
  return withoutUndefined<SavepointFacts>({ sizeBytes, formatVersion, completedAt: time(completedAtMs ?? seen.nowMs) });
}

function limitOf(seen: Observed, { kind }: UpgradeProgress): number {
  const { deletionTimeoutMs, savepointTimeoutMs } = settingsOf(seen.job.spec);
  return kind === "delete" ? deletionTimeoutMs : savepointTimeoutMs;
}

// A job that runs and cannot take a savepoint is left alone; one that does not run is replaced from its newest checkpoint.
function giveUpSavepoint(seen: Observed, upgrade: UpgradeProgress, problem: string): Draft {
  const { kind, from } = upgrade;
  const runs = reportOf(seen, from?.run)?.state === "running";
  if (runs && kind !== "delete") return fail(seen, { ...upgrade, problem }, `no savepoint could be taken: ${problem}`);
  const draft = stopNow(seen, { ...upgrade, problem });
  return { ...draft, events: [warning("SavepointFailed", `${problem}; going on from the newest checkpoint`)] };
}

// Without a savepoint: the newest checkpoint holds whatever the old run had put out when its pods are gone.
function stopNow(seen: Observed, upgrade: UpgradeProgress): Draft {
  const { savepointId: _id, savepointAttempt: _attempt, ...rest } = upgrade;
  const restore = statusOf(seen).active?.restore;
  const next = phaseOf(seen, rest, "stopping", { mode: "last-state", ...(restore === undefined ? {} : { restore }) });
  return record({ ...statusOf(seen), upgrade: next });
}

function stopping(seen: Observed, upgrade: UpgradeProgress): Draft {
  const { to, restore } = upgrade;
  if (!othersGone(seen, [to?.standby === true ? to.run : undefined])) return pause(seen, undefined, leftoverProblem(seen, upgrade));
  const stopped: UpgradeProgress = { ...upgrade, stoppedAt: upgrade.stoppedAt ?? new Date(seen.nowMs).toISOString() };
  if (to === undefined) return end(seen, stopped, "Succeeded");
  return start(seen, stopped, restore ?? { sinceRun: 0 });
}

function leftoverProblem(seen: Observed, upgrade: UpgradeProgress): Problem | undefined {
  if (sinceMs(seen, upgrade.phaseStartedAt) < goneMs) return undefined;
  const names = seen.pods.filter((pod) => pod.run !== upgrade.to?.run && pod.deleting).map(({ name }) => name);
  const what = names.length === 0 ? "workloads" : `pods ${names.slice(0, 5).join(", ")}`;
  return {
    reason: "OldPodsNotGone",
    message: `${what} of an earlier run are still there, so the next one is not started; if their node is lost, delete them with --force`,
  };
}

// From here on the new run is the one that counts.
function start(seen: Observed, upgrade: UpgradeProgress, restore: RestorePoint): Draft {
  const { to } = upgrade;
  const { resumeFrom: _resume, active: _old, ...rest } = statusOf(seen);
  if (to === undefined) return pause(seen);
  const startedAt = new Date(seen.nowMs).toISOString();
  return record({
    ...rest,
    currentRevision: to.revision,
    active: { ...to, restore, phase: "starting", startedAt },
    upgrade: phaseOf(seen, upgrade, "starting", { restore }),
  });
}

function starting(seen: Observed, upgrade: UpgradeProgress): Draft {
  const { to, restore } = upgrade;
  if (to === undefined || restore === undefined) return end(seen, upgrade, "Succeeded");
  const settings = settingsOf(seen.job.spec);
  const report = reportOf(seen, to.run);
  if (to.standby && (report?.state === "standby" || report?.state === "created") && !seen.leaseMissing)
    return act(seen, { kind: "startRun", run: to.run, restore });
  if (report?.lastCheckpoint !== undefined || report?.state === "finished") return end(seen, upgrade, "Succeeded");
  const runningMs = report?.state === "running" && report.runningSinceMs !== undefined ? seen.nowMs - report.runningSinceMs : 0;
  if (!settings.hasStorage && runningMs >= runningWithoutCheckpointsMs) return end(seen, upgrade, "Succeeded");
  const failure = failureOf(seen, upgrade, settings.stableTimeoutMs);
  if (failure !== undefined) return rollBack(seen, upgrade, failure);
  return pause(seen, report?.state === "running" ? pollMs : quickPollMs);
}

function failureOf(seen: Observed, { to, phaseStartedAt }: UpgradeProgress, stableTimeoutMs: number): string | undefined {
  const report = reportOf(seen, to?.run);
  if (report?.state === "failed") return `the job failed: ${report.lastFailure ?? "no reason given"}`;
  const broken = brokenPods(seen, to?.run);
  if (broken !== undefined) return broken.message;
  if (sinceMs(seen, phaseStartedAt) <= stableTimeoutMs) return undefined;
  const because = report?.lastFailure === undefined ? "" : `; its last failure: ${report.lastFailure}`;
  return `it did not complete a checkpoint in time${because}; see spec.rollback.stableTimeout`;
}
