// May this job start from this snapshot? Decided before anything starts, from the manifest and the plan alone.
import { MillraceError } from "../../base/errors.ts";
import type { Manifest } from "../format/manifest.ts";

/** What the check needs to know of an operator, source or sink of the job. */
export interface JobNode {
  readonly uid: string;
  /** The operator's name in the plan. */
  readonly kind: string;
}

export interface RestoreOptions {
  /** Start although state of the snapshot has no owner in the job; that state is dropped. */
  readonly allowNonRestoredState: boolean;
  readonly maxParallelism: number;
}

export interface RestorePlan {
  /** Uids whose state is restored. */
  readonly restored: readonly string[];
  /** Uids of the snapshot that the job does not have: dropped. */
  readonly dropped: readonly string[];
  /** Uids of the job that start empty. */
  readonly fresh: readonly string[];
}

/**
 * Throws SAVEPOINT_UID_UNUSED, SAVEPOINT_KIND_MISMATCH or SAVEPOINT_MAX_PARALLELISM, naming every uid that is concerned. Table
 * schemas are checked by the operators' state backends when they restore, before the first batch.
 */
export function checkRestore(
  manifest: Pick<Manifest, "operators" | "maxParallelism">,
  nodes: readonly JobNode[],
  options: RestoreOptions,
  snapshot: string,
): RestorePlan {
  if (manifest.maxParallelism !== options.maxParallelism) {
    throw new MillraceError(
      "SAVEPOINT_MAX_PARALLELISM",
      snapshot,
      `it was taken with maxParallelism ${manifest.maxParallelism}, the job has ${options.maxParallelism}`,
      `set maxParallelism to ${manifest.maxParallelism}: it is fixed for a job's life, since keys are assigned by it`,
    );
  }
  const kinds = new Map(nodes.map((node) => [node.uid, node.kind]));
  const stored = Object.entries(manifest.operators);
  const dropped = stored.map(([uid]) => uid).filter((uid) => !kinds.has(uid));
  if (dropped.length > 0 && !options.allowNonRestoredState) {
    const known = nodes.map((node) => node.uid).filter((uid) => manifest.operators[uid] === undefined);
    throw new MillraceError(
      "SAVEPOINT_UID_UNUSED",
      snapshot,
      `it has state of ${quoted(dropped)}, which the job does not have${known.length === 0 ? "" : ` (without state there: ${quoted(known)})`}`,
      "give the operator its earlier uid, or set allowNonRestoredState to drop that state",
    );
  }
  const changed = stored.filter(([uid, { kind }]) => kinds.has(uid) && kinds.get(uid) !== kind);
  if (changed.length > 0) {
    const problem = changed.map(([uid, { kind }]) => `"${uid}" was ${kind} and is ${kinds.get(uid)}`).join(", ");
    throw new MillraceError(
      "SAVEPOINT_KIND_MISMATCH",
      snapshot,
      `operators have changed their kind: ${problem}`,
      "give the new operator a uid of its own",
    );
  }
  return {
    restored: stored.map(([uid]) => uid).filter((uid) => kinds.has(uid)),
    dropped,
    fresh: nodes.map((node) => node.uid).filter((uid) => manifest.operators[uid] === undefined),
  };
}

function quoted(uids: readonly string[]): string {
  return uids.map((uid) => `"${uid}"`).join(", ");
}
