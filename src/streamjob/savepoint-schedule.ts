// Savepoints that the operator takes by itself: by interval, and when the nonce changes; and which of them are kept.
import { typeOf } from "../ports/kind-table.ts";
import type { Savepoint } from "../ports/objects.ts";
import { act, type Draft, record, statusOf, time } from "./draft.ts";
import { jobLabels, keyOfJob } from "./names.ts";
import { digest, shortName } from "../resource/names.ts";
import type { Observed } from "./observed.ts";
import type { Settings } from "./settings.ts";

export const triggerAnnotation = "millrace.dev/trigger";

export function dueSavepoint(seen: Observed, settings: Settings): Draft | undefined {
  const status = statusOf(seen);
  const { savepoints = {}, active, served = {} } = status;
  if (active?.phase !== "stable") return undefined;
  const { pending, ...others } = savepoints;
  if (pending !== undefined) {
    if (seen.savepoints.some(({ metadata }) => metadata.name === pending.name)) {
      const scheduled = pending.trigger === "schedule" ? { lastScheduledAt: scheduledAt(seen, savepoints.lastScheduledAt, settings) } : {};
      return record({ ...status, savepoints: { ...others, ...scheduled } });
    }
    return act(seen, { kind: "createSavepoint", object: savepointObject(seen, pending.name, pending.trigger) });
  }
  const name = seen.job.metadata.name;
  const { savepointNonce: nonce, savepointIntervalMs: intervalMs } = settings;
  if (nonce !== undefined && served.savepoint !== nonce) {
    const id = digest(`${seen.job.metadata.uid ?? ""} ${nonce}`).slice(0, 8);
    const pendingOne = { name: shortName(name, "nonce", id), trigger: "nonce" as const };
    return record({ ...status, served: { ...served, savepoint: nonce }, savepoints: { ...savepoints, pending: pendingOne } });
  }
  if (intervalMs !== undefined) {
    if (savepoints.lastScheduledAt === undefined)
      return record({ ...status, savepoints: { ...savepoints, lastScheduledAt: time(seen.nowMs) } });
    if (seen.nowMs >= Date.parse(savepoints.lastScheduledAt) + intervalMs) {
      const id = Math.floor(seen.nowMs / 1000).toString(36);
      return record({ ...status, savepoints: { ...savepoints, pending: { name: shortName(name, "at", id), trigger: "schedule" } } });
    }
  }
  return retention(seen, settings);
}

/** When the next one by schedule is due, ms from now. */
export function nextDueMs(seen: Observed, { savepointIntervalMs }: Settings): number | undefined {
  const last = statusOf(seen).savepoints?.lastScheduledAt;
  if (savepointIntervalMs === undefined || last === undefined) return undefined;
  return Math.max(1_000, Date.parse(last) + savepointIntervalMs - seen.nowMs);
}

// Whole intervals after the last, so that they do not drift; and not in the past, so that none are made up for.
function scheduledAt(seen: Observed, last: string | undefined, { savepointIntervalMs: intervalMs = 60_000 }: Settings): string {
  const lastMs = last === undefined ? seen.nowMs : Date.parse(last);
  return time(lastMs + Math.max(1, Math.floor((seen.nowMs - lastMs) / intervalMs)) * intervalMs);
}

function savepointObject(seen: Observed, name: string, trigger: "schedule" | "nonce"): Savepoint {
  const job = seen.job.metadata.name;
  return {
    ...typeOf("Savepoint"),
    metadata: { name, namespace: keyOfJob(seen.job).namespace, labels: jobLabels(job), annotations: { [triggerAnnotation]: trigger } },
    spec: { job, disposal: "Delete" },
  };
}

// Those that the operator took; the newest is always kept, and so is what the job was last started from.
function retention(seen: Observed, { retainedCount, retainedAgeMs }: Settings): Draft | undefined {
  const { active, resumeFrom, upgrade } = statusOf(seen);
  const used = new Set([active?.restore.location, resumeFrom?.location, upgrade?.savepoint]);
  const mine = seen.savepoints
    .filter(
      ({ status, metadata }) => status?.phase === "Completed" && status.trigger !== "user" && metadata.deletionTimestamp === undefined,
    )
    .sort((a, b) => madeAt(b) - madeAt(a));
  const old = mine.filter(
    (savepoint, index) =>
      index > 0 &&
      !used.has(savepoint.status?.location) &&
      (index >= retainedCount || (retainedAgeMs !== undefined && seen.nowMs - madeAt(savepoint) > retainedAgeMs)),
  );
  if (old.length === 0) return undefined;
  return act(seen, {
    kind: "delete",
    targets: old.map(({ metadata }) => ({ kind: "Savepoint", name: metadata.name, uid: metadata.uid ?? "" })),
  });
}

const madeAt = ({ status }: Savepoint): number => Date.parse(status?.completedAt ?? "") || 0;
