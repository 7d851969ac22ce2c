// A job that nothing is in progress for: what the manifest asks that is not so yet.
import type { StreamJobStatus } from "millrace/api";
import { begin } from "./begin.ts";
import { type Draft, pause, record, reportOf, sinceMs, statusOf } from "./draft.ts";
import { withoutUndefined } from "../resource/draft.ts";
import { brokenPods } from "./health.ts";
import { oldRevisions } from "./desired.ts";
import type { Observed } from "./observed.ts";
import { decideRescale } from "./rescale.ts";
import { needsNewRun, type Revision } from "./revision.ts";
import { dueSavepoint, nextDueMs } from "./savepoint-schedule.ts";
import { type Settings, settingsOf } from "./settings.ts";
import type { Target } from "./target.ts";

/** An operation that failed is not begun again before. */
const againMs = 60_000;
/** A JobManager that crashes for so long gets pods of a new run, elsewhere perhaps. */
const recoverMs = 5 * 60_000;

export function idle(seen: Observed, target: Target): Draft {
  const status = statusOf(seen);
  const { active, rescale } = status;
  const settings = settingsOf(seen.job.spec);
  if (target.kind !== "known") return pause(seen);
  // A manifest that is not valid keeps alive what runs; it starts nothing.
  if (active === undefined) return settings.suspend || seen.problem !== undefined ? pause(seen) : deploy(seen, target.revision, settings);
  const failedLately = status.lastUpgrade?.result === "Failed" && sinceMs(seen, status.lastUpgrade.endedAt) < againMs;
  if (settings.suspend && seen.problem === undefined) return failedLately ? pause(seen, againMs) : suspend(seen, settings);
  if (seen.problem === undefined) {
    const change = changeOf(seen, target.revision, settings);
    if (change !== undefined) return failedLately && status.lastUpgrade?.kind !== "upgrade" ? pause(seen, againMs) : change;
    if (rescale !== undefined) return decideRescale(seen, rescale, settings);
    if (settings.parallelism !== active.parallelism && active.phase === "stable" && !failedLately)
      return decideRescale(seen, undefined, settings);
    const savepoint = dueSavepoint(seen, settings);
    if (savepoint !== undefined) return savepoint;
  }
  return recover(seen, target.revision) ?? finish(seen) ?? tidy(seen, settings) ?? resting(seen, settings);
}

function deploy(seen: Observed, revision: Revision, settings: Settings): Draft {
  const { resumeFrom, served } = statusOf(seen);
  const { redeploy, restartNonce, savepointNonce } = settings;
  const location = redeploy?.location ?? seen.job.spec.job.initialSavepoint;
  const first = { sinceRun: 0, ...(location === undefined ? {} : { location }) };
  const nonces = withoutUndefined({
    ...(restartNonce === undefined ? {} : { restart: restartNonce }),
    ...(savepointNonce === undefined ? {} : { savepoint: savepointNonce }),
    ...(redeploy === undefined ? {} : { redeploy: redeploy.token }),
  });
  const redeployed = redeploy !== undefined && served?.redeploy !== redeploy.token && resumeFrom !== undefined;
  return begin(seen, {
    kind: "deploy",
    revision,
    mode: "given",
    restore: redeployed ? { sinceRun: (statusOf(seen).run ?? 0) + 1, location: redeploy.location } : (resumeFrom ?? first),
    // What the manifest says from the start asks for nothing beyond the start.
    also: { served: nonces },
    message: `revision ${revision.number} (${revision.name}) is deployed`,
  });
}

function suspend(seen: Observed, { mode }: Settings): Draft {
  return begin(seen, { kind: "suspend", mode, message: "spec.suspend is true" });
}

// The changes that need a new run, or that the present one takes over.
function changeOf(seen: Observed, revision: Revision, settings: Settings): Draft | undefined {
  const status = statusOf(seen);
  const { active, served = {}, pinned } = status;
  if (active === undefined) return undefined;
  const { redeploy, mode, restartNonce } = settings;
  const parallelism = active.parallelism;
  if (redeploy !== undefined && served.redeploy !== redeploy.token) {
    return begin(seen, {
      kind: "redeploy",
      revision,
      mode: "given",
      restore: { sinceRun: (status.run ?? 0) + 1, location: redeploy.location },
      also: { served: { ...served, redeploy: redeploy.token } },
      message: `starting again from ${redeploy.location}`,
    });
  }
  if (revision.name !== active.revision) {
    const current = seen.revisions.find(({ name }) => name === active.revision);
    if (current !== undefined && !needsNewRun(current.spec, revision.spec)) {
      const stable = active.phase === "stable" ? { stableRevision: revision.name } : {};
      return record({ ...status, active: { ...active, revision: revision.name }, currentRevision: revision.name, ...stable });
    }
    const back = pinned !== undefined && pinned.revision === revision.name;
    return begin(seen, {
      kind: back ? "rollback" : "upgrade",
      revision,
      parallelism: back ? parallelism : settings.parallelism,
      mode,
      also: restartNonce === undefined ? {} : { served: { ...served, restart: restartNonce } },
      message: `from revision ${active.revision} to ${revision.number} (${revision.name})`,
    });
  }
  if (restartNonce !== undefined && served.restart !== restartNonce) {
    return begin(seen, {
      kind: "restart",
      revision,
      parallelism,
      mode: mode === "stateless" ? "stateless" : mode,
      also: { served: { ...served, restart: restartNonce } },
      message: "spec.restartNonce has changed",
    });
  }
  return undefined;
}

function recover(seen: Observed, revision: Revision): Draft | undefined {
  const { active, lastUpgrade, conditions = [] } = statusOf(seen);
  if (active === undefined || active.phase !== "stable") return undefined;
  const broken = brokenPods(seen, active.run);
  if (broken === undefined) return undefined;
  const since = conditions.find(({ type, status, reason }) => type === "Degraded" && status === "True" && reason === broken.reason);
  const forMs = since === undefined ? 0 : sinceMs(seen, since.lastTransitionTime);
  const lately = lastUpgrade?.kind === "recover" && sinceMs(seen, lastUpgrade.endedAt) < 2 * recoverMs;
  if (forMs < recoverMs || lately) return pause(seen, 15_000, broken);
  return begin(seen, {
    kind: "recover",
    revision,
    parallelism: active.parallelism,
    mode: "last-state",
    message: `${broken.message}; new pods start from the newest checkpoint`,
  });
}

// A bounded job that has read all its input needs no pods any more.
function finish(seen: Observed): Draft | undefined {
  const status = statusOf(seen);
  const { active } = status;
  if (active === undefined || active.phase === "finished" || reportOf(seen, active.run)?.state !== "finished") return undefined;
  const done: StreamJobStatus = { ...status, active: { ...active, phase: "finished" } };
  return record(done, [{ type: "Normal", reason: "Finished", message: "the job has read all of its input" }]);
}

function tidy(seen: Observed, { revisionHistoryLimit }: Settings): Draft | undefined {
  const old = oldRevisions(seen, revisionHistoryLimit);
  if (old.length === 0) return undefined;
  const targets = old.map(({ name }) => ({ kind: "ControllerRevision" as const, name, uid: "" }));
  return { ...pause(seen), step: { kind: "delete", targets } };
}

function resting(seen: Observed, settings: Settings): Draft {
  const { active } = statusOf(seen);
  if (active === undefined || active.phase === "finished") return pause(seen);
  const report = reportOf(seen, active.run);
  const asked = seen.reports.get(active.run);
  if (report?.state === "failed") return pause(seen, undefined, { reason: "JobFailed", message: report.lastFailure ?? "the job failed" });
  // Closer looks while it is not well.
  if (asked !== undefined && asked.kind !== "unasked" && report?.state !== "running") return pause(seen, 2_000);
  return pause(seen, nextDueMs(seen, settings));
}
