// What people ask for while the job runs: savepoints, another parallelism, a new base of some state.
import { isMillraceError, messageOf } from "../../../base/errors.ts";
import { changedParallelism, slotsNeeded } from "./job-graph.ts";
import type { JobState } from "./job-state.ts";
import type { CoordinatorEvent, Failure } from "./types.ts";

type EventOf<K extends CoordinatorEvent["kind"]> = Extract<CoordinatorEvent, { readonly kind: K }>;

export function askSavepoint(job: JobState, { id, mode }: EventOf<"savepointAsked">): void {
  if (job.savepoints.has(id) || job.record.outcome !== undefined) return;
  job.savepoints.set(id, { intent: { id, mode } });
  job.change({ savepoints: [...job.record.savepoints, { id, mode }] });
}

export function askRescale(job: JobState, { requestId, job: wantedJob, vertices }: EventOf<"rescaleAsked">): void {
  const answer = (failure: Failure): void => job.emit({ kind: "answerRescale", requestId, result: failure });
  if (job.rescale !== undefined && isSame(job, wantedJob, vertices)) {
    job.rescale.requestIds.push(requestId);
    return;
  }
  const busy =
    job.rescale !== undefined || job.ending !== undefined || job.record.stopAsked || job.regions.some((one) => one.state !== "running");
  if (busy) {
    return answer({
      code: "JOB_NOT_RUNNING",
      message: "the job: is starting, stopping or being rescaled; wait until it runs, and ask again",
    });
  }
  try {
    const change = { ...(wantedJob === undefined ? {} : { job: wantedJob }), ...(vertices === undefined ? {} : { vertices }) };
    const wanted = changedParallelism(job.graph, job.record.parallelism, change);
    const missing = slotsNeeded(job.graph, wanted) - job.pool.present;
    if (missing > 0) {
      return answer({
        code: "SLOTS_MISSING",
        message: `parallelism: needs ${slotsNeeded(job.graph, wanted)} slots and ${job.pool.present} are there; start TaskManagers with ${missing} more slot${missing === 1 ? "" : "s"}, and ask again`,
      });
    }
    job.change({ parallelism: wanted });
    job.rescale = { requestIds: [requestId], checkpointId: 0, heldSinceMs: undefined };
  } catch (error) {
    answer({ code: isMillraceError(error) ? error.code : "INTERNAL", message: messageOf(error) });
  }
}

export function base(job: JobState, { uid, subtask }: EventOf<"baseDue">): void {
  for (const region of job.regions) {
    const slice = region.state === "running" ? region.sliceOf(uid, subtask) : undefined;
    if (slice === undefined || slice.state !== "running" || !job.pool.isConnected(slice.taskManagerId)) continue;
    job.command(slice.taskManagerId, slice.index, slice.id, { kind: "base", uid, subtask });
  }
}

function isSame(job: JobState, wantedJob: number | undefined, vertices: Readonly<Record<string, number>> = {}): boolean {
  const { parallelism } = job.record;
  return (
    (wantedJob ?? parallelism.job) === parallelism.job &&
    Object.entries(vertices).every(([uid, count]) => parallelism.vertices[uid] === count)
  );
}
