// What every decoder starts with: empty rows for the records of a block.
import { type Rows, noTime } from "../core/batch/batch.ts";
import type { RawRecords } from "../core/batch/raw-records.ts";

/** The bytes of a block as a Buffer, which is what text columns hold. */
export function blockBytes(records: RawRecords): Buffer {
  const { bytes } = records;
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Empties `rows` and gives them one row per record, with the records' timestamps. */
export function freshRows(records: RawRecords, rows: Rows): void {
  const { count, timestampMs } = records;
  rows.reset();
  rows.ensure(count);
  rows.size = count;
  rows.origin = records;
  for (let row = 0; row < count; row++) {
    const timeMs = timestampMs[row] as number;
    rows.times[row] = Number.isNaN(timeMs) ? noTime : timeMs;
  }
}
