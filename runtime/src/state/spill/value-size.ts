// About how much memory the texts and objects in the columns of a table take: measured on a few slots, multiplied up.
import type { Column } from "../../core/batch/column.ts";
import type { SlotTable } from "../slots/slot-table.ts";

const sampleSize = 32;
// A string's or an object's header, and the pointer to it.
const headerBytes = 24;

/** Bytes of the texts and objects of a table's live slots. `seed` moves the sample. */
export function sampledBytes(table: SlotTable, seed: number): number {
  const columns = table.columns.filter(({ kind }) => kind === "text" || kind === "object");
  let bytes = 0;
  for (const { exact } of table.columns) bytes += (exact?.size ?? 0) * 64;
  if (columns.length === 0 || table.count === 0) return bytes;
  let sampled = 0;
  let sum = 0;
  const { flags, highWater } = table;
  const step = Math.max(1, Math.floor(highWater / sampleSize));
  for (let slot = seed % step; slot < highWater; slot += step) {
    if (flags[slot] === 0) continue;
    sampled++;
    for (const column of columns) sum += column.kind === "text" ? textBytes(column, slot) : objectBytes(column.objects[slot], 0);
  }
  return bytes + (sampled === 0 ? 0 : (sum / sampled) * table.count);
}

function textBytes(column: Column, slot: number): number {
  const text = column.texts[slot];
  return text === undefined || text === "" ? 0 : headerBytes + text.length;
}

function objectBytes(value: unknown, depth: number): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === "string") return headerBytes + value.length;
  if (typeof value !== "object") return 16;
  if (depth > 8) return headerBytes;
  if (ArrayBuffer.isView(value)) return 96 + value.byteLength;
  const parts: Iterable<unknown> =
    value instanceof Map ? [...value.keys(), ...value.values()] : value instanceof Set ? value : Object.values(value);
  let bytes = headerBytes * 2;
  for (const part of parts) bytes += 8 + objectBytes(part, depth + 1);
  return bytes;
}
