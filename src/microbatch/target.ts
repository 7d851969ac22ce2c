// Which revision of a MicroBatchJob should run: the manifest's, unless it was rolled back or is not valid.
import { normal, warning } from "../streamjob/draft.ts";
import { rollbackAnnotation } from "../streamjob/names.ts";
import { type BatchDraft, record, statusOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { type BatchRevision, batchRevisionName, newBatchRevision } from "./revision.ts";

export type BatchTarget =
  | { readonly kind: "known"; readonly revision: BatchRevision }
  /** It has to be kept as a ControllerRevision first. */
  | { readonly kind: "new"; readonly revision: BatchRevision }
  /** The manifest is not valid and nothing ran before. */
  | { readonly kind: "none" };

const wantedName = ({ job }: BatchObserved): string => batchRevisionName(job.metadata.name, job.spec);

export function targetOf(seen: BatchObserved): BatchTarget {
  const { job, revisions, problem, defaultImage } = seen;
  const { pinned, active, currentRevision } = statusOf(seen);
  const find = (name: string | undefined): BatchRevision | undefined => revisions.find((revision) => revision.name === name);
  if (problem !== undefined) {
    // The last good one goes on.
    const last = find(active?.revision ?? currentRevision);
    return last === undefined ? { kind: "none" } : { kind: "known", revision: last };
  }
  const wanted = wantedName(seen);
  const revision = find(pinned?.insteadOf === wanted ? pinned.revision : wanted) ?? find(wanted);
  if (revision !== undefined) return { kind: "known", revision };
  const number = Math.max(0, ...revisions.map((one) => one.number)) + 1;
  return { kind: "new", revision: newBatchRevision(job, number, defaultImage ?? "") };
}

/** A pin ends when the manifest asks for another revision than the one that was rolled back. */
export function unpin(seen: BatchObserved): BatchDraft | undefined {
  const { pinned, ...rest } = statusOf(seen);
  if (pinned === undefined || seen.problem !== undefined || pinned.insteadOf === wantedName(seen)) return undefined;
  return record(rest, [normal("RollbackEnded", `the manifest asks for another revision than ${pinned.insteadOf}, which was rolled back`)]);
}

/** `kubectl annotate microbatchjob NAME millrace.dev/rollback-to=REVISION`: recorded in the status, then the annotation is taken away. */
export function requestedRollback(seen: BatchObserved): BatchDraft | undefined {
  const asked = seen.job.metadata.annotations?.[rollbackAnnotation];
  if (asked === undefined) return undefined;
  const drop: BatchDraft = { status: statusOf(seen), step: { kind: "dropAnnotation", name: rollbackAnnotation } };
  const wanted = wantedName(seen);
  const { pinned, ...rest } = statusOf(seen);
  const revision = resolve(seen, asked);
  if (revision === undefined) {
    const known = seen.revisions.map(({ name, number }) => `${number} (${name})`).join(", ");
    return { ...drop, events: [warning("RollbackUnknown", `there is no revision "${asked}" to roll back to; there are ${known}`)] };
  }
  if (revision.name === wanted) return pinned === undefined ? drop : record(rest);
  if (pinned?.revision === revision.name && pinned.insteadOf === wanted) return drop;
  const message = `revision ${revision.number} (${revision.name}) was asked for by annotation`;
  return record({ ...rest, pinned: { revision: revision.name, insteadOf: wanted, reason: "RollbackRequested", message } }, [
    normal("RollbackRequested", message),
  ]);
}

// A revision's name or number, `stable`, or `previous`.
function resolve(seen: BatchObserved, asked: string): BatchRevision | undefined {
  const { currentRevision, stableRevision } = statusOf(seen);
  const find = (name: string | undefined): BatchRevision | undefined => seen.revisions.find((revision) => revision.name === name);
  if (asked === "stable") return find(stableRevision);
  if (asked === "previous") {
    if (stableRevision !== undefined && stableRevision !== currentRevision) return find(stableRevision);
    const current = find(currentRevision);
    return seen.revisions.findLast((revision) => revision.number < (current?.number ?? 0));
  }
  return find(asked) ?? seen.revisions.find(({ number }) => String(number) === asked);
}
