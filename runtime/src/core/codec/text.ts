// Text as UTF-8, read strictly: bytes that are not UTF-8 are damage and throw, so they never become another text.
import type { ByteReader } from "../../base/bytes.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of `buffer[start, end)`; throws RangeError where the bytes are not UTF-8. */
export function utf8Text(buffer: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if ((buffer[i] as number) > 0x7f) {
      try {
        return strict.decode(buffer.subarray(start, end));
      } catch (error) {
        throw new RangeError(`the ${end - start} bytes at ${start} are not UTF-8`, { cause: error });
      }
    }
  }
  return buffer.toString("latin1", start, end);
}

/** Throws RangeError where the bytes `[start, end)` of a reader's buffer are not UTF-8: for text that stays where it is. */
export function assertUtf8(reader: ByteReader, start: number, end: number): void {
  const { data } = reader;
  let at = start;
  while (at + 4 <= end && (data.getInt32(at, true) & 0x80808080) === 0) at += 4;
  while (at < end && data.getUint8(at) < 0x80) at++;
  if (at < end) utf8Text(reader.buffer, start, end);
}

/** Moves past `length` bytes and returns where they start; throws RangeError where they pass the end. */
export function take(reader: ByteReader, length: number): number {
  const at = reader.position;
  if (length > reader.end - at) throw new RangeError(`read of ${length} bytes at ${at} passes the end at ${reader.end}`);
  reader.position = at + length;
  return at;
}

/** Reads a varint length and that many bytes of UTF-8. */
export function readText(reader: ByteReader): string {
  const length = reader.varint();
  const at = take(reader, length);
  return utf8Text(reader.buffer, at, at + length);
}
