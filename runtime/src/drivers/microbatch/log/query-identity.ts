// What a checkpoint location belongs to: the parts of a query that its state and positions depend on, written once and compared at every start.
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import { json, object, oneOf, recordOf, type Shape, text } from "../../../checkpoint/format/shape.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import { canonicalJson } from "../../../core/schema/schema.ts";
import type { OutputMode } from "../../../operators/frame/frame-aggregate.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { readLogFile } from "./read-log-file.ts";

export interface QueryIdentity {
  readonly version: 1;
  /** Stays for the life of the checkpoint location. */
  readonly id: string;
  readonly mode: OutputMode;
  /** By name: what kind of node it is, and what about it cannot change. */
  readonly nodes: Readonly<Record<string, unknown>>;
}

const identityShape: Shape<QueryIdentity> = object({
  version: oneOf(1),
  id: text,
  mode: oneOf("append", "update", "complete"),
  nodes: recordOf(recordOf(json)),
});

/** Options of a source that say what is read; the others say how. */
const sourceSubjects = ["topic", "path"] as const;

export function identityOf(dataflow: Dataflow, mode: OutputMode, id: string): QueryIdentity {
  const nodes: Record<string, unknown> = {};
  for (const { uid, kind, body, options, schema } of dataflow.nodes) {
    if (body.kind === "source")
      nodes[uid] = { kind, ...Object.fromEntries(sourceSubjects.flatMap((name) => (name in options ? [[name, options[name]]] : []))) };
    else if (body.kind === "sink") nodes[uid] = { kind };
    else
      nodes[uid] =
        kind === "frameWatermark"
          ? { kind }
          : { kind, ...options, fields: Object.fromEntries(schema.fields.map(({ name, spec }) => [name, spec.type.kind])) };
  }
  return { version: 1, id, mode, nodes };
}

/** The differences between what a checkpoint location was written by and a query, in words; none where it can go on. */
export function differences(stored: QueryIdentity, now: QueryIdentity, allowNonRestoredState = false): readonly string[] {
  const found: string[] = [];
  const stateful = Object.values(now.nodes).some((node) => !/^(source|sink)\./.test((node as { readonly kind: string }).kind));
  if (stored.mode !== now.mode && stateful) found.push(`its output mode was ${stored.mode} and is ${now.mode}`);
  for (const [uid, before] of Object.entries(stored.nodes)) {
    const after = now.nodes[uid];
    if (after === undefined) {
      if (allowNonRestoredState) continue;
      found.push(`"${uid}" (${(before as { readonly kind: string }).kind}) is no longer there`);
      continue;
    }
    found.push(...nodeDifferences(uid, before as Record<string, unknown>, after as Record<string, unknown>));
  }
  for (const [uid, node] of Object.entries(now.nodes))
    if (stored.nodes[uid] === undefined) found.push(`"${uid}" (${(node as { readonly kind: string }).kind}) is new`);
  return found;
}

function nodeDifferences(uid: string, before: Record<string, unknown>, after: Record<string, unknown>): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((what) => {
    const [was, is] = [canonicalJson(before[what]), canonicalJson(after[what])];
    return was === is ? [] : [`"${uid}": ${what} was ${was} and is ${is}`];
  });
}

/** Throws QUERY_CHANGED where a query cannot go on from what another one left. */
export function checkIdentity(stored: QueryIdentity, identity: QueryIdentity, allowNonRestoredState: boolean, subject: string): void {
  const found = differences(stored, identity, allowNonRestoredState);
  if (found.length === 0) return;
  throw new MillraceError(
    "QUERY_CHANGED",
    subject,
    `belongs to a query that this one cannot go on from: ${found.join("; ")}`,
    "undo the change, or start anew with another checkpoint location",
  );
}

/**
 * Writes the identity where there is none; else throws QUERY_CHANGED with what differs, or QUERY_LOG_CORRUPT. Returns it with the id that the location has
 * for its life.
 */
export async function claimLocation(
  storage: SnapshotStorage,
  folder: string,
  identity: QueryIdentity,
  allowNonRestoredState: boolean,
): Promise<QueryIdentity> {
  const path = `${folder}query.json`;
  const content = (one: QueryIdentity): Buffer => Buffer.from(`${JSON.stringify(one, null, 2)}\n`);
  try {
    await storage.create(path, content(identity));
    return identity;
  } catch (error) {
    if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
  }
  const stored = await readLogFile(storage, path, identityShape);
  checkIdentity(stored, identity, allowNonRestoredState, `checkpoint location ${storage.url}/${folder}`);
  const kept = { ...identity, id: stored.id };
  // Nodes that were dropped on purpose are not asked for again.
  if (differences(stored, kept).length > 0) await storage.put(path, content(kept));
  return kept;
}
