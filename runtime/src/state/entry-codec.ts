// The bytes of state entries: one record per change, and blocks of them with a checksum. docs/reference/snapshot-format.md describes them.
import { crc32 } from "node:zlib";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { ByteReader as Reader } from "../base/bytes.ts";
import type { StateBlock } from "../core/ports/state-backend.ts";
import type { SubKey } from "../core/ports/state.ts";
import { corruptState } from "./state-errors.ts";

const formatVersion = 1;
const headerBytes = 5;
const opDelete = 1;
const hasNamespace = 2;
const namespaceNegative = 4;
const subKeyNegative = 8;
const hasStamp = 16;
const knownBits = 31;

/** What identifies the entries of a table, by slot. */
export interface EntryIdentity {
  readonly integerKey: boolean;
  readonly subKey: "number" | "string" | undefined;
  hashOf(slot: number): number;
  namespaceOf(slot: number): number;
  keyLength(slot: number): number;
  writeKey(slot: number, writer: ByteWriter): void;
  subKeyOf(slot: number): SubKey;
}

/** Writes a change's control byte, namespace, key and sub-key; a put's stamp and value follow. */
export function writeEntryHead(writer: ByteWriter, ids: EntryIdentity, slot: number, isDelete: boolean, stampMs: number | undefined): void {
  const namespace = ids.namespaceOf(slot);
  let control = isDelete ? opDelete : 0;
  if (namespace !== 0) control |= namespace < 0 ? hasNamespace | namespaceNegative : hasNamespace;
  const sub = ids.subKey === undefined ? undefined : ids.subKeyOf(slot);
  if (typeof sub === "number" && sub < 0) control |= subKeyNegative;
  if (stampMs !== undefined) control |= hasStamp;
  writer.u8(control);
  if (namespace !== 0) writer.varint(namespace < 0 ? -namespace : namespace);
  if (!ids.integerKey) writer.varint(ids.keyLength(slot));
  ids.writeKey(slot, writer);
  if (sub !== undefined) {
    if (typeof sub === "number") writer.varint(sub < 0 ? -sub : sub);
    else writer.string(sub);
  }
  if (stampMs !== undefined) writer.f64(stampMs);
}

/** Opens a block in `writer` and returns where it starts; `closeBlock` completes it. */
export function openBlock(writer: ByteWriter, clockMs: number): number {
  const start = writer.length;
  writer.u8(formatVersion);
  writer.u32(0);
  writer.f64(clockMs);
  return start;
}

/** Fills in the checksum of the block that starts at `start` and ends where the writer stands. */
export function closeBlock(writer: ByteWriter, start: number): void {
  writer.buffer.writeUInt32LE(crc32(writer.buffer.subarray(start + headerBytes, writer.length)), start + 1);
}

/** One decoded change. The object, and the bytes of its key, are the cursor's: valid until its next `read`. */
export interface EntryCursor {
  isDelete: boolean;
  namespace: number;
  /** The key's canonical bytes are `[keyStart, keyEnd)` of the reader's buffer. */
  keyStart: number;
  keyEnd: number;
  subKey: SubKey;
  stampMs: number;
}

export function entryCursor(): EntryCursor {
  return { isDelete: false, namespace: 0, keyStart: 0, keyEnd: 0, subKey: 0, stampMs: Number.NEGATIVE_INFINITY };
}

/** Reads what `writeEntryHead` wrote; a put's value is next in the reader. */
export function readEntryHead(reader: ByteReader, cursor: EntryCursor, integerKey: boolean, subKey: "number" | "string" | undefined): void {
  const control = reader.u8();
  if ((control & ~knownBits) !== 0) throw new RangeError(`entry with unknown marks ${control}`);
  cursor.isDelete = (control & opDelete) !== 0;
  const namespace = (control & hasNamespace) === 0 ? 0 : reader.varint();
  cursor.namespace = (control & namespaceNegative) === 0 ? namespace : -namespace;
  const length = integerKey ? 8 : reader.varint();
  if (length > reader.remaining) throw new RangeError(`key of ${length} bytes passes the end`);
  cursor.keyStart = reader.position;
  reader.position += length;
  cursor.keyEnd = reader.position;
  if (subKey === "number") {
    const sub = reader.varint();
    cursor.subKey = (control & subKeyNegative) === 0 ? sub : -sub;
  } else if (subKey === "string") cursor.subKey = reader.string();
  cursor.stampMs = (control & hasStamp) === 0 ? Number.NEGATIVE_INFINITY : reader.f64();
}

/** Checks a block and calls `visit` for each entry, which must read exactly the entry's value. Returns the clock the block was written at. */
export function readBlock(
  block: StateBlock,
  subject: string,
  integerKey: boolean,
  subKey: "number" | "string" | undefined,
  visit: (cursor: EntryCursor, reader: ByteReader) => void,
): number {
  const where = `${subject}, key group ${block.keyGroup}`;
  const reader = new Reader(block.bytes);
  try {
    const version = reader.u8();
    if (version !== formatVersion) throw corruptState(where, `its block has format version ${version}, not ${formatVersion}`);
    const checksum = reader.u32();
    const actual = crc32(reader.buffer.subarray(reader.position));
    if (checksum !== actual) throw corruptState(where, "the checksum of a block does not match its bytes");
    const clockMs = reader.f64();
    const cursor = entryCursor();
    for (let i = 0; i < block.entryCount; i++) {
      readEntryHead(reader, cursor, integerKey, subKey);
      visit(cursor, reader);
    }
    if (reader.remaining !== 0) throw corruptState(where, `${reader.remaining} bytes follow the last of ${block.entryCount} entries`);
    return clockMs;
  } catch (error) {
    if (error instanceof RangeError) throw corruptState(where, `a block cannot be read: ${error.message}`, error);
    throw error;
  }
}
