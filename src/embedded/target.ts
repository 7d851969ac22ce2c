// Which revision of an EmbeddedStreamApp should run, and what people asked of its revisions.
import type { EmbeddedStreamAppStatus } from "millrace/api";
import { pinning, type RevisionsSeen, type Target, targetOf as revisionOf } from "../resource/target.ts";
import { type AppDraft, type AppObserved, statusOf } from "./observed.ts";
import { type AppRevision, appRevisionName, newAppRevision } from "./revision.ts";

export function targetOf(seen: AppObserved): Target<AppRevision> {
  const { upgrade, currentRevision } = statusOf(seen);
  return revisionOf(revisionsOf(seen), upgrade?.to ?? currentRevision, (number) => newAppRevision(seen.app, number));
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: AppObserved): AppDraft | undefined => pinning(revisionsOf(seen));

const revisionsOf = (seen: AppObserved): RevisionsSeen<EmbeddedStreamAppStatus, AppRevision> => ({
  status: statusOf(seen),
  revisions: seen.revisions,
  wanted: appRevisionName(seen.app.metadata.name, seen.app.spec),
  problem: seen.problem,
  annotations: seen.app.metadata.annotations,
});
