// Bringing out another revision: pod by pod, each when the one before is caught up; or all at once over a savepoint. And back, when it does not work.
import type { AppUpgrade, EmbeddedStreamAppStatus, LastUpgrade } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import { normal, type Problem, warning } from "../resource/draft.ts";
import { allCaughtUp, brokenPod, isCaughtUp } from "./caught-up.ts";
import { act, type AppDraft, type AppObserved, pause, record, sinceMs, statusOf, timeOf } from "./observed.ts";
import { type AppRevision, appRevisionName } from "./revision.ts";
import { type AppSettings, appSettingsOf } from "./settings.ts";

const pollMs = 1_000;

export function beginUpdate(seen: AppObserved, to: AppRevision, settings: AppSettings): AppDraft {
  const { currentRevision = "", wantedReplicas = 0, pinned, ...rest } = statusOf(seen);
  const kind = pinned?.revision === to.name ? "rollback" : "upgrade";
  const id = `${(seen.app.metadata.uid ?? "").replaceAll("-", "").slice(0, 8)}-${seen.nowMs.toString(36)}`;
  // Nothing runs: there is nobody to go on from, and nobody to wait for.
  const phase = settings.mode === "savepoint" && wantedReplicas > 0 ? "savepointing" : "rolling";
  const upgrade: AppUpgrade = {
    ...{ id, kind, phase, from: currentRevision, to: to.name, partition: phase === "rolling" ? wantedReplicas : 0 },
    ...{ phaseStartedAt: timeOf(seen), startedAt: timeOf(seen) },
  };
  const status = { ...rest, currentRevision: phase === "rolling" ? to.name : currentRevision, wantedReplicas, upgrade };
  return record({ ...status, ...(pinned === undefined ? {} : { pinned }) }, [
    normal(
      kind === "rollback" ? "RollingBack" : "Upgrading",
      `from revision ${currentRevision} to ${to.number} (${to.name}), ${settings.mode}`,
    ),
  ]);
}

export function updating(seen: AppObserved, upgrade: AppUpgrade, wanted: string | undefined): AppDraft {
  const settings = appSettingsOf(seen.app.spec);
  // The manifest has changed since: what is being brought out is not wanted any more. A savepoint that has ended the pods is gone on from first.
  if (wanted !== undefined && wanted !== upgrade.to && upgrade.phase === "rolling")
    return over(seen, upgrade, "Superseded", `revision ${wanted} is wanted now`);
  switch (upgrade.phase) {
    case "rolling":
      return rolling(seen, upgrade, settings);
    case "savepointing":
      return savepointing(seen, upgrade, settings);
    case "stopping":
      return seen.pods.length > 0 ? pause(seen, pollMs) : starting(seen, upgrade);
    case "starting":
      return arriving(seen, upgrade, settings);
  }
}

function rolling(seen: AppObserved, upgrade: AppUpgrade, settings: AppSettings): AppDraft {
  const { wantedReplicas = 0 } = statusOf(seen);
  const turned = seen.pods.filter((pod) => pod.ordinal >= upgrade.partition);
  const due = wantedReplicas - Math.min(upgrade.partition, wantedReplicas);
  const done = turned.length === due && turned.every((pod) => pod.revision === upgrade.to && isCaughtUp(seen, pod, settings.caughtUpLag));
  if (done && upgrade.partition === 0) return over(seen, upgrade, "Succeeded");
  if (done) {
    const next = { ...upgrade, partition: Math.min(upgrade.partition, wantedReplicas) - 1, phaseStartedAt: timeOf(seen) };
    return record({ ...statusOf(seen), upgrade: { ...next, partition: Math.max(0, next.partition) } });
  }
  const stuck = unstick(seen, upgrade);
  if (stuck !== undefined) return stuck;
  const problem = failureOf(seen, upgrade, settings);
  if (problem === undefined) return pause(seen, pollMs);
  return rollBack(seen, upgrade, problem, settings) ?? pause(seen, 5_000, problem);
}

// A StatefulSet waits for its broken pod for ever; it goes on when that is gone.
function unstick(seen: AppObserved, { to, partition }: AppUpgrade): AppDraft | undefined {
  const old = seen.pods.find((pod) => pod.ordinal >= partition && pod.revision !== to && !pod.ready && !pod.deleting);
  return old === undefined ? undefined : act(seen, { kind: "delete", targets: [{ kind: "Pod", name: old.name, uid: old.uid }] });
}

function failureOf(seen: AppObserved, { to, phaseStartedAt }: AppUpgrade, { caughtUpTimeoutMs }: AppSettings): Problem | undefined {
  const broken = brokenPod(seen, (pod) => pod.revision === to);
  if (broken !== undefined) return broken;
  if (sinceMs(seen, phaseStartedAt) <= caughtUpTimeoutMs) return undefined;
  const late = `a pod of revision ${to} is not caught up in time; see spec.update.caughtUpTimeout`;
  const crashed = seen.pods.find((pod) => pod.revision === to && !pod.ready && pod.restarts > 0);
  const why =
    crashed === undefined ? "" : `; pod ${crashed.name} crashed ${crashed.restarts} times: ${crashed.message ?? "no reason given"}`;
  return { reason: "NotCaughtUp", message: `${late}${why}` };
}

function savepointing(seen: AppObserved, upgrade: AppUpgrade, settings: AppSettings): AppDraft {
  const answer = seen.savepoint.kind === "answer" ? seen.savepoint.answer : undefined;
  // When all pods have ended before anybody asked them, nobody answers any more: it is in what they left behind.
  const left = seen.pods.find(({ stopped }) => stopped?.id === upgrade.id)?.stopped?.location;
  const savepoint = answer?.phase === "completed" ? answer.location : left;
  if (savepoint !== undefined) {
    const next: AppUpgrade = { ...upgrade, phase: "stopping", savepoint, phaseStartedAt: timeOf(seen) };
    return record({ ...statusOf(seen), upgrade: next }, [normal("SavepointCompleted", `the app has ended with savepoint ${savepoint}`)]);
  }
  const problem = answer?.phase === "failed" ? (answer.failure ?? "the savepoint failed") : undefined;
  if (sinceMs(seen, upgrade.phaseStartedAt) > settings.caughtUpTimeoutMs)
    return over(seen, upgrade, "Failed", problem ?? "no savepoint was complete in time");
  return pause(seen, pollMs, problem === undefined ? undefined : { reason: "SavepointFailed", message: problem });
}

// All pods are gone, and what they ended with is known.
function starting(seen: AppObserved, upgrade: AppUpgrade): AppDraft {
  const { savepoint = "" } = upgrade;
  const next: AppUpgrade = { ...upgrade, phase: "starting", phaseStartedAt: timeOf(seen) };
  return record({ ...statusOf(seen), currentRevision: upgrade.to, restoredFrom: savepoint, restoreId: upgrade.id, upgrade: next });
}

function arriving(seen: AppObserved, upgrade: AppUpgrade, settings: AppSettings): AppDraft {
  const { wantedReplicas = 0 } = statusOf(seen);
  const arrived = seen.pods.every((pod) => pod.revision === upgrade.to) && allCaughtUp(seen, wantedReplicas, settings.caughtUpLag);
  if (arrived) return over(seen, upgrade, "Succeeded");
  const problem = failureOf(seen, upgrade, settings);
  if (problem === undefined) return pause(seen, pollMs);
  return rollBack(seen, upgrade, problem, settings) ?? pause(seen, 5_000, problem);
}

/** Back to the last stable revision; undefined where there is none, or this was the way back. */
function rollBack(seen: AppObserved, upgrade: AppUpgrade, problem: Problem, settings: AppSettings): AppDraft | undefined {
  const { stableRevision, upgrade: _failed, ...rest } = statusOf(seen);
  const stable = seen.revisions.find(({ name }) => name === stableRevision);
  if (stable === undefined || stable.name === upgrade.to || upgrade.kind === "rollback" || !settings.automaticRollback) return undefined;
  const insteadOf = appRevisionName(seen.app.metadata.name, seen.app.spec);
  const message = problem.message.slice(0, 1000);
  const back: AppUpgrade = {
    ...{ id: `${upgrade.id}-back`, kind: "rollback", from: upgrade.to, to: stable.name, partition: upgrade.partition },
    // Over the same savepoint: what the new version did with the state since is given up with it.
    phase: upgrade.phase === "starting" ? "stopping" : "rolling",
    ...(upgrade.savepoint === undefined ? {} : { savepoint: upgrade.savepoint }),
    ...{ phaseStartedAt: timeOf(seen), startedAt: timeOf(seen) },
  };
  const status: EmbeddedStreamAppStatus = {
    ...rest,
    ...(upgrade.phase === "rolling" ? { currentRevision: stable.name } : {}),
    stableRevision: stable.name,
    lastUpgrade: lastOf(seen, upgrade, "Failed", message),
    upgrade: back,
    ...(upgrade.to === insteadOf ? { pinned: { revision: stable.name, insteadOf, reason: "RolledBack" as const, message } } : {}),
  };
  return record(status, [warning("RollingBack", `revision ${upgrade.to} is rolled back to ${stable.name}: ${message}`)]);
}

function over(seen: AppObserved, upgrade: AppUpgrade, result: LastUpgrade["result"], message?: string): AppDraft {
  const { upgrade: _done, ...rest } = statusOf(seen);
  const notes: Readonly<Record<LastUpgrade["result"], EventNote>> = {
    Succeeded: normal(upgrade.kind === "rollback" ? "RolledBack" : "Upgraded", `all pods run revision ${upgrade.to}`),
    Failed: warning("UpgradeFailed", message ?? ""),
    Superseded: normal("OperationSuperseded", message ?? ""),
  };
  const wanted = appRevisionName(seen.app.metadata.name, seen.app.spec);
  // A version whose savepoint could not be taken was never started: the old one goes on.
  const held =
    result === "Failed" && upgrade.to === wanted
      ? { pinned: { revision: upgrade.from, insteadOf: wanted, reason: "UpgradeFailed" as const, message: message ?? "" } }
      : {};
  const stable = result === "Succeeded" ? { stableRevision: upgrade.to } : {};
  return record({ ...rest, ...stable, ...held, lastUpgrade: lastOf(seen, upgrade, result, message) }, [notes[result]]);
}

const lastOf = (
  seen: AppObserved,
  { id, kind, from, to, savepoint, startedAt }: AppUpgrade,
  result: LastUpgrade["result"],
  message?: string,
): LastUpgrade => ({
  ...{ id, kind, from, to, result, startedAt, endedAt: timeOf(seen) },
  ...(savepoint === undefined ? {} : { savepoint }),
  ...(message === undefined ? {} : { message }),
});
