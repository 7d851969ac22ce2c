// Rolls small deltas into one: a restore then opens fewer files, at a cost that follows the deltas and not the state.
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import type { AckFile } from "../upload/ack.ts";
import { applyOrder, clippedTo, type Range, type StatePart } from "./lineage.ts";
import { mergeState } from "../savepoint/merge-state.ts";
import type { StoredSnapshot } from "./stored-snapshot.ts";
import type { Uploader } from "../upload/uploader.ts";

/** A delta that stands for several. */
export interface RolledDelta {
  readonly uid: string;
  readonly part: StatePart;
  readonly file: AckFile;
  readonly replaces: readonly StatePart[];
}

/** Merges `parts`, which are deltas of `uid` in the published checkpoint `snapshot`, for all of their key groups. */
export async function rollDeltas(
  snapshot: StoredSnapshot,
  uid: string,
  parts: readonly StatePart[],
  merging: EntryMerging,
  uploader: Uploader,
): Promise<RolledDelta | undefined> {
  const range = rangeOf(parts);
  const checkpointId = Math.max(...parts.map((part) => part.checkpointId));
  const wanted = new Set(parts.map((part) => `${part.checkpointId} ${part.path.split("/").at(-1)}`));
  const operator = snapshot.operator(uid);
  const refs = (operator?.state ?? []).filter(
    (ref) => ref.kind === "delta" && wanted.has(`${ref.checkpointId} ${snapshot.filePath(ref.file).split("/").at(-1)}`),
  );
  const { path, writer } = uploader.openDataFile(checkpointId);
  const specIds = new Set<string>();
  let sizeBytes = 0;
  try {
    for await (const { spec, ...block } of mergeState(snapshot, uid, refs, range, { merging, keepDeletions: true })) {
      const id = operator?.tables.find((table) => table.spec === spec)?.id ?? "";
      specIds.add(id);
      sizeBytes += await writer.addBlocks(uid, "changes", new Map([[block.table, id]]), [block]);
    }
    if (specIds.size === 0) {
      await writer.abort();
      uploader.settled(path);
      return undefined;
    }
    const written = await writer.finish();
    const part: StatePart = { path, part: "changes", kind: "delta", checkpointId, ...range, sizeBytes, specIds: [...specIds] };
    return { uid, part, file: { path, ...written }, replaces: parts };
  } catch (error) {
    await writer.abort();
    uploader.settled(path);
    throw error;
  }
}

/**
 * The list with the rolled delta in place of what it stands for. Where a base has taken some of that away meanwhile the list stays
 * as it is: the rolled delta came too late.
 */
export function withRolled(list: readonly StatePart[], { part, replaces }: RolledDelta): readonly StatePart[] {
  const isReplaced = (one: StatePart): boolean =>
    replaces.some((old) => old.path === one.path && old.part === one.part && old.checkpointId === one.checkpointId && one.kind === "delta");
  const there = list.filter(isReplaced).flatMap((one) => clippedTo(one, part) ?? []);
  const width = (parts: readonly Range[]): number => parts.reduce((sum, one) => sum + one.to - one.from, 0);
  if (width(there) !== width(replaces)) return list;
  return [...list.filter((one) => !isReplaced(one)), part].sort(applyOrder);
}

function rangeOf(parts: readonly StatePart[]): Range {
  return { from: Math.min(...parts.map((part) => part.from)), to: Math.max(...parts.map((part) => part.to)) };
}
