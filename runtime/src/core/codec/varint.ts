// Integers as zigzag LEB128 varints: small ones take one byte, any int64 at most ten, and numbers and bigints share one form.
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { Column } from "../batch/column.ts";

const two32 = 4294967296;
/** The most bytes that a 64-bit integer takes. */
export const maxVarintBytes = 10;
// 512 bytes hold more than 1,000 decimal digits; longer ones are damage, not data.
const maxBigVarintBytes = 512;

/** Writes a safe integer at `at`, where `maxVarintBytes` are free; returns the position after it. */
export function putInteger(buffer: Uint8Array, at: number, value: number): number {
  const low = value | 0;
  if (low !== value) return putWords(buffer, at, low, Math.floor(value / two32) | 0);
  let p = at;
  let rest = ((low << 1) ^ (low >> 31)) >>> 0;
  while (rest > 0x7f) {
    buffer[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[p++] = rest;
  return p;
}

/** Writes the 64-bit two's-complement integer `high`·2^32 + `low` at `at`; returns the position after it. */
function putWords(buffer: Uint8Array, at: number, low: number, high: number): number {
  let p = at;
  const sign = high >> 31;
  let lo = ((low << 1) ^ sign) >>> 0;
  let hi = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
  while (hi !== 0) {
    buffer[p++] = (lo & 0x7f) | 0x80;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  while (lo > 0x7f) {
    buffer[p++] = (lo & 0x7f) | 0x80;
    lo >>>= 7;
  }
  buffer[p++] = lo;
  return p;
}

/** Writes a bigint of 64 bits at `at`, where `maxVarintBytes` are free; returns the position after it. */
export function putInt64(buffer: Uint8Array, at: number, value: bigint): number {
  return putWords(buffer, at, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** Appends a safe integer. */
export function writeInteger(writer: ByteWriter, value: number): void {
  const at = writer.reserve(maxVarintBytes);
  writer.length = putInteger(writer.buffer, at, value);
}

/** Appends a bigint of any size; one within 64 bits takes the same bytes as `putInt64` gives. */
export function writeBigInteger(writer: ByteWriter, value: bigint): void {
  if (BigInt.asIntN(64, value) === value) {
    const at = writer.reserve(maxVarintBytes);
    writer.length = putInt64(writer.buffer, at, value);
    return;
  }
  let rest = value < 0n ? (-value << 1n) - 1n : value << 1n;
  const bits = rest.toString(16).length * 4;
  if (bits > maxBigVarintBytes * 7) throw new RangeError(`an integer of about ${bits} bits is too large to store`);
  while (rest > 0x7fn) {
    writer.u8(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  writer.u8(Number(rest));
}

/** The bits of a varint as two words, before zigzag is undone. One per reader of integers, so that no object is made per value. */
class Words {
  low = 0;
  high = 0;
}

// Takes up to ten bytes; leaves the two's-complement words in `words`.
function takeWords(reader: ByteReader, words: Words): void {
  const { buffer, end } = reader;
  let p = reader.position;
  let low = 0;
  let high = 0;
  for (let shift = 0; ; shift += 7) {
    if (p >= end) throw new RangeError(`a varint at ${reader.position} passes the end at ${end}`);
    const byte = buffer[p++] as number;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high = bits >>> 4;
    } else if (shift < 63) high |= bits << (shift - 32);
    else {
      if (byte > 1) throw new RangeError(`a varint at ${reader.position} has more than 64 bits`);
      high |= bits << 31;
    }
    if (byte < 0x80) {
      // One value has one form: a last group of zero would be a second form of a shorter varint.
      if (byte === 0 && shift > 0) throw new RangeError(`a varint at ${reader.position} is longer than its value needs`);
      break;
    }
  }
  reader.position = p;
  const sign = -(low & 1);
  words.low = ((low >>> 1) | (high << 31)) ^ sign;
  words.high = (high >>> 1) ^ sign;
}

function readIntegerSlowly(reader: ByteReader): number {
  const words = new Words();
  takeWords(reader, words);
  const value = words.high * two32 + (words.low >>> 0);
  if (!Number.isSafeInteger(value)) throw new RangeError(`the integer before ${reader.position} is beyond 2^53`);
  return value;
}

/** Reads a safe integer; throws RangeError for one beyond ±(2^53 - 1). */
export function readInteger(reader: ByteReader): number {
  const { buffer, position, end } = reader;
  // The common lengths without the careful loop, and without an object for the two words.
  if (position + 8 > end) return readIntegerSlowly(reader);
  let p = position;
  let byte = buffer[p++] as number;
  if (byte < 0x80) {
    reader.position = p;
    return (byte >>> 1) ^ -(byte & 1);
  }
  let low = byte & 0x7f;
  byte = buffer[p++] as number;
  low |= (byte & 0x7f) << 7;
  if (byte > 0x7f) {
    byte = buffer[p++] as number;
    low |= (byte & 0x7f) << 14;
    if (byte > 0x7f) {
      byte = buffer[p++] as number;
      low |= (byte & 0x7f) << 21;
    }
  }
  let high = 0;
  if (byte > 0x7f) {
    byte = buffer[p++] as number;
    high = byte & 0x7f;
    if (byte > 0x7f) {
      byte = buffer[p++] as number;
      high |= (byte & 0x7f) << 7;
      if (byte > 0x7f) {
        byte = buffer[p++] as number;
        high |= (byte & 0x7f) << 14;
        if (byte > 0x7f) {
          byte = buffer[p++] as number;
          high |= (byte & 0x7f) << 21;
        }
      }
    }
  }
  if (byte === 0 || byte > 0x7f || high >= 0x3ffffff) return readIntegerSlowly(reader);
  reader.position = p;
  const half = (low >>> 1) + high * 0x8000000;
  return (low & 1) === 0 ? half : -half - 1;
}

/** Reads a safe integer that must lie in [least, greatest]. */
export function readIntegerWithin(reader: ByteReader, least: number, greatest: number): number {
  const value = readInteger(reader);
  if (value < least || value > greatest) throw new RangeError(`${value} before ${reader.position} is outside of [${least}, ${greatest}]`);
  return value;
}

function bigOf(words: Words): bigint {
  return (BigInt(words.high) << 32n) | BigInt(words.low >>> 0);
}

/** Reads a 64-bit integer as a bigint. */
export function readInt64(reader: ByteReader): bigint {
  const words = new Words();
  takeWords(reader, words);
  return bigOf(words);
}

/** Reads a 64-bit integer into an int64 column. */
export function readInt64Into(reader: ByteReader, column: Column, row: number): void {
  const words = new Words();
  takeWords(reader, words);
  const near = words.high * two32 + (words.low >>> 0);
  if (Number.isSafeInteger(near)) {
    column.numbers[row] = near;
    if (column.exact !== null) column.exact.delete(row);
  } else column.setInt64(row, bigOf(words));
}

/** Reads an integer of any size. */
export function readBigInteger(reader: ByteReader): bigint {
  const start = reader.position;
  let value = 0n;
  for (let shift = 0n, taken = 1; ; shift += 7n, taken++) {
    if (taken > maxBigVarintBytes) throw new RangeError(`a varint at ${start} has more than ${maxBigVarintBytes} bytes`);
    const byte = reader.u8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (byte === 0 && taken > 1) throw new RangeError(`a varint at ${start} is longer than its value needs`);
      return value & 1n ? -(value >> 1n) - 1n : value >> 1n;
    }
  }
}

/** Passes over an integer of any size. */
export function skipInteger(reader: ByteReader): void {
  for (let taken = 1; reader.u8() > 0x7f; taken++) {
    if (taken >= maxBigVarintBytes) throw new RangeError(`a varint before ${reader.position} has more than ${maxBigVarintBytes} bytes`);
  }
}
