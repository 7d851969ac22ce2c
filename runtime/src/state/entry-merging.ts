// Takes blocks of state apart into entries and puts entries together to blocks, without decoding values: for merging snapshots.
import { ByteWriter } from "../base/bytes.ts";
import type { EntryMerging, EntrySlice, EntryVisitor } from "../core/ports/state-entries.ts";
import type { StateBlock, StoredTableSpec } from "../core/ports/state-backend.ts";
import { type RowCodec, rowCodec } from "../core/codec/row-codec.ts";
import { schemaOf } from "../core/schema/evolution.ts";
import { closeBlock, openBlock, readBlock } from "./entry-codec.ts";

// A block's head: version, checksum, and the clock it was written at.
const clockAt = 5;
const headBytes = 13;
// Of an entry's control byte: the signs of namespace and sub-key, and whether there is a namespace. The rest is about the change.
const identityBits = 14;
const hasStamp = 16;
const stampBytes = 8;

const codecs = new WeakMap<StoredTableSpec, RowCodec>();

function codecOf(table: StoredTableSpec): RowCodec {
  let codec = codecs.get(table);
  if (codec === undefined) {
    codec = rowCodec(schemaOf({ spec: table.value, order: table.valueOrder }));
    codecs.set(table, codec);
  }
  return codec;
}

function split(table: StoredTableSpec, block: StateBlock, visit: EntryVisitor): void {
  const codec = codecOf(table);
  let start = headBytes;
  readBlock(block, `stored table "${table.name}"`, table.keyForm === "integer", table.subKey, (cursor, reader) => {
    const control = reader.buffer[start] as number;
    const identityEnd = reader.position - ((control & hasStamp) === 0 ? 0 : stampBytes);
    if (!cursor.isDelete) codec.skip(reader);
    visit(start, reader.position, control & identityBits, start + 1, identityEnd, cursor.isDelete);
    start = reader.position;
  });
}

function join(table: StoredTableSpec, keyGroup: number, sources: readonly StateBlock[], entries: readonly EntrySlice[]): StateBlock {
  // Event-time lifetimes are counted from the newest time that any of the sources had seen.
  const clockMs = sources.reduce((latest, { bytes }) => Math.max(latest, clockOf(bytes)), Number.NEGATIVE_INFINITY);
  const writer = new ByteWriter(entries.reduce((sum, { start, end }) => sum + end - start, headBytes));
  const at = openBlock(writer, clockMs);
  for (const { bytes, start, end } of entries) writer.raw(bytes, start, end);
  closeBlock(writer, at);
  return { table: table.name, keyGroup, entryCount: entries.length, bytes: writer.buffer.subarray(0, writer.length) };
}

function clockOf(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readDoubleLE(clockAt);
}

/** For `CheckpointStore.open({ merging })`. */
export const entryMerging: EntryMerging = { split, join };
