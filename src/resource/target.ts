// Which revision of a resource should run: the manifest's, unless it was rolled back or is not valid.
import type { PinnedRevision } from "millrace/api";
import type { ObjectMeta } from "../ports/objects.ts";
import type { Built } from "./built.ts";
import { type CommonStep, type Draft, normal, record, warning } from "./draft.ts";
import { rollbackAnnotation } from "./names.ts";

export interface AnyRevision {
  readonly name: string;
  readonly number: number;
}

export interface RevisionStatus {
  readonly pinned?: PinnedRevision;
  readonly currentRevision?: string;
  readonly stableRevision?: string;
}

/** What is known of a resource's revisions. */
export interface RevisionsSeen<S extends RevisionStatus, R extends AnyRevision> {
  readonly status: S;
  /** Oldest first. */
  readonly revisions: readonly R[];
  /** The name of the revision that the manifest asks for. */
  readonly wanted: string;
  /** What is wrong with the manifest. */
  readonly problem: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** The same of every kind. `nameOf` makes the name of the revision that a spec asks for. */
export const revisionsOf = <Spec extends object, S extends RevisionStatus, R extends AnyRevision>(
  { metadata, spec }: { readonly metadata: ObjectMeta; readonly spec: Spec },
  status: S,
  { revisions, problem, built }: { readonly revisions: readonly R[]; readonly problem: string | undefined; readonly built: Built },
  nameOf: (resource: string, spec: Spec) => string,
): RevisionsSeen<S, R> => ({
  status,
  revisions,
  wanted: built.of("revision", [metadata.name, metadata.uid, metadata.generation ?? spec], () => nameOf(metadata.name, spec)),
  problem,
  annotations: metadata.annotations,
});

export type Target<R extends AnyRevision> =
  | { readonly kind: "known"; readonly revision: R }
  /** It has to be kept as a ControllerRevision first. */
  | { readonly kind: "new"; readonly revision: R }
  /** The manifest is not valid and nothing ran before. */
  | { readonly kind: "none" };

/** `last`: the revision that goes on, and is kept healthy, while the manifest is not valid. */
export function targetOf<S extends RevisionStatus, R extends AnyRevision>(
  { status: { pinned }, revisions, wanted, problem }: RevisionsSeen<S, R>,
  last: string | undefined,
  make: (number: number) => R,
): Target<R> {
  const find = (name: string | undefined): R | undefined => revisions.find((revision) => revision.name === name);
  if (problem !== undefined) {
    const revision = find(last);
    return revision === undefined ? { kind: "none" } : { kind: "known", revision };
  }
  const revision = find(pinned?.insteadOf === wanted ? pinned.revision : wanted) ?? find(wanted);
  if (revision !== undefined) return { kind: "known", revision };
  return { kind: "new", revision: make(Math.max(0, ...revisions.map(({ number }) => number)) + 1) };
}

/** What people asked of the revisions beside the manifest, and what has become void. */
export const pinning = <S extends RevisionStatus, R extends AnyRevision>(seen: RevisionsSeen<S, R>): Draft<S, CommonStep> | undefined =>
  requestedRollback(seen) ?? unpin(seen);

// A pin ends when the manifest asks for another revision than the one that was rolled back.
function unpin<S extends RevisionStatus, R extends AnyRevision>({
  status,
  problem,
  wanted,
}: RevisionsSeen<S, R>): Draft<S, CommonStep> | undefined {
  const { pinned } = status;
  if (pinned === undefined || problem !== undefined || pinned.insteadOf === wanted) return undefined;
  const message = `the manifest asks for another revision than ${pinned.insteadOf}, which was rolled back`;
  return record<S>({ ...status, pinned: undefined }, [normal("RollbackEnded", message)]);
}

// `kubectl annotate KIND NAME millrace.dev/rollback-to=REVISION`: recorded in the status, then the annotation is taken away.
function requestedRollback<S extends RevisionStatus, R extends AnyRevision>(seen: RevisionsSeen<S, R>): Draft<S, CommonStep> | undefined {
  const { status, revisions, wanted } = seen;
  const asked = seen.annotations?.[rollbackAnnotation];
  if (asked === undefined) return undefined;
  const drop: Draft<S, CommonStep> = { status, step: { kind: "dropAnnotation", name: rollbackAnnotation } };
  const { pinned } = status;
  const revision = resolve(seen, asked);
  if (revision === undefined) {
    const known = revisions.map(({ name, number }) => `${number} (${name})`).join(", ");
    return { ...drop, events: [warning("RollbackUnknown", `there is no revision "${asked}" to roll back to; there are ${known}`)] };
  }
  if (revision.name === wanted) return pinned === undefined ? drop : record<S>({ ...status, pinned: undefined });
  if (pinned?.revision === revision.name && pinned.insteadOf === wanted) return drop;
  const message = `revision ${revision.number} (${revision.name}) was asked for by annotation`;
  const pin: PinnedRevision = { revision: revision.name, insteadOf: wanted, reason: "RollbackRequested", message };
  return record<S>({ ...status, pinned: pin }, [normal("RollbackRequested", message)]);
}

// A revision's name or number, `stable`, or `previous`.
function resolve<S extends RevisionStatus, R extends AnyRevision>(
  { status, revisions }: RevisionsSeen<S, R>,
  asked: string,
): R | undefined {
  const { currentRevision, stableRevision } = status;
  const find = (name: string | undefined): R | undefined => revisions.find((revision) => revision.name === name);
  if (asked === "stable") return find(stableRevision);
  if (asked === "previous") {
    if (stableRevision !== undefined && stableRevision !== currentRevision) return find(stableRevision);
    const current = find(currentRevision);
    return revisions.findLast(({ number }) => number < (current?.number ?? 0));
  }
  return find(asked) ?? revisions.find(({ number }) => String(number) === asked);
}
