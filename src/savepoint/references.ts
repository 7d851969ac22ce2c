// Whether a job still needs a savepoint's files: what it was started from, what it would be started from, what it is asked to start from.
import type { ObjectCache } from "../controller/object-cache.ts";
import type { Savepoint, StreamJob } from "../ports/objects.ts";

export function isReferenced(savepoint: Savepoint, cache: ObjectCache): boolean {
  const location = savepoint.status?.location;
  if (location === undefined) return false;
  for (const job of cache.informer("StreamJob").all()) if (refersTo(job, location)) return true;
  for (const other of cache.informer("Savepoint").all()) {
    const same = other.metadata.uid === savepoint.metadata.uid;
    if (!same && other.status?.location === location && other.metadata.deletionTimestamp === undefined) return true;
  }
  return false;
}

function refersTo({ spec, status = {} }: StreamJob, location: string): boolean {
  const { active, resumeFrom, upgrade } = status;
  // Once a run has completed a checkpoint of its own it does not go back to what it was started from.
  const started = active?.phase === "starting" ? active.restore.location : undefined;
  return [
    started,
    resumeFrom?.location,
    upgrade?.savepoint,
    upgrade?.restore?.location,
    spec.job.initialSavepoint,
    spec.upgrade?.redeploy?.location,
  ].includes(location);
}
