// Reads and skips values of Avro's binary encoding that no field's type steers: what is passed over, and what fields of type `any` hold.
import type { ByteReader } from "../../base/bytes.ts";
import { take, utf8Text } from "../../core/codec/text.ts";
import { readInt64, readInteger, skipInteger } from "../../core/codec/varint.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { AvroLogical, AvroType } from "./avro-schema.ts";

export type Read = (reader: ByteReader) => unknown;
export type Skip = (reader: ByteReader) => void;

/** Items without bytes of their own, such as nulls: a damaged count of them would run on. */
const maxEmptyItems = 65_536;

/** The length of bytes or text that follows. */
export function readLength(reader: ByteReader): number {
  const length = readInteger(reader);
  if (length < 0 || length > reader.remaining)
    throw new RangeError(`a length of ${length} at ${reader.position} passes the end at ${reader.end}`);
  return length;
}

/** Reads the blocks of an array or map; calls `item` once per entry. */
export function readBlocks(reader: ByteReader, item: () => void): void {
  let empty = 0;
  for (;;) {
    let count = readInteger(reader);
    if (count === 0) return;
    if (count < 0) {
      // The size in bytes follows, for those who skip.
      count = -count;
      readLength(reader);
    }
    for (let i = 0; i < count; i++) {
      const before = reader.position;
      item();
      if (reader.position === before && ++empty > maxEmptyItems) throw new RangeError(`more than ${maxEmptyItems} items without bytes`);
    }
  }
}

function skipBlocks(reader: ByteReader, item: () => void): void {
  let empty = 0;
  for (;;) {
    const count = readInteger(reader);
    if (count === 0) return;
    if (count < 0) {
      take(reader, readLength(reader));
      continue;
    }
    for (let i = 0; i < count; i++) {
      const before = reader.position;
      item();
      if (reader.position === before && ++empty > maxEmptyItems) throw new RangeError(`more than ${maxEmptyItems} items without bytes`);
    }
  }
}

/** The place of the branch that follows. */
export function readBranch(reader: ByteReader, count: number): number {
  const branch = readInteger(reader);
  if (branch < 0 || branch >= count) throw new RangeError(`${branch} before ${reader.position} is none of the ${count} types of a union`);
  return branch;
}

/** A big-endian two's-complement integer of any size. */
export function bigintOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const magnitude = BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`);
  return BigInt.asIntN(bytes.length * 8, magnitude);
}

export function readTextValue(reader: ByteReader): string {
  const length = readLength(reader);
  const at = take(reader, length);
  return utf8Text(reader.buffer, at, at + length);
}

export function readBytesValue(reader: ByteReader): Uint8Array {
  return new Uint8Array(reader.raw(readLength(reader)));
}

export function readBoolean(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new RangeError(`${byte} before ${reader.position} is not a boolean`);
  return byte === 1;
}

export function readFloat(reader: ByteReader): number {
  return reader.buffer.readFloatLE(take(reader, 4));
}

// A 64-bit integer as people expect it in untyped values: a number where it is exact.
function readLong(reader: ByteReader): number | bigint {
  const value = readInt64(reader);
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}

const maxDepth = 100;

// Guards against data of a recursive schema that nests without end. The depth is the reader's own, kept beside it.
function nested<T>(read: (reader: ByteReader) => T): (reader: ByteReader) => T {
  const depths = new WeakMap<ByteReader, number>();
  return (reader) => {
    const depth = (depths.get(reader) ?? 0) + 1;
    if (depth > maxDepth) throw new RangeError(`a value at ${reader.position} is nested deeper than ${maxDepth} levels`);
    depths.set(reader, depth);
    const value = read(reader);
    depths.set(reader, depth - 1);
    return value;
  };
}

function decimalReader(logical: AvroLogical | undefined, read: (reader: ByteReader) => Uint8Array): Read {
  return logical?.kind === "decimal" ? (reader) => new Decimal(bigintOf(read(reader)), logical.scale) : read;
}

/** Reads any value of a type: records and maps as objects, 64-bit integers as numbers where they are exact. */
export function anyReader(type: AvroType, made: Map<AvroType, Read> = new Map()): Read {
  const known = made.get(type);
  if (known !== undefined) return known;
  switch (type.kind) {
    case "null":
      return () => null;
    case "boolean":
      return readBoolean;
    case "int":
    case "long":
      return readLong;
    case "float":
      return readFloat;
    case "double":
      return (reader) => reader.f64();
    case "bytes":
      return decimalReader(type.logical, readBytesValue);
    case "fixed":
      return decimalReader(type.logical, (reader) => new Uint8Array(reader.raw(type.size)));
    case "string":
      return readTextValue;
    case "enum":
      return (reader) => type.symbols[readBranch(reader, type.symbols.length)];
    case "array": {
      const item = anyReader(type.items, made);
      return nested((reader) => {
        const items: unknown[] = [];
        readBlocks(reader, () => items.push(item(reader)));
        return items;
      });
    }
    case "map": {
      const value = anyReader(type.values, made);
      return nested((reader) => {
        const entries: [string, unknown][] = [];
        readBlocks(reader, () => entries.push([readTextValue(reader), value(reader)]));
        return Object.fromEntries(entries);
      });
    }
    case "union": {
      const branches = type.branches.map((branch) => anyReader(branch, made));
      return (reader) => (branches[readBranch(reader, branches.length)] as Read)(reader);
    }
    case "record": {
      const fields: { readonly name: string; readonly read: Read }[] = [];
      const read = nested((reader: ByteReader) => Object.fromEntries(fields.map((field) => [field.name, field.read(reader)])));
      // Known before its fields are, because they may be of the same type.
      made.set(type, read);
      for (const field of type.fields) fields.push({ name: field.name, read: anyReader(field.type, made) });
      return read;
    }
  }
}

/** Passes over a value of a type. */
export function skipper(type: AvroType, made: Map<AvroType, Skip> = new Map()): Skip {
  const known = made.get(type);
  if (known !== undefined) return known;
  switch (type.kind) {
    case "null":
      return () => {};
    case "boolean":
      return (reader) => take(reader, 1);
    case "int":
    case "long":
    case "enum":
      return skipInteger;
    case "float":
      return (reader) => take(reader, 4);
    case "double":
      return (reader) => take(reader, 8);
    case "bytes":
    case "string":
      return (reader) => take(reader, readLength(reader));
    case "fixed":
      return (reader) => take(reader, type.size);
    case "array": {
      const item = skipper(type.items, made);
      return nested((reader) => skipBlocks(reader, () => item(reader)));
    }
    case "map": {
      const value = skipper(type.values, made);
      return nested((reader) =>
        skipBlocks(reader, () => {
          take(reader, readLength(reader));
          value(reader);
        }),
      );
    }
    case "union": {
      const branches = type.branches.map((branch) => skipper(branch, made));
      return (reader) => (branches[readBranch(reader, branches.length)] as Skip)(reader);
    }
    case "record": {
      const fields: Skip[] = [];
      const skip = nested((reader: ByteReader) => {
        for (const field of fields) field(reader);
      });
      made.set(type, skip);
      for (const field of type.fields) fields.push(skipper(field.type, made));
      return skip;
    }
  }
}
