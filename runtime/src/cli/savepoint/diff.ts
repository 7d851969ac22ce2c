// `millrace savepoint diff`: which entries differ between two snapshots, one key group of both in memory at a time.
import { MillraceError } from "../../base/errors.ts";
import { mergeState } from "../../checkpoint/savepoint/merge-state.ts";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import type { StoredSnapshot } from "../../checkpoint/store/stored-snapshot.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { type EntryRow, rowsOfBlock } from "./entry-rows.ts";
import { withSnapshot } from "./open-for-reading.ts";
import type { Print } from "./savepoint-command.ts";
import { formatCount, formatTable } from "./text-output.ts";

export interface TableDiff {
  readonly uid: string;
  readonly table: string;
  same: number;
  added: number;
  removed: number;
  changed: number;
  readonly examples: { readonly change: "added" | "removed" | "changed"; readonly before?: EntryRow; readonly after?: EntryRow }[];
}

interface DiffFlags {
  readonly uid?: string;
  readonly examples: number;
  readonly json: boolean;
}

export async function diffSnapshots(before: string, after: string, options: StorageOptions, flags: DiffFlags, print: Print): Promise<void> {
  await withSnapshot(before, options, (one) =>
    withSnapshot(after, options, async (two) => {
      const tables = await diffOf(one, two, flags);
      const splits = splitDiff(one, two, flags.uid);
      if (flags.json) return print(`${JSON.stringify({ before: one.url, after: two.url, tables, splits }, undefined, 2)}\n`);
      const rows = tables.map(({ uid, table, same, added, removed, changed }) => [
        uid,
        table,
        ...[added, removed, changed, same].map(formatCount),
      ]);
      await print(
        rows.length === 0
          ? "no keyed state in either\n"
          : formatTable(["OPERATOR", "TABLE", ">ADDED", ">REMOVED", ">CHANGED", ">SAME"], rows),
      );
      for (const { uid, table, examples } of tables) {
        if (examples.length > 0) await print(`\n${uid}, ${table}:\n${examples.map(exampleLine).join("")}`);
      }
      if (splits.length > 0) {
        const lines = splits.map(({ uid, split, before: from, after: to }) => [
          uid,
          split,
          JSON.stringify(from ?? "-"),
          JSON.stringify(to ?? "-"),
        ]);
        await print(`\n${formatTable(["SOURCE", "SPLIT", "BEFORE", "AFTER"], lines)}`);
      }
    }),
  );
}

async function diffOf(one: StoredSnapshot, two: StoredSnapshot, flags: DiffFlags): Promise<readonly TableDiff[]> {
  const { maxParallelism } = one.manifest;
  if (two.manifest.maxParallelism !== maxParallelism) {
    throw new MillraceError(
      "SAVEPOINT_MAX_PARALLELISM",
      two.url,
      `it has maxParallelism ${two.manifest.maxParallelism}, the other ${maxParallelism}`,
      "compare snapshots of one job",
    );
  }
  const diffs = new Map<string, TableDiff>();
  const uids = [...new Set([...Object.keys(one.manifest.operators), ...Object.keys(two.manifest.operators)])].sort();
  for (const uid of uids.filter((name) => flags.uid === undefined || flags.uid === name)) {
    for (const snapshot of [one, two]) for (const { spec } of snapshot.operator(uid)?.tables ?? []) tableDiff(diffs, uid, spec.name);
    for (let keyGroup = 0; keyGroup < maxParallelism; keyGroup++) {
      compare(await entriesOf(one, uid, keyGroup), await entriesOf(two, uid, keyGroup), flags.examples, (table) =>
        tableDiff(diffs, uid, table),
      );
    }
  }
  return [...diffs.values()];
}

function tableDiff(diffs: Map<string, TableDiff>, uid: string, table: string): TableDiff {
  const key = `${uid}\n${table}`;
  let diff = diffs.get(key);
  if (diff === undefined) {
    diff = { uid, table, same: 0, added: 0, removed: 0, changed: 0, examples: [] };
    diffs.set(key, diff);
  }
  return diff;
}

/** By what identifies an entry, as text: the entry. */
type Entries = ReadonlyMap<string, EntryRow>;

async function entriesOf(snapshot: StoredSnapshot, uid: string, keyGroup: number): Promise<Entries> {
  const entries = new Map<string, EntryRow>();
  const refs = snapshot.operator(uid)?.state ?? [];
  const range = { from: keyGroup, to: keyGroup + 1 };
  for await (const block of mergeState(snapshot, uid, refs, range, { merging: entryMerging, keepDeletions: false })) {
    for (const row of rowsOfBlock(uid, block)) entries.set(JSON.stringify([row.table, row.key, row.namespace, row.subKey]), row);
  }
  return entries;
}

function compare(before: Entries, after: Entries, exampleLimit: number, diffFor: (table: string) => TableDiff): void {
  const note = (diff: TableDiff, example: TableDiff["examples"][number]): void => {
    diff[example.change]++;
    if (diff.examples.filter(({ change }) => change === example.change).length < exampleLimit) diff.examples.push(example);
  };
  for (const [identity, row] of before) {
    const other = after.get(identity);
    const diff = diffFor(row.table);
    if (other === undefined) note(diff, { change: "removed", before: row });
    else if (JSON.stringify(row.value) === JSON.stringify(other.value)) diff.same++;
    else note(diff, { change: "changed", before: row, after: other });
  }
  for (const [identity, row] of after) if (!before.has(identity)) note(diffFor(row.table), { change: "added", after: row });
}

interface SplitDiff {
  readonly uid: string;
  readonly split: string;
  readonly before: unknown;
  readonly after: unknown;
}

function splitDiff(one: StoredSnapshot, two: StoredSnapshot, only: string | undefined): readonly SplitDiff[] {
  const positions = (
    snapshot: StoredSnapshot,
  ): ReadonlyMap<string, { readonly uid: string; readonly split: string; readonly position: unknown }> =>
    new Map(
      Object.entries(snapshot.manifest.operators)
        .filter(([uid]) => only === undefined || only === uid)
        .flatMap(([uid, { source }]) =>
          (source?.splits ?? []).map(({ id, position }) => [`${uid}\n${id}`, { uid, split: id, position }] as const),
        ),
    );
  const before = positions(one);
  const after = positions(two);
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((key) => {
    const from = before.get(key);
    const to = after.get(key);
    if (JSON.stringify(from?.position) === JSON.stringify(to?.position)) return [];
    return [{ uid: (from ?? to)?.uid ?? "", split: (from ?? to)?.split ?? "", before: from?.position, after: to?.position }];
  });
}

function exampleLine({ change, before, after }: TableDiff["examples"][number]): string {
  const row = after ?? before;
  const place = [
    JSON.stringify(row?.key),
    ...(row?.namespace === 0 ? [] : [`namespace ${row?.namespace}`]),
    ...(row?.subKey === null ? [] : [`sub-key ${row?.subKey}`]),
  ];
  const mark = { added: "+", removed: "-", changed: "~" }[change];
  const values = change === "changed" ? `${JSON.stringify(before?.value)} -> ${JSON.stringify(after?.value)}` : JSON.stringify(row?.value);
  return `  ${mark} ${place.join(", ")}: ${values}\n`;
}
