// Merges an operator's bases and deltas: of each entry the last one, a few key groups at a time.
import { setImmediate } from "node:timers/promises";
import type { EntryMerging, EntrySlice } from "../../core/ports/state-entries.ts";
import type { StateBlock, StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { IndexedBlock } from "../format/data-file.ts";
import { snapshotCorrupt } from "../format/snapshot-errors.ts";
import type { StateRef } from "../format/manifest.ts";
import type { Range } from "../store/lineage.ts";
import { EntryIndex } from "./entry-index.ts";
import { refOrder, type StoredSnapshot } from "../store/stored-snapshot.ts";

/** Raw bytes that are in memory at a time, unless a single key group has more. */
const batchBytes = 16 * 1024 * 1024;
/** Merged blocks are cut at about this size. */
const blockBytes = 2 * 1024 * 1024;
/** How long merging may hold the thread, unless a single block takes longer. */
const runMs = 4;

export interface MergeOptions {
  readonly merging: EntryMerging;
  /** Keep deletions: when deltas are merged with each other, what they delete may be in a base below them. */
  readonly keepDeletions: boolean;
}

/** A block with the spec of its entries. */
export interface MergedBlock extends StateBlock {
  readonly spec: StoredTableSpec;
}

interface Wanted {
  readonly ref: StateRef;
  readonly block: IndexedBlock;
}

/** Yields the merged blocks of `refs` (parts of `uid` in `snapshot`) for `range`, in order of key groups and tables. */
export async function* mergeState(
  snapshot: StoredSnapshot,
  uid: string,
  refs: readonly StateRef[],
  range: Range,
  options: MergeOptions,
): AsyncGenerator<MergedBlock> {
  const specs = new Map((snapshot.operator(uid)?.tables ?? []).map(({ id, spec }) => [id, spec]));
  const byKeyGroup = new Map<number, Wanted[]>();
  for (const ref of [...refs].sort(refOrder)) {
    for (const block of await snapshot.blocksOf(uid, ref, range)) {
      const wanted = byKeyGroup.get(block.keyGroup);
      if (wanted === undefined) byKeyGroup.set(block.keyGroup, [{ ref, block }]);
      else wanted.push({ ref, block });
    }
  }
  for (const keyGroups of batches(byKeyGroup)) {
    const sources = new Map<string, MergedBlock[]>();
    for (const [ref, blocks] of wantedByRef(keyGroups.flatMap((keyGroup) => byKeyGroup.get(keyGroup) ?? []))) {
      const reader = await snapshot.reader(ref.file);
      for await (const { block, bytes } of reader.read(blocks)) {
        const spec = specs.get(block.specId);
        if (spec === undefined)
          throw snapshotCorrupt(snapshot.url, 0, `the table spec ${block.specId} of operator ${uid} is not in the manifest`);
        const key = `${String(block.keyGroup).padStart(6, "0")} ${block.table}`;
        const merged = { table: block.table, keyGroup: block.keyGroup, entryCount: block.entryCount, bytes, spec };
        const known = sources.get(key);
        if (known === undefined) sources.set(key, [merged]);
        else known.push(merged);
      }
    }
    for (const key of [...sources.keys()].sort()) yield* mergeBlocks(sources.get(key) ?? [], options);
  }
}

// Key groups in order, as many at a time as fit.
function batches(byKeyGroup: ReadonlyMap<number, readonly Wanted[]>): readonly (readonly number[])[] {
  const result: number[][] = [];
  let bytes = 0;
  for (const keyGroup of [...byKeyGroup.keys()].sort((a, b) => a - b)) {
    const more = (byKeyGroup.get(keyGroup) ?? []).reduce((sum, { block }) => sum + block.rawBytes, 0);
    const last = result.at(-1);
    if (last === undefined || bytes + more > batchBytes) {
      result.push([keyGroup]);
      bytes = more;
    } else {
      last.push(keyGroup);
      bytes += more;
    }
  }
  return result;
}

// The order of parts must stay; within a part, blocks are read as they lie in the file.
function wantedByRef(wanted: readonly Wanted[]): readonly (readonly [StateRef, readonly IndexedBlock[]])[] {
  const groups = [...Map.groupBy(wanted, ({ ref }) => ref)];
  return groups
    .sort(([a], [b]) => refOrder(a, b))
    .map(([ref, some]) => [ref, some.map(({ block }) => block).sort((a, b) => a.offset - b.offset)] as const);
}

/** Merges blocks of one table and key group; a later entry takes the place of an earlier one. Lets others run every few ms. */
async function* mergeBlocks(blocks: readonly MergedBlock[], { merging, keepDeletions }: MergeOptions): AsyncGenerator<MergedBlock> {
  const breathe = breather();
  const index = new EntryIndex(blocks.map((block) => block.bytes));
  for (const [number, block] of blocks.entries()) {
    merging.split(block.spec, block, (start, end, tag, identityStart, identityEnd, deleted) => {
      index.set(number, start, end, tag, identityStart, identityEnd, deleted);
    });
    await breathe();
  }
  // A block has one spec: entries written by different versions of a table stay apart.
  for (const [spec, sources] of Map.groupBy(blocks, (block) => block.spec)) {
    const join = (entries: readonly EntrySlice[]): MergedBlock => ({
      ...merging.join(spec, sources[0]?.keyGroup ?? 0, sources, entries),
      spec,
    });
    let some: EntrySlice[] = [];
    let size = 0;
    for (let entry = 0; entry < index.count; entry++) {
      const block = blocks[index.blocks[entry] as number] as MergedBlock;
      if (block.spec !== spec || (index.deleted[entry] === 1 && !keepDeletions)) continue;
      const slice = { bytes: block.bytes, start: index.starts[entry] as number, end: index.ends[entry] as number };
      some.push(slice);
      size += slice.end - slice.start;
      if (size < blockBytes) continue;
      yield join(some);
      await breathe();
      some = [];
      size = 0;
    }
    if (some.length > 0) yield join(some);
  }
}

// A savepoint is made while the job runs, perhaps on the same thread.
function breather(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < runMs) return;
    await setImmediate();
    since = performance.now();
  };
}
