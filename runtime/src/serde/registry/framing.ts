// Confluent's wire format: a zero byte and the schema's id before the record's own bytes.

/** Bytes before the payload. */
export const frameBytes = 5;

/** The schema id of a framed record; -1 where it is not framed. */
export function frameId(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < frameBytes || bytes[start] !== 0) return -1;
  const high = bytes[start + 1] as number;
  return high * 0x1000000 + (((bytes[start + 2] as number) << 16) | ((bytes[start + 3] as number) << 8) | (bytes[start + 4] as number));
}

/** The five bytes before a record of schema `id`. */
export function frameOf(id: number): Buffer {
  const frame = Buffer.alloc(frameBytes);
  frame.writeUInt32BE(id, 1);
  return frame;
}
