// A copy of one changelog partition: the last record of each key. What state is restored from.
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import type { OperatorStateEntry } from "../../../core/ports/operator-state.ts";
import type { StateBlock, StoredState, StoredTableSpec } from "../../../core/ports/state-backend.ts";
import { closeBlock, openBlock } from "../../../state/entry-codec.ts";
import { decodeEntry, decodeList, decodeRecord, prefixOf, recordKind } from "./changelog-codec.ts";

/** Records by key, in any order. */
export interface RecordMap {
  /** Those whose key begins with `prefix`, without looking at the others where that can be helped. */
  records(prefix?: Uint8Array): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

/** Called between pieces of a long read, so that whatever else the process does has its turn; rejects to end the read. */
export type Turn = () => Promise<void>;

interface OpenBlock {
  readonly spec: StoredTableSpec;
  readonly keyGroup: number;
  clockMs: number;
  readonly entries: ByteWriter;
  entryCount: number;
}

const blockBytes = 256 * 1024;

// A piece is some milliseconds of work. Small records cost by their number, large ones by their bytes.
const pieceRecords = 1024;
const pieceBytes = 256 * 1024;

class Pieces {
  readonly #turn: Turn;
  #records = 0;
  #bytes = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** Takes a record into the piece; true when the piece is full. */
  fill(key: Uint8Array, value: Uint8Array): boolean {
    this.#bytes += key.length + value.length;
    return ++this.#records >= pieceRecords || this.#bytes >= pieceBytes;
  }

  /** Lets others have their turn, and begins the next piece. */
  async end(): Promise<void> {
    this.#records = 0;
    this.#bytes = 0;
    await this.#turn();
  }
}

/** The state that the records of a changelog hold. Entries are read once, by `blocks`. */
export async function storedState(topic: string, copy: RecordMap, turn: Turn): Promise<StoredState> {
  const pieces = new Pieces(turn);
  const specs = new Map<number, StoredTableSpec>();
  for (const [key, value] of copy.records(prefixOf(recordKind.spec))) {
    decodeRecord(topic, key, (reader) => specs.set(reader.u32(), JSON.parse(Buffer.from(value).toString()) as StoredTableSpec));
  }
  const used = new Set<number>();
  for (const [name, hashes] of Map.groupBy(specs.keys(), (hash) => (specs.get(hash) as StoredTableSpec).name)) {
    for (const hash of await usedSpecs(topic, copy, name, hashes, pieces)) used.add(hash);
  }
  return {
    // A spec that no entry has any more must not stop the restore.
    tables: [...specs].filter(([hash]) => used.has(hash)).map(([, spec]) => spec),
    blocks: () => blocksOf(topic, copy, specs, pieces),
  };
}

// Which of a table's specs its entries have. The first entry tells where there is one spec only, as there is in all tables whose schema
// has never changed; else entries are looked at until each spec was seen.
async function usedSpecs(
  topic: string,
  copy: RecordMap,
  table: string,
  hashes: readonly number[],
  pieces: Pieces,
): Promise<ReadonlySet<number>> {
  const unseen = new Set(hashes);
  const seen = new Set<number>();
  for (const [key, value] of copy.records(prefixOf(recordKind.entry, table))) {
    const { specHash } = decodeRecord(topic, key, (reader) => decodeEntry(reader, value));
    seen.add(specHash);
    unseen.delete(specHash);
    if (unseen.size === 0 || hashes.length === 1) break;
    if (pieces.fill(key, value)) await pieces.end();
  }
  return seen;
}

async function* blocksOf(
  topic: string,
  copy: RecordMap,
  specs: ReadonlyMap<number, StoredTableSpec>,
  pieces: Pieces,
): AsyncGenerator<StateBlock> {
  const open = new Map<string, OpenBlock>();
  for (const [key, value] of copy.records(prefixOf(recordKind.entry))) {
    const block = decodeRecord(topic, key, (reader) => {
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
    if (pieces.fill(key, value)) await pieces.end();
  }
  // Whoever takes a block puts its entries into tables, which is a piece of work too.
  for (const block of open.values()) {
    yield finished(block);
    await pieces.end();
  }
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
  for (const [key, value] of copy.records(prefixOf(recordKind.list, name))) return decodeRecord(topic, key, () => decodeList(value));
  return [];
}

/** The restore whose state a copy of a changelog holds; 0 for none. */
export function restoredGeneration(copy: RecordMap): number {
  for (const [key, value] of copy.records(prefixOf(recordKind.restored))) if (key.length === 1) return new ByteReader(value).varint();
  return 0;
}

/** A copy of a changelog partition, up to a position. */
export interface ChangelogCopy extends RecordMap {
  /** The next record to copy; 0 for an empty copy. */
  readonly position: number;
  apply(key: Uint8Array, value: Uint8Array | null): void;
  /** The value of a key. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** What was applied is the log up to `position`. A copy on disk keeps both together or neither. */
  advance(position: number): void;
  /** Forgets everything. */
  clear(): void;
}

/** A copy in memory. */
export class MemoryCopy implements ChangelogCopy {
  /** By the first character of the key: what kind of record it is. */
  readonly #kinds = new Map<string, Map<string, Uint8Array>>();
  position = 0;

  apply(key: Uint8Array, value: Uint8Array | null): void {
    const name = latin1(key);
    const kind = name.slice(0, 1);
    if (value === null) this.#kinds.get(kind)?.delete(name);
    else {
      const records = this.#kinds.get(kind) ?? new Map<string, Uint8Array>();
      this.#kinds.set(kind, records);
      records.set(name, Uint8Array.from(value));
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const name = latin1(key);
    return this.#kinds.get(name.slice(0, 1))?.get(name);
  }

  advance(position: number): void {
    this.position = position;
  }

  clear(): void {
    this.#kinds.clear();
    this.position = 0;
  }

  *records(prefix: Uint8Array = new Uint8Array(0)): Iterable<readonly [Uint8Array, Uint8Array]> {
    const begin = latin1(prefix);
    for (const [kind, records] of this.#kinds) {
      if (!kind.startsWith(begin.slice(0, 1))) continue;
      for (const [name, value] of records) if (name.startsWith(begin)) yield [Buffer.from(name, "latin1"), value];
    }
  }
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
