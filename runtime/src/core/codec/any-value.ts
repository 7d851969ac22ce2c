// Values without a declared type, as a strict and stable subset of msgpack: every msgpack reader can read it, and equal values have equal bytes.
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import { Decimal } from "../schema/decimal.ts";
import { take, utf8Text } from "./text.ts";
import { readBigInteger, readIntegerWithin, writeBigInteger, writeInteger } from "./varint.ts";

// Why not a msgpack library: none of them keeps Map apart from objects and -0 apart from 0 without state shared between
// messages, and their readers allocate what a damaged length claims.

/** Deeper nesting is refused: a cycle, or data that would overflow the stack. */
export const maxDepth = 100;

const maxScale = 10_000;

/** The msgpack extension types that stand for what msgpack itself does not have. */
export const extensionTypes = { undefined: 0, bigint: 0x42, decimal: 0x44, date: 0x54, map: 0x4d, set: 0x53 } as const;

/** Appends a value of type `any`; throws ROW_INVALID for what has no form (functions, symbols, errors, promises, cycles). */
export function writeAny(writer: ByteWriter, value: unknown, depth = 0): void {
  if (depth > maxDepth) refuse("a value nested deeper than 100 levels, or a cycle");
  switch (typeof value) {
    case "undefined":
      writeExtension(writer, extensionTypes.undefined, 0);
      return;
    case "boolean":
      writer.u8(value ? 0xc3 : 0xc2);
      return;
    case "number":
      writeNumber(writer, value);
      return;
    case "string":
      writeString(writer, value);
      return;
    case "bigint":
      writeSized(writer, extensionTypes.bigint, () => writeBigInteger(writer, value));
      return;
    case "object":
      writeObject(writer, value, depth);
      return;
    default:
      refuse(`a ${typeof value}`);
  }
}

function refuse(what: string): never {
  throw new MillraceError(
    "ROW_INVALID",
    "a value of type any",
    `${what} cannot be stored`,
    "use plain objects, arrays, Map, Set, Date, Uint8Array and scalars",
  );
}

function writeNumber(writer: ByteWriter, value: number): void {
  if (!Number.isInteger(value) || Object.is(value, -0) || value > 0xffffffff || value < -0x80000000) {
    const at = writer.reserve(9);
    writer.buffer[at] = 0xcb;
    writer.length = writer.buffer.writeDoubleBE(value, at + 1);
  } else if (value >= 0) {
    if (value < 0x80) writer.u8(value);
    else writeUnsigned(writer, value, 0xcc, 0xcd, 0xce);
  } else if (value >= -32) writer.u8(value & 0xff);
  else {
    const at = writer.reserve(5);
    const { buffer } = writer;
    if (value >= -0x80) {
      buffer[at] = 0xd0;
      writer.length = buffer.writeInt8(value, at + 1);
    } else if (value >= -0x8000) {
      buffer[at] = 0xd1;
      writer.length = buffer.writeInt16BE(value, at + 1);
    } else {
      buffer[at] = 0xd2;
      writer.length = buffer.writeInt32BE(value, at + 1);
    }
  }
}

// A marker byte by the size of `value`, then `value` in 1, 2 or 4 bytes; -1 where a size has no marker.
function writeUnsigned(writer: ByteWriter, value: number, marker8: number, marker16: number, marker32: number): void {
  const at = writer.reserve(5);
  const { buffer } = writer;
  if (value <= 0xff && marker8 !== -1) {
    buffer[at] = marker8;
    writer.length = buffer.writeUInt8(value, at + 1);
  } else if (value <= 0xffff) {
    buffer[at] = marker16;
    writer.length = buffer.writeUInt16BE(value, at + 1);
  } else {
    buffer[at] = marker32;
    writer.length = buffer.writeUInt32BE(value, at + 1);
  }
}

function writeString(writer: ByteWriter, text: string): void {
  const size = Buffer.byteLength(text);
  if (size < 32) writer.u8(0xa0 | size);
  else writeUnsigned(writer, size, 0xd9, 0xda, 0xdb);
  writer.utf8Raw(text);
}

function writeExtension(writer: ByteWriter, type: number, size: number): void {
  writeUnsigned(writer, size, 0xc7, 0xc8, 0xc9);
  writer.u8(type);
}

// An extension whose size is known only once its content is written: the content moves up by the size of the header.
function writeSized(writer: ByteWriter, type: number, content: () => void): void {
  const start = writer.length;
  content();
  const size = writer.length - start;
  const header = size <= 0xff ? 3 : size <= 0xffff ? 4 : 6;
  // Room for all that the header's writers may ask for: growing later would keep only what stands before the header.
  writer.reserve(header + 10);
  writer.buffer.copyWithin(start + header, start, start + size);
  writer.length = start;
  writeExtension(writer, type, size);
  writer.length += size;
}

function writeObject(writer: ByteWriter, value: object | null, depth: number): void {
  if (value === null) writer.u8(0xc0);
  else if (Array.isArray(value)) {
    writeCount(writer, value.length, 0x90, 0xdc);
    for (let i = 0; i < value.length; i++) writeAny(writer, value[i], depth + 1);
  } else if (value instanceof Uint8Array) {
    writeUnsigned(writer, value.length, 0xc4, 0xc5, 0xc6);
    writer.raw(value);
  } else if (value instanceof Map) {
    const map: ReadonlyMap<unknown, unknown> = value;
    writeSized(writer, extensionTypes.map, () => {
      for (const [key, entry] of map) {
        writeAny(writer, key, depth + 1);
        writeAny(writer, entry, depth + 1);
      }
    });
  } else if (value instanceof Set) {
    const set: ReadonlySet<unknown> = value;
    writeSized(writer, extensionTypes.set, () => {
      for (const entry of set) writeAny(writer, entry, depth + 1);
    });
  } else if (value instanceof Date) {
    writeExtension(writer, extensionTypes.date, 8);
    writer.f64(value.getTime());
  } else if (value instanceof Decimal) {
    writeSized(writer, extensionTypes.decimal, () => {
      writeInteger(writer, value.scale);
      writeBigInteger(writer, value.unscaled);
    });
  } else writePlainObject(writer, value, depth);
}

function writePlainObject(writer: ByteWriter, value: object, depth: number): void {
  // Objects with a tag of their own (errors, regular expressions, promises, typed arrays) would lose what they are.
  const tag = Object.prototype.toString.call(value);
  if (tag !== "[object Object]") refuse(`a ${tag.slice(8, -1)}`);
  const keys = Object.keys(value);
  writeCount(writer, keys.length, 0x80, 0xde);
  for (const key of keys) {
    writeString(writer, key);
    writeAny(writer, (value as Readonly<Record<string, unknown>>)[key], depth + 1);
  }
}

function writeCount(writer: ByteWriter, count: number, short: number, marker16: number): void {
  if (count < 16) writer.u8(short | count);
  else writeUnsigned(writer, count, -1, marker16, marker16 + 1);
}

/** Reads what `writeAny` wrote. Throws RangeError for anything else. */
export function readAny(reader: ByteReader, depth = 0): unknown {
  if (depth > maxDepth) throw new RangeError(`a value at ${reader.position} is nested deeper than ${maxDepth} levels`);
  const marker = reader.u8();
  if (marker < 0x80) return marker;
  if (marker >= 0xe0) return marker - 0x100;
  if (marker < 0x90) return readFields(reader, marker & 0x0f, depth);
  if (marker < 0xa0) return readItems(reader, marker & 0x0f, depth);
  if (marker < 0xc0) return readString(reader, marker & 0x1f);
  const { buffer } = reader;
  switch (marker) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return readBytes(reader, readSize(reader, marker - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return readExtension(reader, readSize(reader, marker - 0xc7), depth);
    case 0xcb:
      return buffer.readDoubleBE(take(reader, 8));
    case 0xcc:
    case 0xcd:
    case 0xce:
      return readSize(reader, marker - 0xcc);
    case 0xd0:
      return buffer.readInt8(take(reader, 1));
    case 0xd1:
      return buffer.readInt16BE(take(reader, 2));
    case 0xd2:
      return buffer.readInt32BE(take(reader, 4));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readString(reader, readSize(reader, marker - 0xd9));
    case 0xdc:
    case 0xdd:
      return readItems(reader, readSize(reader, marker - 0xdb), depth);
    case 0xde:
    case 0xdf:
      return readFields(reader, readSize(reader, marker - 0xdd), depth);
    default:
      throw new RangeError(`${marker} at ${reader.position - 1} is not the start of a value`);
  }
}

// An unsigned number in 1, 2 or 4 bytes.
function readSize(reader: ByteReader, power: number): number {
  const { buffer } = reader;
  return power === 0
    ? (buffer[take(reader, 1)] as number)
    : power === 1
      ? buffer.readUInt16BE(take(reader, 2))
      : buffer.readUInt32BE(take(reader, 4));
}

function readString(reader: ByteReader, size: number): string {
  const at = take(reader, size);
  return utf8Text(reader.buffer, at, at + size);
}

function readBytes(reader: ByteReader, size: number): Uint8Array {
  const at = take(reader, size);
  return new Uint8Array(reader.buffer.subarray(at, at + size));
}

function readItems(reader: ByteReader, count: number, depth: number): unknown[] {
  // Each item takes a byte at least, so a damaged count ends the reading before it fills the memory.
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) items.push(readAny(reader, depth + 1));
  return items;
}

function readFields(reader: ByteReader, count: number, depth: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (let i = 0; i < count; i++) {
    const key = readAny(reader, depth + 1);
    if (typeof key !== "string") throw new RangeError(`a field name before ${reader.position} is not text`);
    const value = readAny(reader, depth + 1);
    if (key === "__proto__") Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true });
    else fields[key] = value;
  }
  return fields;
}

function readExtension(reader: ByteReader, size: number, depth: number): unknown {
  const type = reader.u8();
  const end = reader.position + size;
  if (end > reader.end) throw new RangeError(`an extension of ${size} bytes at ${reader.position} passes the end at ${reader.end}`);
  const value = readExtensionContent(reader, type, end, depth);
  if (reader.position !== end) throw new RangeError(`an extension of type ${type} does not end at ${end}`);
  return value;
}

function readExtensionContent(reader: ByteReader, type: number, end: number, depth: number): unknown {
  switch (type) {
    case extensionTypes.undefined:
      return undefined;
    case extensionTypes.bigint:
      return readBigInteger(reader);
    case extensionTypes.date:
      return new Date(reader.f64());
    case extensionTypes.decimal: {
      const scale = readIntegerWithin(reader, 0, maxScale);
      return new Decimal(readBigInteger(reader), scale);
    }
    case extensionTypes.map: {
      const map = new Map<unknown, unknown>();
      while (reader.position < end) {
        const key = readAny(reader, depth + 1);
        map.set(key, readAny(reader, depth + 1));
      }
      return map;
    }
    case extensionTypes.set: {
      const set = new Set<unknown>();
      while (reader.position < end) set.add(readAny(reader, depth + 1));
      return set;
    }
    default:
      throw new RangeError(`an extension of type ${type} before ${reader.position} is not known`);
  }
}
