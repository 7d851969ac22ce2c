// Keys of the spill store: [table u16][key group u16][namespace i64][key], big-endian, so that they sort by table, key group, namespace.
import { ByteWriter } from "../../base/bytes.ts";

const two32 = 4294967296;

/** Appends all but the key's own bytes. */
export function writeDiskKey(writer: ByteWriter, table: number, keyGroup: number, namespace: number): void {
  const at = writer.reserve(12);
  const { buffer } = writer;
  buffer[at] = table >>> 8;
  buffer[at + 1] = table;
  buffer[at + 2] = keyGroup >>> 8;
  buffer[at + 3] = keyGroup;
  // With its sign bit turned, the two's complement sorts as the number does.
  const high = (Math.floor(namespace / two32) ^ 0x80000000) | 0;
  const low = namespace | 0;
  buffer[at + 4] = high >>> 24;
  buffer[at + 5] = high >>> 16;
  buffer[at + 6] = high >>> 8;
  buffer[at + 7] = high;
  buffer[at + 8] = low >>> 24;
  buffer[at + 9] = low >>> 16;
  buffer[at + 10] = low >>> 8;
  buffer[at + 11] = low;
  writer.length = at + 12;
}

/** What all keys of a table, or of a table's key group and namespace, begin with. */
export function keyPrefix(table: number, keyGroup?: number, namespace?: number): Uint8Array {
  const writer = new ByteWriter(16);
  writeDiskKey(writer, table, keyGroup ?? 0, namespace ?? 0);
  return writer.copy().subarray(0, keyGroup === undefined ? 2 : 12);
}
