// A MicroBatchJob without a run: whether one should be started now, and which.
import type { ActiveBatchRun, BatchUpgrade, MicroBatchJobStatus, RestorePoint } from "millrace/api";
import { normal } from "../resource/draft.ts";
import { firstRun } from "../streamjob/names.ts";
import { oldRevisions, othersGone } from "./desired.ts";
import { act, type BatchDraft, pause, record, sinceMs, statusOf, timeOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import type { BatchRevision } from "./revision.ts";
import { type BatchSettings, batchSettingsOf } from "./settings.ts";
import type { BatchTarget } from "./target.ts";

/** Timers of this process are not asked for longer. */
const longestMs = 3_600_000;

export function waiting(seen: BatchObserved, target: BatchTarget): BatchDraft {
  const settings = batchSettingsOf(seen.job.spec);
  const { ended, retryAt, upgrade, ...rest } = statusOf(seen);
  // A manifest that is not valid starts nothing.
  if (target.kind !== "known" || seen.problem !== undefined) return tidy(seen, settings) ?? pause(seen);
  if (settings.suspend) {
    // What is suspended begins anew when it goes on.
    if (retryAt !== undefined || ended !== undefined)
      return record({ ...rest, ...(upgrade === undefined ? {} : { upgrade }), failures: 0 });
    return tidy(seen, settings) ?? pause(seen);
  }
  // Of the run before, what may still write has to be gone.
  if (!othersGone(seen, [])) return pause(seen, 1_000);
  if (ended !== undefined) return afterEnd(seen, target.revision, settings);
  if (retryAt !== undefined) {
    const leftMs = Date.parse(retryAt) - seen.nowMs;
    const changed = target.revision.name !== rest.currentRevision || askedAgain(seen, settings);
    if (leftMs > 0 && !changed) return tidy(seen, settings) ?? pause(seen, Math.min(longestMs, leftMs));
    return start(seen, target.revision, settings, {});
  }
  return settings.scheduled ? bySchedule(seen, target.revision, settings) : start(seen, target.revision, settings, {});
}

// The last run has ended for good: only a change of the manifest starts another.
function afterEnd(seen: BatchObserved, revision: BatchRevision, settings: BatchSettings): BatchDraft {
  const { ended, ...rest } = statusOf(seen);
  if (ended === undefined) return pause(seen);
  const again = revision.name !== ended.revision || askedAgain(seen, settings) || (ended.result === "Succeeded" && settings.scheduled);
  if (again) return record({ ...rest, failures: 0 });
  if (settings.timeToLiveMs !== undefined) {
    const leftMs = settings.timeToLiveMs - sinceMs(seen, ended.at);
    if (leftMs <= 0) return act(seen, { kind: "deleteSelf" });
    return tidy(seen, settings) ?? pause(seen, Math.min(longestMs, leftMs));
  }
  return tidy(seen, settings) ?? pause(seen);
}

const askedAgain = (seen: BatchObserved, { restartNonce, redeploy }: BatchSettings): boolean =>
  (restartNonce !== undefined && statusOf(seen).served?.restart !== restartNonce) ||
  (redeploy !== undefined && statusOf(seen).served?.redeploy !== redeploy.token);

function bySchedule(seen: BatchObserved, revision: BatchRevision, settings: BatchSettings): BatchDraft {
  const { missedMs, nextMs } = seen.due;
  const status = statusOf(seen);
  const nextScheduledAt = nextMs === undefined ? undefined : new Date(nextMs).toISOString();
  if (missedMs !== undefined) {
    const lastScheduledAt = new Date(missedMs).toISOString();
    const { startingDeadlineMs } = settings;
    if (startingDeadlineMs !== undefined && seen.nowMs - missedMs > startingDeadlineMs) {
      return record({ ...status, lastScheduledAt, nextScheduledAt }, [
        normal("RunMissed", `the run of ${lastScheduledAt} could not start within spec.schedule.startingDeadline and is left out`),
      ]);
    }
    return start(seen, revision, settings, { lastScheduledAt, nextScheduledAt });
  }
  if (status.nextScheduledAt !== nextScheduledAt) return record({ ...status, nextScheduledAt });
  return tidy(seen, settings) ?? pause(seen, nextMs === undefined ? undefined : Math.min(longestMs, Math.max(1, nextMs - seen.nowMs)));
}

interface ByClock {
  readonly lastScheduledAt?: string;
  readonly nextScheduledAt?: string | undefined;
}

function start(seen: BatchObserved, revision: BatchRevision, settings: BatchSettings, byClock: ByClock): BatchDraft {
  const { retryAt: _retry, resumeFrom, upgrade, ...rest } = statusOf(seen);
  const highest = Math.max(rest.run ?? firstRun(seen.job) - 1, ...seen.pods.map((pod) => pod.run));
  const run = highest + 1;
  const active: ActiveBatchRun = {
    run,
    revision: revision.name,
    restore: restoreOf(seen, run, settings, resumeFrom),
    phase: "starting",
    startedAt: timeOf(seen),
  };
  const change = changeOf(seen, revision, run, upgrade);
  const status: MicroBatchJobStatus = {
    ...rest,
    run,
    currentRevision: revision.name,
    active,
    ...(change === undefined ? {} : { upgrade: change }),
    served: {
      ...(settings.restartNonce === undefined ? {} : { restart: settings.restartNonce }),
      ...(settings.redeploy === undefined ? {} : { redeploy: settings.redeploy.token }),
    },
  };
  const why = byClock.lastScheduledAt === undefined ? "" : `, due at ${byClock.lastScheduledAt}`;
  return record({ ...status, ...byClock }, [normal("RunStarted", `run ${run} of revision ${revision.number} (${revision.name})${why}`)]);
}

function restoreOf(seen: BatchObserved, run: number, settings: BatchSettings, resumeFrom: RestorePoint | undefined): RestorePoint {
  const { served, run: before } = statusOf(seen);
  const { redeploy } = settings;
  const location = redeploy?.location ?? seen.job.spec.job.initialSavepoint;
  if (before === undefined) return { sinceRun: 0, ...(location === undefined ? {} : { location }) };
  if (redeploy !== undefined && served?.redeploy !== redeploy.token) return { sinceRun: run, location: redeploy.location };
  return resumeFrom ?? { sinceRun: 0 };
}

// A run of another revision than the last stable one is a change of version until it is stable.
function changeOf(seen: BatchObserved, revision: BatchRevision, run: number, before: BatchUpgrade | undefined): BatchUpgrade | undefined {
  if (before !== undefined && before.to === revision.name) return before;
  const { stableRevision, pinned } = statusOf(seen);
  if (stableRevision === undefined || stableRevision === revision.name) return undefined;
  const id = `${(seen.job.metadata.uid ?? "").replaceAll("-", "").slice(0, 8)}-${run}-upgrade`;
  const kind = pinned?.revision === revision.name ? "rollback" : "upgrade";
  return { id, kind, from: stableRevision, to: revision.name, startedAt: timeOf(seen) };
}

/** Revisions beyond the limit. */
export function tidy(seen: BatchObserved, settings: BatchSettings): BatchDraft | undefined {
  const old = oldRevisions(seen, settings.revisionHistoryLimit);
  if (old.length === 0) return undefined;
  return act(seen, { kind: "delete", targets: old.map(({ name }) => ({ kind: "ControllerRevision" as const, name, uid: "" })) });
}
