// Walks fetched record batches (format v2) in place: checks each batch, skips what a reader must not see, and gives ranges over the bytes.
import { MillraceError } from "../../../base/errors.ts";
import { AbortedFilter } from "./aborted-filter.ts";
import { compressionOf, decompress } from "./compression.ts";
import type { AbortedTransaction } from "./data-apis.ts";
import { batchAttribute, batchChecksum, batchField, batchPrefixBytes, leastRecordBytes, readInt64 } from "./record-batch-header.ts";
import { headersEnd } from "./record-block.ts";
import type { RecordBlock } from "./record-block.ts";
import { VarintCursor } from "./varint-cursor.ts";

export interface RecordBatchReaderOptions {
  /** Drops the records of aborted transactions. */
  readonly readCommitted: boolean;
  /** A compressed batch that would become larger is refused. Default 128 MiB. */
  readonly maxInflatedBytes?: number;
}

const defaultMaxInflatedBytes = 128 * 1024 * 1024;
const noBytes: Buffer = Buffer.alloc(0);

/** The reader of one partition. `open` it on a fetched range, then `readInto` blocks until one stays empty. */
export class RecordBatchReader {
  readonly splitId: string;
  readonly #readCommitted: boolean;
  readonly #maxInflatedBytes: number;
  readonly #aborted: AbortedFilter = new AbortedFilter();
  #fetched: Buffer = noBytes;
  #at = 0;
  #end = 0;
  #fromOffset = 0;
  // The batch that is being walked: its (decompressed) records and what is left of them.
  readonly #cursor: VarintCursor = new VarintCursor(noBytes);
  #records: Buffer = noBytes;
  #recordsEnd = 0;
  #left = 0;
  #baseOffset = 0;
  #lastOffsetDelta = 0;
  #baseTimestamp = 0;
  #appendTime = Number.NaN;
  /** The offset after all that was handed out or skipped: where the partition goes on. */
  nextOffset = 0;
  /** The leader epoch of the last batch that was opened; -1 before the first. */
  leaderEpoch = -1;

  constructor(splitId: string, options: RecordBatchReaderOptions) {
    this.splitId = splitId;
    this.#readCommitted = options.readCommitted;
    this.#maxInflatedBytes = options.maxInflatedBytes ?? defaultMaxInflatedBytes;
  }

  /** Begins with `bytes[start, end)`, which the broker gave for a fetch from `fromOffset`; records before that are left out. */
  open(bytes: Buffer, start: number, end: number, fromOffset: number, aborted: readonly AbortedTransaction[]): void {
    this.#fetched = bytes;
    this.#at = start;
    this.#end = end;
    this.#fromOffset = fromOffset;
    this.#left = 0;
    this.nextOffset = fromOffset;
    this.#aborted.reset(aborted);
  }

  /** Lets go of the fetched bytes. */
  clear(): void {
    this.open(noBytes, 0, 0, this.nextOffset, []);
    this.#records = noBytes;
    this.#cursor.bytes = noBytes;
  }

  /**
   * Fills `block` with up to `maxRecords` records over one buffer and returns how many; 0 at the end of the range. A batch that
   * is cut off at the end is left for the next fetch. Throws KAFKA_RECORDS_CORRUPT when the bytes are not what was written.
   */
  readInto(block: RecordBlock, maxRecords: number): number {
    const limit = Math.min(maxRecords, block.capacity);
    block.splitId = this.splitId;
    block.count = 0;
    while (block.count < limit) {
      if (this.#left === 0 && !this.#openBatch(block)) break;
      block.bytes = this.#records;
      this.#walk(block, limit);
    }
    return block.count;
  }

  /** Opens the next batch with records to hand out. False at the end, or when its bytes are in another buffer than the block's. */
  #openBatch(block: RecordBlock): boolean {
    const bytes = this.#fetched;
    for (;;) {
      const at = this.#at;
      if (this.#end - at < batchPrefixBytes) return false;
      const length = bytes.readInt32BE(at + batchField.length);
      if (length < batchField.records - batchPrefixBytes) throw this.#corrupt(at, `a batch of ${length} bytes is too short`);
      const batchEnd = at + batchPrefixBytes + length;
      if (batchEnd > this.#end) return false;
      const baseOffset = readInt64(bytes, at);
      const attributes = bytes.readInt16BE(at + batchField.attributes);
      const compression = attributes & batchAttribute.compression;
      if (block.count > 0 && (compression !== 0 || block.bytes !== bytes)) return false;
      this.#check(bytes, at, batchEnd);
      const lastOffset = baseOffset + bytes.readInt32BE(at + batchField.lastOffsetDelta);
      const wanted = lastOffset >= this.#fromOffset && this.#isVisible(bytes, at, batchEnd, attributes, lastOffset);
      if (wanted) this.#enter(bytes, at, batchEnd, attributes, compression);
      this.#at = batchEnd;
      if (wanted && this.#left > 0) return true;
      // A batch without records to show (compacted away, aborted, a marker) still moves the position.
      this.nextOffset = Math.max(this.nextOffset, lastOffset + 1);
    }
  }

  #check(bytes: Buffer, at: number, batchEnd: number): void {
    const magic = bytes[at + batchField.magic];
    if (magic !== 2) {
      throw new MillraceError(
        "KAFKA_FORMAT_UNSUPPORTED",
        `split ${this.splitId}`,
        `the batch at offset ${readInt64(bytes, at)} has message format v${magic}`,
        "only v2 (Kafka 0.11 and newer) is read: have the topic written again by a newer producer",
      );
    }
    if (bytes.readUInt32BE(at + batchField.crc) !== batchChecksum(bytes, at, batchEnd))
      throw this.#corrupt(at, "its checksum does not match");
    const count = bytes.readInt32BE(at + batchField.recordCount);
    const lastOffsetDelta = bytes.readInt32BE(at + batchField.lastOffsetDelta);
    if (count < 0 || lastOffsetDelta < 0) throw this.#corrupt(at, `it claims ${count} records up to offset delta ${lastOffsetDelta}`);
    if (!Number.isSafeInteger(readInt64(bytes, at) + lastOffsetDelta)) throw this.#corrupt(at, "its offset is not a safe integer");
  }

  #isVisible(bytes: Buffer, at: number, batchEnd: number, attributes: number, lastOffset: number): boolean {
    const producerId = readInt64(bytes, at + batchField.producerId);
    const dropped = this.#readCommitted && this.#aborted.drops(producerId, lastOffset);
    if (attributes & batchAttribute.control) {
      if (isAbortMarker(bytes, at + batchField.records, batchEnd)) this.#aborted.ended(producerId);
      return false;
    }
    return !(dropped && attributes & batchAttribute.transactional);
  }

  #enter(bytes: Buffer, at: number, batchEnd: number, attributes: number, code: number): void {
    const count = bytes.readInt32BE(at + batchField.recordCount);
    this.#records = bytes;
    this.#recordsEnd = batchEnd;
    this.#cursor.position = at + batchField.records;
    if (code !== 0) {
      this.#records = this.#inflate(bytes, at, batchEnd, code);
      this.#recordsEnd = this.#records.length;
      this.#cursor.position = 0;
    }
    if (count * leastRecordBytes > this.#recordsEnd - this.#cursor.position)
      throw this.#corrupt(at, `it is too short for ${count} records`);
    this.#cursor.bytes = this.#records;
    this.#left = count;
    this.#baseOffset = readInt64(bytes, at);
    this.#lastOffsetDelta = bytes.readInt32BE(at + batchField.lastOffsetDelta);
    this.#baseTimestamp = readInt64(bytes, at + batchField.baseTimestamp);
    this.#appendTime = attributes & batchAttribute.logAppendTime ? readInt64(bytes, at + batchField.maxTimestamp) : Number.NaN;
    this.leaderEpoch = bytes.readInt32BE(at + batchField.leaderEpoch);
  }

  #inflate(bytes: Buffer, at: number, batchEnd: number, code: number): Buffer {
    const compression = compressionOf(code);
    if (compression === undefined) throw this.#corrupt(at, `compression ${code} does not exist`);
    try {
      return decompress(compression, bytes.subarray(at + batchField.records, batchEnd), this.#maxInflatedBytes);
    } catch (cause) {
      throw this.#corrupt(at, `its ${compression} data does not decompress within ${this.#maxInflatedBytes} bytes`, cause);
    }
  }

  #walk(block: RecordBlock, limit: number): void {
    const { keyStart, keyEnd, valueStart, valueEnd, headersStart, timestampMs, position } = block;
    const cursor = this.#cursor;
    const bytes = this.#records;
    const end = this.#recordsEnd;
    const baseOffset = this.#baseOffset;
    const baseTimestamp = this.#baseTimestamp;
    const appendTime = this.#appendTime;
    const fixedTime = !Number.isNaN(appendTime);
    let left = this.#left;
    let count = block.count;
    let lastOffset = this.nextOffset - 1;
    while (left > 0 && count < limit) {
      const length = cursor.int32();
      const recordEnd = cursor.position + length;
      if (length < leastRecordBytes - 1 || recordEnd > end) throw this.#corruptRecord(left, "its length does not fit the batch");
      cursor.position++;
      const timestampDelta = cursor.int64();
      const offsetDelta = cursor.int32();
      if (offsetDelta < 0 || offsetDelta > this.#lastOffsetDelta) throw this.#corruptRecord(left, "its offset is outside of the batch");
      const keyLength = cursor.int32();
      const keyAt = cursor.position;
      if (keyLength > recordEnd - keyAt || keyLength < -1) throw this.#corruptRecord(left, "its key does not fit");
      if (keyLength > 0) cursor.position = keyAt + keyLength;
      const valueLength = cursor.int32();
      const valueAt = cursor.position;
      if (valueLength > recordEnd - valueAt || valueLength < -1) throw this.#corruptRecord(left, "its value does not fit");
      const headersAt = valueLength > 0 ? valueAt + valueLength : valueAt;
      // Nearly all records have no headers: one zero byte that ends the record.
      if (headersAt + 1 !== recordEnd || bytes[headersAt] !== 0) {
        cursor.position = headersAt;
        if (headersEnd(cursor, recordEnd) !== recordEnd) throw this.#corruptRecord(left, "its headers do not fit");
      }
      cursor.position = recordEnd;
      left--;
      const offset = baseOffset + offsetDelta;
      if (offset < this.#fromOffset) continue;
      keyStart[count] = keyLength < 0 ? -1 : keyAt;
      keyEnd[count] = keyAt + keyLength;
      valueStart[count] = valueLength < 0 ? -1 : valueAt;
      valueEnd[count] = headersAt;
      headersStart[count] = headersAt;
      timestampMs[count] = fixedTime ? appendTime : baseTimestamp + timestampDelta;
      position[count] = offset;
      lastOffset = offset;
      count++;
    }
    block.count = count;
    this.#left = left;
    this.nextOffset = left > 0 ? lastOffset + 1 : Math.max(lastOffset, baseOffset + this.#lastOffsetDelta) + 1;
  }

  #corruptRecord(left: number, problem: string): MillraceError {
    return this.#corruptAt(this.#baseOffset, `a record of it, ${left} before its end, is damaged: ${problem}`);
  }

  #corrupt(at: number, problem: string, cause?: unknown): MillraceError {
    return this.#corruptAt(readInt64(this.#fetched, at), problem, cause);
  }

  #corruptAt(offset: number, problem: string, cause?: unknown): MillraceError {
    return new MillraceError(
      "KAFKA_RECORDS_CORRUPT",
      `split ${this.splitId}`,
      `the batch at offset ${offset} is damaged: ${problem}`,
      "check the broker's log; to go on without it, start the split at a later offset",
      { cause },
    );
  }
}

/** A control batch holds one record whose key is a version and a type: 0 aborts, 1 commits. */
function isAbortMarker(bytes: Buffer, start: number, end: number): boolean {
  const cursor = new VarintCursor(bytes);
  cursor.position = start;
  cursor.int32();
  cursor.position++;
  cursor.int64();
  cursor.int32();
  const keyLength = cursor.int32();
  return keyLength >= 4 && cursor.position + 4 <= end && bytes.readInt16BE(cursor.position + 2) === 0;
}
