// Which revision should run: the manifest's, unless it was rolled back or is not valid.
import { type Draft, normal, record, statusOf, warning } from "./draft.ts";
import { rollbackAnnotation } from "./names.ts";
import type { Observed } from "./observed.ts";
import { newRevision, type Revision, revisionName } from "./revision.ts";

export type Target =
  | { readonly kind: "known"; readonly revision: Revision }
  /** It has to be kept as a ControllerRevision first. */
  | { readonly kind: "new"; readonly revision: Revision }
  /** The manifest is not valid and nothing ran before. */
  | { readonly kind: "none" };

export function targetOf(seen: Observed): Target {
  const { job, revisions, problem, defaultImage } = seen;
  const { pinned, active, upgrade } = statusOf(seen);
  const find = (name: string | undefined): Revision | undefined => revisions.find((revision) => revision.name === name);
  if (problem !== undefined) {
    // The last good one goes on, and is kept healthy.
    const last = find(upgrade?.to?.revision ?? active?.revision ?? statusOf(seen).currentRevision);
    return last === undefined ? { kind: "none" } : { kind: "known", revision: last };
  }
  const wanted = revisionName(job.metadata.name, job.spec);
  const revision = find(pinned?.insteadOf === wanted ? pinned.revision : wanted) ?? find(wanted);
  if (revision !== undefined) return { kind: "known", revision };
  const number = Math.max(0, ...revisions.map((one) => one.number)) + 1;
  return { kind: "new", revision: newRevision(job, number, defaultImage ?? "") };
}

/** A pin ends when the manifest asks for another revision than the one that was rolled back. */
export function unpin(seen: Observed): Draft | undefined {
  const { pinned, ...rest } = statusOf(seen);
  if (pinned === undefined || seen.problem !== undefined) return undefined;
  if (pinned.insteadOf === revisionName(seen.job.metadata.name, seen.job.spec)) return undefined;
  return record(rest, [normal("RollbackEnded", `the manifest asks for another revision than ${pinned.insteadOf}, which was rolled back`)]);
}

/** `kubectl annotate streamjob NAME millrace.dev/rollback-to=REVISION`: recorded in the status, then the annotation is taken away. */
export function requestedRollback(seen: Observed): Draft | undefined {
  const asked = seen.job.metadata.annotations?.[rollbackAnnotation];
  if (asked === undefined) return undefined;
  const drop: Draft = { status: statusOf(seen), step: { kind: "dropAnnotation", name: rollbackAnnotation } };
  const wanted = revisionName(seen.job.metadata.name, seen.job.spec);
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
function resolve(seen: Observed, asked: string): Revision | undefined {
  const { currentRevision, stableRevision } = statusOf(seen);
  const find = (name: string | undefined): Revision | undefined => seen.revisions.find((revision) => revision.name === name);
  if (asked === "stable") return find(stableRevision);
  if (asked === "previous") {
    if (stableRevision !== undefined && stableRevision !== currentRevision) return find(stableRevision);
    const current = find(currentRevision);
    return seen.revisions.findLast((revision) => revision.number < (current?.number ?? 0));
  }
  return find(asked) ?? seen.revisions.find(({ number }) => String(number) === asked);
}
