// Which revision of an EmbeddedStreamApp should run, and what people asked of its revisions.
import { pinning, revisionsOf, type Target, targetOf as revisionFor } from "../resource/target.ts";
import { type AppDraft, type AppObserved, statusOf } from "./observed.ts";
import { type AppRevision, appRevisionName, newAppRevision } from "./revision.ts";

export function targetOf(seen: AppObserved): Target<AppRevision> {
  const { upgrade, currentRevision } = statusOf(seen);
  return revisionFor(revisionsOf(seen.app, statusOf(seen), seen, appRevisionName), upgrade?.to ?? currentRevision, (number) =>
    newAppRevision(seen.app, number),
  );
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: AppObserved): AppDraft | undefined => pinning(revisionsOf(seen.app, statusOf(seen), seen, appRevisionName));
