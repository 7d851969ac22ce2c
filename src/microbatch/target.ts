// Which revision of a MicroBatchJob should run, and what people asked of its revisions.
import type { MicroBatchJobStatus } from "millrace/api";
import { pinning, type RevisionsSeen, type Target, targetOf as revisionOf } from "../resource/target.ts";
import { type BatchDraft, statusOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { type BatchRevision, batchRevisionName, newBatchRevision } from "./revision.ts";

export type BatchTarget = Target<BatchRevision>;

export function targetOf(seen: BatchObserved): BatchTarget {
  const { active, currentRevision } = statusOf(seen);
  const last = active?.revision ?? currentRevision;
  return revisionOf(revisionsOf(seen), last, (number) => newBatchRevision(seen.job, number, seen.defaultImage ?? ""));
}

/** A rollback that was asked for, and a pin that has ended. */
export const pinned = (seen: BatchObserved): BatchDraft | undefined => pinning(revisionsOf(seen));

const revisionsOf = (seen: BatchObserved): RevisionsSeen<MicroBatchJobStatus, BatchRevision> => ({
  status: statusOf(seen),
  revisions: seen.revisions,
  wanted: batchRevisionName(seen.job.metadata.name, seen.job.spec),
  problem: seen.problem,
  annotations: seen.job.metadata.annotations,
});
