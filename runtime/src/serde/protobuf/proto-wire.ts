// Protobuf's wire format: tags, varints and fixed numbers (protobuf.dev, "Encoding").
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { take, utf8Text } from "../../core/codec/text.ts";

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireGroup = 3;
export const wireGroupEnd = 4;
export const wireFixed32 = 5;

/** The 64 bits of a varint as two words; reused, so that no object is made per value. */
export class Bits64 {
  low = 0;
  high = 0;

  /** Reads a varint of up to ten bytes; longer forms of small numbers are valid here. */
  read(reader: ByteReader): void {
    const { buffer, end } = reader;
    let p = reader.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (p >= end) throw new RangeError(`a varint at ${reader.position} passes the end at ${end}`);
      if (shift > 63) throw new RangeError(`a varint at ${reader.position} has more than 64 bits`);
      const byte = buffer[p++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    reader.position = p;
    this.low = low;
    this.high = high;
  }

  /** Undoes zigzag. */
  unzigzag(): void {
    const sign = -(this.low & 1);
    const low = ((this.low >>> 1) | (this.high << 31)) ^ sign;
    this.high = (this.high >>> 1) ^ sign;
    this.low = low;
  }

  /** As a signed number, and exact unless it is beyond 2^53. */
  get near(): number {
    return this.high * 4294967296 + (this.low >>> 0);
  }

  get signed(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }

  get unsigned(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }
}

/** Reads a tag: field number times eight, plus wire type. */
export function readTag(reader: ByteReader): number {
  const tag = reader.varint();
  if (tag > 0xffffffff || tag < 8) throw new RangeError(`${tag} before ${reader.position} is not a tag`);
  return tag;
}

/** Reads a length that the bytes left can hold. */
export function readLength(reader: ByteReader): number {
  const length = reader.varint();
  if (length > reader.remaining) throw new RangeError(`a length of ${length} at ${reader.position} passes the end at ${reader.end}`);
  return length;
}

export function readText(reader: ByteReader): string {
  const length = readLength(reader);
  const at = take(reader, length);
  return utf8Text(reader.buffer, at, at + length);
}

const maxDepth = 100;

/** Passes over a field that nobody wants. */
export function skipField(reader: ByteReader, tag: number, depth = 0): void {
  switch (tag & 7) {
    case wireVarint:
      for (let i = 0; (reader.u8() & 0x80) !== 0; i++)
        if (i >= 9) throw new RangeError(`a varint before ${reader.position} has more than 64 bits`);
      return;
    case wireFixed64:
      take(reader, 8);
      return;
    case wireBytes:
      take(reader, readLength(reader));
      return;
    case wireFixed32:
      take(reader, 4);
      return;
    case wireGroup: {
      if (depth > maxDepth) throw new RangeError(`groups at ${reader.position} are nested deeper than ${maxDepth} levels`);
      for (;;) {
        const inner = readTag(reader);
        if ((inner & 7) === wireGroupEnd) {
          if (inner >>> 3 !== tag >>> 3) throw new RangeError(`a group before ${reader.position} ends with another's number`);
          return;
        }
        skipField(reader, inner, depth + 1);
      }
    }
    default:
      throw new RangeError(`wire type ${tag & 7} before ${reader.position} is not known`);
  }
}

/** Appends a 64-bit integer as an unsigned varint of its two's complement. */
export function writeVarint64(writer: ByteWriter, value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    writer.u8(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  writer.u8(Number(rest));
}

/** Appends a safe integer as `writeVarint64` does. */
export function writeVarint(writer: ByteWriter, value: number): void {
  if (value >= 0) writer.varint(value);
  else writeVarint64(writer, BigInt(value));
}
