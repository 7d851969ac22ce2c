// Which revision of a StreamJob should run, and what people asked of its revisions.
import { pinning, revisionsOf, type Target as ResourceTarget, targetOf as revisionFor } from "../resource/target.ts";
import { type Draft, statusOf } from "./draft.ts";
import type { Observed } from "./observed.ts";
import { newRevision, type Revision, revisionName } from "./revision.ts";

export type Target = ResourceTarget<Revision>;

export function targetOf(seen: Observed): Target {
  const { active, upgrade, currentRevision } = statusOf(seen);
  const last = upgrade?.to?.revision ?? active?.revision ?? currentRevision;
  return revisionFor(revisionsOf(seen.job, statusOf(seen), seen, revisionName), last, (number) =>
    newRevision(seen.job, number, seen.defaultImage ?? ""),
  );
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: Observed): Draft | undefined => pinning(revisionsOf(seen.job, statusOf(seen), seen, revisionName));
