// A run that is to end: with a savepoint behind its batch, behind its batch, or at once. Bounded: a driver that does not answer is ended from outside.
import type { ActiveBatchRun, BatchStop } from "millrace/api";
import { warning } from "../resource/draft.ts";
import { act, type BatchDraft, driverPod, pause, record, reportOf, sinceMs, statusOf, timeOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { batchSettingsOf } from "./settings.ts";

const pollMs = 250;
/** A driver that does not answer for so long is ended from outside; nothing is lost, its batch is run again. */
const silentMs = 30_000;

export function stopping(seen: BatchObserved, active: ActiveBatchRun, stop: BatchStop): BatchDraft {
  const { deletionTimeoutMs, savepointTimeoutMs, stopMode } = batchSettingsOf(seen.job.spec);
  const limitMs = stop.reason === "delete" ? deletionTimeoutMs : savepointTimeoutMs;
  const pod = driverPod(seen, active.run);
  // It never came to be, or was never seen: what is left of it goes with the run.
  if (pod === undefined) return end(seen, active);
  if (pod.deleting) return pause(seen, 1_000);
  const report = reportOf(seen);
  const overdue = sinceMs(seen, stop.since) > limitMs;
  if (!pod.running || overdue) return ended(seen, active, stop, overdue);
  if (report === undefined) return silent(seen, active, stop);
  if (active.silentSince !== undefined) {
    const { silentSince: _answers, ...rest } = active;
    return record({ ...statusOf(seen), active: rest });
  }
  if (stop.savepointId !== undefined && stop.savepoint === undefined) return saving(seen, active, stop, stop.savepointId, report.state);
  // A savepoint has ended it, or it has heard already.
  if (stop.savepoint !== undefined || report.state !== "running") return pause(seen, pollMs);
  if (seen.refused !== undefined) return pause(seen, 1_000);
  return act(seen, { kind: "stop", run: active.run, mode: stopMode });
}

function saving(seen: BatchObserved, active: ActiveBatchRun, stop: BatchStop, id: string, state: string): BatchDraft {
  const known = seen.savepoint.kind === "answer" ? seen.savepoint.answer : undefined;
  if (known?.phase === "completed" && known.location !== undefined)
    return record({ ...statusOf(seen), active: { ...active, stop: { ...stop, savepoint: known.location } } });
  if (known?.phase === "failed") return without(seen, active, stop, known.failure ?? "the savepoint failed");
  if (seen.refused !== undefined) return without(seen, active, stop, seen.refused);
  if (seen.savepoint.kind === "answer" && known === undefined && state === "running")
    return act(seen, { kind: "stopWithSavepoint", run: active.run, id });
  return pause(seen, pollMs);
}

// The newest checkpoint is exactly as far: every batch ends with one.
function without(seen: BatchObserved, active: ActiveBatchRun, { savepointId: _id, ...stop }: BatchStop, problem: string): BatchDraft {
  return record({ ...statusOf(seen), active: { ...active, stop: { ...stop, problem: problem.slice(0, 1000) } } }, [
    warning("SavepointFailed", `${problem}; going on from the newest checkpoint`),
  ]);
}

function silent(seen: BatchObserved, active: ActiveBatchRun, stop: BatchStop): BatchDraft {
  if (active.silentSince === undefined) return record({ ...statusOf(seen), active: { ...active, silentSince: timeOf(seen) } });
  return sinceMs(seen, active.silentSince) < silentMs ? pause(seen, 1_000) : ended(seen, active, stop, true);
}

// From outside: its process hears SIGTERM, and after its grace SIGKILL.
function ended(seen: BatchObserved, active: ActiveBatchRun, stop: BatchStop, late: boolean): BatchDraft {
  if (late && stop.savepointId !== undefined && stop.savepoint === undefined)
    return without(seen, active, stop, "the driver did not end in time");
  const pod = driverPod(seen, active.run);
  return pod === undefined ? pause(seen, pollMs) : act(seen, { kind: "delete", targets: [{ kind: "Pod", name: pod.name, uid: pod.uid }] });
}

function end(seen: BatchObserved, active: ActiveBatchRun): BatchDraft {
  // Marked as seen, so that its absence is its end.
  return record({ ...statusOf(seen), active: { ...active, driver: active.driver ?? "none" } });
}
