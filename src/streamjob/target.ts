// Which revision of a StreamJob should run, and what people asked of its revisions.
import type { StreamJobStatus } from "millrace/api";
import { pinning, type RevisionsSeen, type Target as ResourceTarget, targetOf as revisionOf } from "../resource/target.ts";
import { type Draft, statusOf } from "./draft.ts";
import type { Observed } from "./observed.ts";
import { newRevision, type Revision, revisionName } from "./revision.ts";

export type Target = ResourceTarget<Revision>;

export function targetOf(seen: Observed): Target {
  const { active, upgrade, currentRevision } = statusOf(seen);
  const last = upgrade?.to?.revision ?? active?.revision ?? currentRevision;
  return revisionOf(revisionsOf(seen), last, (number) => newRevision(seen.job, number, seen.defaultImage ?? ""));
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: Observed): Draft | undefined => pinning(revisionsOf(seen));

const revisionsOf = (seen: Observed): RevisionsSeen<StreamJobStatus, Revision> => ({
  status: statusOf(seen),
  revisions: seen.revisions,
  wanted: revisionName(seen.job.metadata.name, seen.job.spec),
  problem: seen.problem,
  annotations: seen.job.metadata.annotations,
});
