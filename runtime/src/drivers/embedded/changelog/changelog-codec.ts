// Records of a changelog topic: state entries as snapshots hold them, by table, key group and identity, so that compaction keeps the last of each.
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import { MillraceError } from "../../../base/errors.ts";
import { murmur3 } from "../../../base/murmur3.ts";
import type { OperatorStateEntry, Redistribution } from "../../../core/ports/operator-state.ts";
import type { StateBlock, StoredTableSpec } from "../../../core/ports/state-backend.ts";
import { entryMerging } from "../../../state/entry-merging.ts";
import type { CapturedList } from "../../task/operator-state-registry.ts";

/** What a record is about: the first byte of its key. `restored` says that the log holds all of a savepoint. */
export const recordKind = { restored: 0, entry: 1, spec: 2, list: 3 } as const;

// A block's clock stands behind its version and checksum.
const blockClockAt = 5;
const redistributions: readonly Redistribution[] = ["split", "union", "broadcast"];

/** Takes a record; a value of null deletes what has the key. The bytes are valid during the call. */
export type TakeRecord = (key: ByteWriter, value: ByteWriter | null) => void;

export function specHash(spec: StoredTableSpec): number {
  const bytes = Buffer.from(JSON.stringify(spec));
  return murmur3(bytes, 0, bytes.length) >>> 0;
}

export class ChangelogEncoder {
  readonly #key: ByteWriter = new ByteWriter(256);
  readonly #value: ByteWriter = new ByteWriter(1024);
  /** Specs that the topic already has from this task's life. */
  readonly #written = new Set<number>();
  readonly #hashes = new Map<StoredTableSpec, number>();

  /** The entries that a capture holds, each after the spec that it is encoded with. */
  blocks(tables: readonly StoredTableSpec[], blocks: readonly StateBlock[], take: TakeRecord): void {
    const byName = new Map(tables.map((table) => [table.name, table]));
    for (const block of blocks) {
      const table = byName.get(block.table);
      if (table === undefined) throw new Error(`a capture has entries of table ${block.table}, but not the table`);
      this.#block(table, block, take);
    }
  }

  /** The entries of a block from a snapshot. */
  stored(block: StateBlock, take: TakeRecord): void {
    if (block.spec === undefined) throw new Error("a stored block says what it is encoded with");
    this.#block(block.spec, block, take);
  }

  /** The state of restore `generation` is in the log, all of it. */
  restored(generation: number, take: TakeRecord): void {
    this.#key.reset();
    this.#key.u8(recordKind.restored);
    this.#value.reset();
    this.#value.varint(generation);
    take(this.#key, this.#value);
  }

  #block(table: StoredTableSpec, block: StateBlock, take: TakeRecord): void {
    const key = this.#key;
    const value = this.#value;
    const hash = this.#announce(table, take);
    // A capture's blocks may lie on disk: read once.
    const { keyGroup, entryCount, bytes } = block;
    const clockMs = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readDoubleLE(blockClockAt);
    entryMerging.split(
      table,
      { table: table.name, keyGroup, entryCount, bytes },
      (start, end, tag, identityStart, identityEnd, deleted) => {
        key.reset();
        key.u8(recordKind.entry);
        key.string(table.name);
        key.u16(keyGroup);
        key.u8(tag);
        key.raw(bytes, identityStart, identityEnd);
        if (deleted) return take(key, null);
        value.reset();
        value.u32(hash);
        value.f64(clockMs);
        value.raw(bytes, start, end);
        take(key, value);
      },
    );
  }

  #announce(table: StoredTableSpec, take: TakeRecord): number {
    const hash = this.#hashes.get(table) ?? specHash(table);
    this.#hashes.set(table, hash);
    if (this.#written.has(hash)) return hash;
    this.#written.add(hash);
    this.#key.reset();
    this.#key.u8(recordKind.spec);
    this.#key.u32(hash);
    this.#value.reset();
    this.#value.utf8Raw(JSON.stringify(table));
    take(this.#key, this.#value);
    return hash;
  }

  /** A list that is not keyed, whole. */
  list({ name, redistribution, entries }: CapturedList, take: TakeRecord): void {
    this.#key.reset();
    this.#key.u8(recordKind.list);
    this.#key.string(name);
    this.#value.reset();
    this.#value.u8(redistributions.indexOf(redistribution));
    this.#value.varint(entries.length);
    for (const entry of entries) {
      this.#value.string(entry.key);
      this.#value.bytes(entry.value);
    }
    take(this.#key, this.#value);
  }
}

/** What the keys of all records of a kind begin with, or of those of one table or list. */
export function prefixOf(kind: number, name?: string): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(kind);
  if (name !== undefined) writer.string(name);
  return writer.copy();
}

export interface EntryRecord {
  readonly table: string;
  readonly keyGroup: number;
  readonly specHash: number;
  readonly clockMs: number;
  /** The entry is `bytes[start]` to its end. */
  readonly start: number;
}

/** Reads a record, whose key's reader stands behind the kind. Throws EMBEDDED_TOPIC_CORRUPT for what is no record of a changelog. */
export function decodeRecord<T>(topic: string, key: Uint8Array, read: (reader: ByteReader) => T): T {
  try {
    const reader = new ByteReader(key);
    reader.u8();
    return read(reader);
  } catch (cause) {
    if (!(cause instanceof RangeError) && !(cause instanceof SyntaxError)) throw cause;
    throw new MillraceError(
      "EMBEDDED_TOPIC_CORRUPT",
      `changelog topic ${topic}`,
      `holds a record that this application did not write: ${cause.message}`,
      "keep other producers away from the topic; reset the application if it cannot be mended",
      { cause },
    );
  }
}

export function decodeEntry(key: ByteReader, value: Uint8Array): EntryRecord {
  const table = key.string();
  const keyGroup = key.u16();
  const reader = new ByteReader(value);
  return { table, keyGroup, specHash: reader.u32(), clockMs: reader.f64(), start: reader.position };
}

export function decodeList(value: Uint8Array): readonly OperatorStateEntry[] {
  const reader = new ByteReader(value);
  reader.u8();
  return Array.from({ length: reader.varint() }, () => ({ key: reader.string(), value: Uint8Array.from(reader.bytes()) }));
}
