// Which revision of a MicroBatchJob should run, and what people asked of its revisions.
import { pinning, revisionsOf, type Target, targetOf as revisionFor } from "../resource/target.ts";
import { type BatchDraft, statusOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { type BatchRevision, batchRevisionName, newBatchRevision } from "./revision.ts";

export type BatchTarget = Target<BatchRevision>;

export function targetOf(seen: BatchObserved): BatchTarget {
  const { active, currentRevision } = statusOf(seen);
  const last = active?.revision ?? currentRevision;
  return revisionFor(revisionsOf(seen.job, statusOf(seen), seen, batchRevisionName), last, (number) =>
    newBatchRevision(seen.job, number, seen.defaultImage ?? ""),
  );
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: BatchObserved): BatchDraft | undefined =>
  pinning(revisionsOf(seen.job, statusOf(seen), seen, batchRevisionName));
