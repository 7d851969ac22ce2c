// A copy of one changelog partition: the last record of each key. What state is restored from.
import { ByteWriter } from "../../../base/bytes.ts";
import type { OperatorStateEntry } from "../../../core/ports/operator-state.ts";
import type { StateBlock, StoredState, StoredTableSpec } from "../../../core/ports/state-backend.ts";
import { closeBlock, openBlock } from "../../../state/entry-codec.ts";
import { decodeEntry, decodeList, decodeRecord, recordKind } from "./changelog-codec.ts";

/** Records by key, in any order. */
export interface RecordMap {
  records(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

interface OpenBlock {
  readonly spec: StoredTableSpec;
  readonly keyGroup: number;
  clockMs: number;
  readonly entries: ByteWriter;
  entryCount: number;
}

const blockBytes = 256 * 1024;

/** The state that the records of a changelog hold. */
export function storedState(topic: string, copy: RecordMap): StoredState {
  const specs = new Map<number, StoredTableSpec>();
  const used = new Set<number>();
  for (const [key, value] of copy.records()) {
    decodeRecord(topic, key, (reader, kind) => {
      if (kind === recordKind.spec) specs.set(reader.u32(), JSON.parse(Buffer.from(value).toString()) as StoredTableSpec);
      else if (kind === recordKind.entry) used.add(decodeEntry(reader, value).specHash);
    });
  }
  return {
    // A spec that no entry has any more must not stop the restore.
    tables: [...specs].filter(([hash]) => used.has(hash)).map(([, spec]) => spec),
    async *blocks() {
      yield* blocksOf(topic, copy, specs);
    },
  };
}

function* blocksOf(topic: string, copy: RecordMap, specs: ReadonlyMap<number, StoredTableSpec>): Generator<StateBlock> {
  const open = new Map<string, OpenBlock>();
  for (const [key, value] of copy.records()) {
    const block = decodeRecord(topic, key, (reader, kind) => {
      if (kind !== recordKind.entry) return undefined;
      const { keyGroup, specHash, clockMs, start } = decodeEntry(reader, value);
      const spec = specs.get(specHash);
      if (spec === undefined) throw new RangeError(`an entry of a table whose spec ${specHash} is not there`);
      const name = `${specHash}/${keyGroup}`;
      const found = open.get(name) ?? { spec, keyGroup, clockMs, entries: new ByteWriter(4096), entryCount: 0 };
      open.set(name, found);
      found.clockMs = Math.max(found.clockMs, clockMs);
      found.entries.raw(value, start, value.length);
      found.entryCount++;
      if (found.entries.length >= blockBytes) open.delete(name);
      return found.entries.length >= blockBytes ? found : undefined;
    });
    if (block !== undefined) yield finished(block);
  }
  for (const block of open.values()) yield finished(block);
}

function finished({ spec, keyGroup, clockMs, entries, entryCount }: OpenBlock): StateBlock {
  const writer = new ByteWriter(entries.length + 32);
  const start = openBlock(writer, clockMs);
  writer.raw(entries.buffer, 0, entries.length);
  closeBlock(writer, start);
  return { table: spec.name, keyGroup, entryCount, bytes: writer.buffer.subarray(0, writer.length), spec };
}

/** The entries of a list that is not keyed. */
export function storedList(topic: string, copy: RecordMap, name: string): readonly OperatorStateEntry[] {
  for (const [key, value] of copy.records()) {
    const found = decodeRecord(topic, key, (reader, kind) =>
      kind === recordKind.list && reader.string() === name ? decodeList(value) : undefined,
    );
    if (found !== undefined) return found;
  }
  return [];
}

/** A copy of a changelog partition, up to a position. */
export interface ChangelogCopy extends RecordMap {
  /** The next record to copy; 0 for an empty copy. */
  readonly position: number;
  apply(key: Uint8Array, value: Uint8Array | null): void;
  /** What was applied is the log up to `position`. A copy on disk keeps both together or neither. */
  advance(position: number): void;
  /** Forgets everything. */
  clear(): void;
}

/** A copy in memory. */
export class MemoryCopy implements ChangelogCopy {
  readonly #records = new Map<string, Uint8Array>();
  position = 0;

  apply(key: Uint8Array, value: Uint8Array | null): void {
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
    if (value === null) this.#records.delete(name);
    else this.#records.set(name, Uint8Array.from(value));
  }

  advance(position: number): void {
    this.position = position;
  }

  clear(): void {
    this.#records.clear();
    this.position = 0;
  }

  *records(): Iterable<readonly [Uint8Array, Uint8Array]> {
    for (const [name, value] of this.#records) yield [Buffer.from(name, "latin1"), value];
  }
}
