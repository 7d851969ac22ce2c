// Builds one record batch (format v2) straight from byte ranges.
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { BatchBuffers } from "./batch-buffers.ts";
import { compress, compressionCode } from "./compression.ts";
import type { Compression } from "./compression.ts";
import { batchAttribute, batchChecksum, batchField, batchPrefixBytes, writeInt64 } from "./record-batch-header.ts";
import { varint64Size, varintSize, writeVarint, writeVarint64 } from "./varint-cursor.ts";

export interface BatchStamp {
  /** -1 without idempotence. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
}

export const noHeaders: RecordHeaders = [];
const firstBufferBytes = 4096;
const largeBytes = 16 * firstBufferBytes;
const copyLoopBytes = 24;
// Faster than setting a subarray: it makes no view in JavaScript. Works on any byte array.
const copyBytes = Buffer.prototype.copy;

export class RecordBatchBuilder {
  readonly #limitBytes: number;
  readonly #compression: Compression;
  readonly #buffers: BatchBuffers | undefined;
  #buffer: Buffer;
  #length: number = batchField.records;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;

  /**
   * `limitBytes` bounds the batch before compression; a single larger record still makes a batch of its own. A batch that is
   * expected to become large, or does, takes a buffer of `buffers`, whose size is the limit.
   */
  constructor(limitBytes: number, compression: Compression, buffers?: BatchBuffers, expectedBytes = 0) {
    this.#limitBytes = limitBytes;
    this.#compression = compression;
    this.#buffers = buffers;
    this.#buffer = expectedBytes > largeBytes ? this.#full() : Buffer.allocUnsafeSlow(Math.min(limitBytes, firstBufferBytes));
  }

  #full(): Buffer {
    return this.#buffers?.take() ?? Buffer.allocUnsafeSlow(this.#limitBytes);
  }

  get count(): number {
    return this.#count;
  }

  /** Size of the batch so far, before compression. */
  get sizeBytes(): number {
    return this.#length;
  }

  /**
   * Adds a record: ranges are copied; a start of -1 is null. False when it does not fit: finish this batch and add it to the
   * next. `timestampMs` is a whole number.
   */
  append(
    timestampMs: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    headers: RecordHeaders,
  ): boolean {
    const timestampDelta = this.#count === 0 ? 0 : timestampMs - this.#baseTimestamp;
    const keyLength = keyStart < 0 ? -1 : keyEnd - keyStart;
    const valueLength = valueStart < 0 ? -1 : valueEnd - valueStart;
    const bodyBytes =
      1 +
      varint64Size(timestampDelta) +
      varintSize(this.#count) +
      varintSize(keyLength) +
      Math.max(0, keyLength) +
      varintSize(valueLength) +
      Math.max(0, valueLength) +
      (headers.length === 0 ? 1 : headersSize(headers));
    const needed = this.#length + varintSize(bodyBytes) + bodyBytes;
    if (needed > this.#limitBytes && this.#count > 0) return false;
    if (needed > this.#buffer.length) this.#grow(needed);
    if (this.#count === 0) {
      this.#baseTimestamp = timestampMs;
      this.#maxTimestamp = timestampMs;
    } else if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs;
    const target = this.#buffer;
    let at = writeVarint(target, this.#length, bodyBytes);
    target[at++] = 0;
    at = writeVarint64(target, at, timestampDelta);
    at = writeVarint(target, at, this.#count);
    at = writeVarint(target, at, keyLength);
    if (keyLength > 0) at = copyRange(target, at, key, keyStart, keyEnd);
    at = writeVarint(target, at, valueLength);
    if (valueLength > 0) at = copyRange(target, at, value, valueStart, valueEnd);
    this.#length = headers.length === 0 ? writeVarint(target, at, 0) : writeHeaders(target, at, headers);
    this.#count++;
    return true;
  }

  #grow(needed: number): void {
    // Straight to the limit from some size on: a batch that has grown so far will most likely become full.
    const toLimit = this.#length > largeBytes && needed <= this.#limitBytes;
    const size = Math.max(needed, Math.min(this.#buffer.length * 4, this.#limitBytes));
    const grown = toLimit || size === this.#limitBytes ? this.#full() : Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  /** The finished batch: a view of this builder's buffer unless it was compressed. The builder takes no more records. */
  finish(stamp: BatchStamp): Buffer {
    if (this.#count === 0) throw new Error("a record batch without records was finished");
    const batch = this.#compressed();
    writeInt64(batch, 0, batchField.baseOffset);
    batch.writeInt32BE(batch.length - batchPrefixBytes, batchField.length);
    batch.writeInt32BE(-1, batchField.leaderEpoch);
    batch[batchField.magic] = 2;
    const attributes = compressionCode(this.#compression) | (stamp.transactional ? batchAttribute.transactional : 0);
    batch.writeInt16BE(attributes, batchField.attributes);
    batch.writeInt32BE(this.#count - 1, batchField.lastOffsetDelta);
    writeInt64(batch, this.#baseTimestamp, batchField.baseTimestamp);
    writeInt64(batch, this.#maxTimestamp, batchField.maxTimestamp);
    writeInt64(batch, stamp.producerId, batchField.producerId);
    batch.writeInt16BE(stamp.producerEpoch, batchField.producerEpoch);
    batch.writeInt32BE(stamp.baseSequence, batchField.baseSequence);
    batch.writeInt32BE(this.#count, batchField.recordCount);
    batch.writeUInt32BE(batchChecksum(batch, 0, batch.length), batchField.crc);
    return batch;
  }

  #compressed(): Buffer {
    if (this.#compression === "none") return this.#buffer.subarray(0, this.#length);
    const records = compress(this.#compression, this.#buffer.subarray(batchField.records, this.#length));
    const batch = Buffer.allocUnsafeSlow(batchField.records + records.length);
    records.copy(batch, batchField.records);
    this.#buffers?.give(this.#buffer);
    return batch;
  }
}

function copyRange(target: Buffer, at: number, source: Uint8Array, start: number, end: number): number {
  const length = end - start;
  // A loop beats the native call for the short ranges that keys are.
  if (length < copyLoopBytes) for (let i = start, o = at; i < end; i++, o++) target[o] = source[i] as number;
  else copyBytes.call(source, target, at, start, end);
  return at + length;
}

/** The size of an uncompressed batch with one record alone; a length of -1 is null. */
export function loneBatchBytes(keyLength: number, valueLength: number, headers: RecordHeaders): number {
  const sized = (length: number): number => varintSize(length) + Math.max(0, length);
  // Attributes, and the differences of time and number, which are 0.
  const bodyBytes = 3 + sized(keyLength) + sized(valueLength) + (headers.length === 0 ? 1 : headersSize(headers));
  return batchField.records + varintSize(bodyBytes) + bodyBytes;
}

function headersSize(headers: RecordHeaders): number {
  let size = varintSize(headers.length);
  for (const [key, value] of headers) {
    const keyLength = Buffer.byteLength(key);
    size += varintSize(keyLength) + keyLength + varintSize(value?.length ?? -1) + (value?.length ?? 0);
  }
  return size;
}

function writeHeaders(target: Buffer, start: number, headers: RecordHeaders): number {
  let at = writeVarint(target, start, headers.length);
  for (const [key, value] of headers) {
    at = writeVarint(target, at, Buffer.byteLength(key));
    at += target.write(key, at, "utf8");
    at = writeVarint(target, at, value?.length ?? -1);
    if (value !== null) {
      target.set(value, at);
      at += value.length;
    }
  }
  return at;
}
