// The shape of a record: which keys it has, in which order, and the exact bytes between its values. Records of one producer
// mostly share theirs, so code generated for a shape compares those bytes a word at a time instead of reading them.
import { skipSpace, skipString, skipValue } from "./scan.ts";
import type { KeyTable } from "./wire-fields.ts";

export interface ShapeEntry {
  /** The bytes from the value before (or the record's start) to this value: `,"price":`. */
  readonly before: Buffer;
  /** The field, or -1 for a key that no field has. */
  readonly field: number;
  /** True where the sample's value was text. */
  readonly text: boolean;
}

export interface RecordShape {
  readonly entries: readonly ShapeEntry[];
  /** The bytes after the last value. */
  readonly after: Buffer;
}

/** The shape of a record that the general path has read, so without repeated fields and escaped keys; undefined for one without entries. */
export function shapeOf(bytes: Buffer, start: number, end: number, keys: KeyTable): RecordShape | undefined {
  const entries: ShapeEntry[] = [];
  let valueEnd = start;
  let at = skipSpace(bytes, skipSpace(bytes, start, end) + 1, end);
  while (at < end && bytes[at] === 0x22) {
    const keyEnd = skipString(bytes, at, end);
    const colon = skipSpace(bytes, keyEnd, end);
    const value = skipSpace(bytes, colon + 1, end);
    const field = keys.find(bytes, at + 1, keyEnd - 1);
    entries.push({ before: Buffer.from(bytes.subarray(valueEnd, value)), field, text: bytes[value] === 0x22 });
    valueEnd = skipValue(bytes, value, end);
    if (valueEnd < 0) return undefined;
    at = skipSpace(bytes, valueEnd, end);
    if (bytes[at] !== 0x2c) break;
    at = skipSpace(bytes, at + 1, end);
  }
  return entries.length === 0 ? undefined : { entries, after: Buffer.from(bytes.subarray(valueEnd, end)) };
}
