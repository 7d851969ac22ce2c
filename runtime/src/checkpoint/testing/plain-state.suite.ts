// Keyed state of the simplest kind, for tests of the checkpoint store: text keys, text values, entries as lines of JSON.
import type { StateBlock, StateCapture, StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import { murmur3 } from "../../base/murmur3.ts";
import type { Range } from "../store/lineage.ts";

export type Model = Map<string, string>;

export const maxKeyGroups = 8;

export function plainTable(name = "entries", value = "text"): StoredTableSpec {
  const text = { type: { kind: "string" }, nullable: false, optional: false, aliases: [] } as const;
  return { name, form: "table", key: { key: text }, keyForm: "text", value: { [value]: text }, valueOrder: [value], keyOrder: ["key"] };
}

export function keyGroups(maxParallelism: number, parallelism: number): readonly Range[] {
  return Array.from({ length: parallelism }, (_, i) => ({
    from: Math.floor((maxParallelism * i) / parallelism),
    to: Math.floor((maxParallelism * (i + 1)) / parallelism),
  }));
}

export function keyGroupOfText(key: string): number {
  const bytes = Buffer.from(key);
  return (murmur3(bytes, 0, bytes.length) >>> 0) % maxKeyGroups;
}

/** The entries of all instances of one operator, with what changed since the last capture. */
export class ModelState {
  readonly ranges: readonly Range[];
  readonly entries: Model = new Map();
  readonly changed: Set<string> = new Set();

  constructor(ranges: readonly Range[]) {
    this.ranges = ranges;
  }

  put(key: string, value: string): void {
    this.entries.set(key, value);
    this.changed.add(key);
  }

  delete(key: string): void {
    this.entries.delete(key);
    this.changed.add(key);
  }

  captured(): void {
    this.changed.clear();
  }

  /** Applies a stored block. */
  apply(block: StateBlock): void {
    for (const [key, value] of linesOf(block)) {
      if (value === null) this.entries.delete(key);
      else this.entries.set(key, value);
    }
  }
}

type Line = readonly [key: string, value: string | null];

function linesOf(block: StateBlock): readonly Line[] {
  const lines = Buffer.from(block.bytes).toString("utf8").split("\n").slice(0, -1);
  if (lines.length !== block.entryCount) throw new Error(`${lines.length} lines, ${block.entryCount} entries`);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Blocks of the keys given, in order of key groups. */
export function blocksOf(state: ModelState, keys: Iterable<string>, range: Range, table = "entries"): readonly StateBlock[] {
  const byGroup = Map.groupBy(keys, keyGroupOfText);
  return [...byGroup]
    .filter(([keyGroup]) => keyGroup >= range.from && keyGroup < range.to)
    .sort(([a], [b]) => a - b)
    .map(([keyGroup, some]) => ({
      table,
      keyGroup,
      entryCount: some.length,
      bytes: Buffer.from(some.map((key) => `${JSON.stringify([key, state.entries.get(key) ?? null])}\n`).join("")),
    }));
}

/** What an instance's capture returns: what changed in its range. Its blocks count as lying on disk: after the release nobody can read them. */
export function captureOf(
  state: ModelState,
  range: Range,
  table: StoredTableSpec = plainTable(),
): StateCapture & { readonly released: boolean } {
  let released = false;
  const blocks = blocksOf(state, state.changed, range, table.name).map(({ bytes, ...block }) => {
    const readNow = (): Uint8Array => {
      if (released) throw new Error("a block of a capture that was released");
      return bytes;
    };
    const stored = { sizeBytes: bytes.length, readNow, read: () => Promise.resolve().then(readNow) };
    return {
      ...block,
      get bytes() {
        return readNow();
      },
      stored,
    };
  });
  return {
    tables: [table],
    blocks,
    release: () => {
      released = true;
    },
    get released() {
      return released;
    },
  };
}

export const plainMerging: EntryMerging = {
  split(_table, block, visit) {
    const { bytes } = block;
    let start = 0;
    while (start < bytes.length) {
      const end = bytes.indexOf(10, start) + 1;
      const [key, value] = JSON.parse(Buffer.from(bytes.subarray(start, end)).toString("utf8")) as Line;
      visit(start, end, 0, start + 1, start + 1 + Buffer.byteLength(JSON.stringify(key)), value === null);
      start = end;
    }
  },
  join(table, keyGroup, _sources, entries) {
    return {
      table: table.name,
      keyGroup,
      entryCount: entries.length,
      bytes: Buffer.concat(entries.map(({ bytes, start, end }) => bytes.subarray(start, end))),
    };
  },
};
