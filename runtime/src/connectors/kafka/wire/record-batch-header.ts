// The fixed head of a record batch, format v2 (KIP-98): where its fields are and what its attribute bits say.
import { crc32c } from "@node-rs/crc32";

/** Offsets of the fields from the batch's start. */
export const batchField = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const;

/** Offset and length: what is needed to know where a batch ends. */
export const batchPrefixBytes = 12;
/** No record takes less: length, attributes, two deltas, two lengths, header count. */
export const leastRecordBytes = 7;

export const batchAttribute = { compression: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;

/** A signed 64-bit big-endian number as a double; exact within the safe integers. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);
}

export function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / 4294967296), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

/** The checksum of the batch in `bytes[start, end)`: CRC-32C over all that follows its own field. */
export function batchChecksum(bytes: Buffer, start: number, end: number): number {
  return crc32c(bytes.subarray(start + batchField.attributes, end));
}

/** Gives a finished batch another producer, and its checksum with it: for sending the same records in a later transaction. */
export function restampBatch(batch: Buffer, producerId: number, producerEpoch: number, baseSequence: number): void {
  writeInt64(batch, producerId, batchField.producerId);
  batch.writeInt16BE(producerEpoch, batchField.producerEpoch);
  batch.writeInt32BE(baseSequence, batchField.baseSequence);
  batch.writeUInt32BE(batchChecksum(batch, 0, batch.length), batchField.crc);
}

/** The number of records of a batch. */
export function batchRecordCount(batch: Buffer): number {
  return batch.readInt32BE(batchField.recordCount);
}
