// The block that a record batch reader fills: ranges over fetched bytes, in arrays that are reused from block to block.
import type { RawRecords, RecordHeaders } from "../../../core/batch/raw-records.ts";
import { VarintCursor } from "./varint-cursor.ts";

const noBytes: Buffer = Buffer.alloc(0);

export class RecordBlock implements RawRecords {
  splitId = "";
  count = 0;
  bytes: Buffer = noBytes;
  capacity: number;
  keyStart: Int32Array;
  keyEnd: Int32Array;
  valueStart: Int32Array;
  valueEnd: Int32Array;
  timestampMs: Float64Array;
  position: Float64Array;
  /** Where each record's headers begin: their count, then the headers. */
  headersStart: Int32Array;
  readonly headersOf: (index: number) => RecordHeaders;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.keyStart = new Int32Array(capacity);
    this.keyEnd = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.headersStart = new Int32Array(capacity);
    this.timestampMs = new Float64Array(capacity);
    this.position = new Float64Array(capacity);
    this.headersOf = (index) => readHeaders(this.bytes, this.headersStart[index] as number);
  }

  /** Makes room for `capacity` records; what the block held is lost. */
  ensure(capacity: number): void {
    if (capacity <= this.capacity) return;
    this.capacity = capacity;
    this.keyStart = new Int32Array(capacity);
    this.keyEnd = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.headersStart = new Int32Array(capacity);
    this.timestampMs = new Float64Array(capacity);
    this.position = new Float64Array(capacity);
  }
}

/** Decodes the headers at `start`; the walker has checked that they are whole. */
function readHeaders(bytes: Buffer, start: number): RecordHeaders {
  const cursor = new VarintCursor(bytes);
  cursor.position = start;
  const count = cursor.int32();
  const headers: (readonly [string, Uint8Array | null])[] = [];
  for (let i = 0; i < count; i++) {
    const keyLength = cursor.int32();
    const key = bytes.toString("utf8", cursor.position, cursor.position + keyLength);
    cursor.position += keyLength;
    const length = cursor.int32();
    if (length < 0) headers.push([key, null]);
    else {
      headers.push([key, bytes.subarray(cursor.position, cursor.position + length)]);
      cursor.position += length;
    }
  }
  return headers;
}

/** Where the headers at `start` end, or -1 when they are not whole within `end`. */
export function headersEnd(cursor: VarintCursor, end: number): number {
  const count = cursor.int32();
  if (count < 0 || count > end - cursor.position) return -1;
  for (let i = 0; i < count; i++) {
    const keyLength = cursor.int32();
    if (keyLength < 0 || keyLength > end - cursor.position) return -1;
    cursor.position += keyLength;
    const length = cursor.int32();
    if (length < -1 || length > end - cursor.position) return -1;
    if (length > 0) cursor.position += length;
  }
  return cursor.position <= end ? cursor.position : -1;
}
