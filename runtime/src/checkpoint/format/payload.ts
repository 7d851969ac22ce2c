// Lists of binary entries as one payload: a count, then a key and a value each.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import { snapshotCorrupt } from "./snapshot-errors.ts";

/** Payloads up to this size are kept inside the manifest. */
export const inlineBytes = 2048;

export function encodeEntries(entries: readonly OperatorStateEntry[]): Buffer {
  const writer = new ByteWriter(256);
  writer.varint(entries.length);
  for (const { key, value } of entries) {
    writer.string(key);
    writer.bytes(value);
  }
  return writer.copy();
}

/** Throws SNAPSHOT_CORRUPT, naming `file`. */
export function decodeEntries(bytes: Uint8Array, file: string): OperatorStateEntry[] {
  try {
    const reader = new ByteReader(bytes);
    const entries: OperatorStateEntry[] = [];
    for (let left = reader.varint(); left > 0; left--) entries.push({ key: reader.string(), value: Uint8Array.from(reader.bytes()) });
    if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes follow the last entry`);
    return entries;
  } catch (error) {
    throw snapshotCorrupt(file, 0, `a list of operator state cannot be read (${String(error)})`, error);
  }
}
