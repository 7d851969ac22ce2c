// One value by its field's type: how it is written, read and skipped. Rows are made of these; lists, maps and structs nest them.
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import { fits } from "../batch/rows-builder.ts";
import { Decimal } from "../schema/decimal.ts";
import type { FieldSpec, RowSpec } from "../schema/type-spec.ts";
import { maxDepth, readAny, writeAny } from "./any-value.ts";
import { readText, take } from "./text.ts";
import { readBigInteger, readInt64, readInteger, readIntegerWithin, skipInteger, writeBigInteger, writeInteger } from "./varint.ts";

/** Reads and writes values of one type that are neither null nor missing. */
export interface ValueCodec {
  /** Throws ROW_INVALID for a value that does not fit the type. */
  write(writer: ByteWriter, value: unknown): void;
  /** Throws RangeError for bytes that are not a value of the type. */
  read(reader: ByteReader): unknown;
  skip(reader: ByteReader): void;
}

/** Throws ROW_INVALID: the user's function made a value that does not fit its field. */
export function refuseValue(name: string, spec: FieldSpec, value: unknown): never {
  const shown = typeof value === "bigint" ? `${value}n` : typeof value === "object" && value !== null ? "an object" : String(value);
  throw new MillraceError(
    "ROW_INVALID",
    `field "${name}"`,
    `${shown.slice(0, 80)} is not a ${spec.type.kind}`,
    "give a value of the field's type, or declare the field nullable or optional",
  );
}

/** How many bits of a presence bitmap a field takes: one for null, one for missing. */
export function presenceBits(spec: FieldSpec): number {
  return (spec.nullable ? 1 : 0) + (spec.optional ? 1 : 0);
}

/** The codec of a field's type. `name` is for error messages. */
export function valueCodec(name: string, spec: FieldSpec, depth = 0): ValueCodec {
  if (depth > maxDepth) throw new MillraceError("SCHEMA_TOO_DEEP", `field "${name}"`, "is nested too deep", `keep to ${maxDepth} levels`);
  const type = spec.type;
  const checked =
    (write: (writer: ByteWriter, value: never) => void): ValueCodec["write"] =>
    (writer, value) => {
      if (!fits(spec, value)) refuseValue(name, spec, value);
      write(writer, value as never);
    };
  const integer = (least: number, greatest: number): ValueCodec => ({
    write: checked(writeInteger),
    read: (reader) => readIntegerWithin(reader, least, greatest),
    skip: skipInteger,
  });
  const safe: ValueCodec = { write: checked(writeInteger), read: readInteger, skip: skipInteger };
  const int64: ValueCodec = { write: checked(writeBigInteger), read: readInt64, skip: skipInteger };
  switch (type.kind) {
    case "boolean":
      return { write: checked((writer, value: boolean) => writer.u8(value ? 1 : 0)), read: readBoolean, skip: (reader) => take(reader, 1) };
    case "int8":
      return integer(-128, 127);
    case "int16":
      return integer(-32768, 32767);
    case "int32":
    case "date":
      return integer(-2147483648, 2147483647);
    case "int64":
      return type.as === "number" ? safe : int64;
    case "timestamp":
      return type.unit === "ns" ? int64 : safe;
    case "float32":
      return {
        write: checked(writeFloat32),
        read: (reader) => reader.buffer.readFloatLE(take(reader, 4)),
        skip: (reader) => take(reader, 4),
      };
    case "float64":
      return {
        write: checked((writer, value: number) => writer.f64(value)),
        read: (reader) => reader.f64(),
        skip: (reader) => take(reader, 8),
      };
    case "decimal":
      return {
        write: checked((writer, value: Decimal) => writeBigInteger(writer, value.rescale(type.scale).unscaled)),
        read: (reader) => new Decimal(readBigInteger(reader), type.scale),
        skip: skipInteger,
      };
    case "string":
      return { write: checked((writer, value: string) => writer.string(value)), read: readText, skip: skipBytes };
    case "enum":
      return enumCodec(name, spec, type.values);
    case "bytes":
      return {
        write: checked((writer, value: Uint8Array) => writer.bytes(value)),
        read: (reader) => new Uint8Array(reader.bytes()),
        skip: skipBytes,
      };
    case "list":
      return listCodec(name, spec, type.of, depth);
    case "map":
      return mapCodec(name, spec, type.of, depth);
    case "struct":
      return structCodec(name, spec, type.fields, depth);
    case "any":
      return anyCodec;
  }
}

function readBoolean(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new RangeError(`${byte} before ${reader.position} is not a boolean`);
  return byte === 1;
}

function writeFloat32(writer: ByteWriter, value: number): void {
  const at = writer.reserve(4);
  writer.length = writer.buffer.writeFloatLE(value, at);
}

function skipBytes(reader: ByteReader): void {
  take(reader, reader.varint());
}

function enumCodec(name: string, spec: FieldSpec, values: readonly string[]): ValueCodec {
  const indexes = new Map(values.map((value, index) => [value, index]));
  return {
    write(writer, value) {
      const index = indexes.get(value as string);
      if (index === undefined) refuseValue(name, spec, value);
      writer.varint(index);
    },
    read(reader) {
      const index = reader.varint();
      const value = values[index];
      if (value === undefined)
        throw new RangeError(`${index} before ${reader.position} is none of the ${values.length} values of "${name}"`);
      return value;
    },
    skip: (reader) => void reader.varint(),
  };
}

// The length comes first, so that a reader can pass over it without understanding it.
const anyCodec: ValueCodec = {
  write(writer, value) {
    const start = writer.length;
    writeAny(writer, value);
    const size = writer.length - start;
    const header = size < 0x80 ? 1 : size < 0x4000 ? 2 : size < 0x200000 ? 3 : 5;
    // Room for all that `varint` may ask for: growing later would keep only what stands before the length.
    writer.reserve(header + 10);
    writer.buffer.copyWithin(start + header, start, start + size);
    writer.length = start;
    writer.varint(size);
    writer.length = start + header + size;
  },
  read(reader) {
    const size = reader.varint();
    if (size > reader.remaining) throw new RangeError(`a value of ${size} bytes at ${reader.position} passes the end at ${reader.end}`);
    const end = reader.position + size;
    const value = readAny(reader);
    if (reader.position !== end) throw new RangeError(`a value does not end at ${end} but at ${reader.position}`);
    return value;
  },
  skip: skipBytes,
};

// An element of a list or map: a mark where it may be absent (0 present, 1 null, 2 missing), then the value.
function elementCodec(name: string, spec: FieldSpec, depth: number): ValueCodec {
  const inner = valueCodec(name, spec, depth + 1);
  if (presenceBits(spec) === 0) return inner;
  const readMark = (reader: ByteReader): number => {
    const mark = reader.u8();
    if (mark > 2 || (mark === 1 && !spec.nullable) || (mark === 2 && !spec.optional))
      throw new RangeError(`${mark} before ${reader.position} is not a mark`);
    return mark;
  };
  return {
    write(writer, value) {
      if (value === null && spec.nullable) writer.u8(1);
      else if (value === undefined && spec.optional) writer.u8(2);
      else {
        writer.u8(0);
        inner.write(writer, value);
      }
    },
    read(reader) {
      const mark = readMark(reader);
      return mark === 0 ? inner.read(reader) : mark === 1 ? null : undefined;
    },
    skip(reader) {
      if (readMark(reader) === 0) inner.skip(reader);
    },
  };
}

// Every element takes a byte at least, so a count above the bytes that are left is damage.
function readCount(reader: ByteReader): number {
  const count = reader.varint();
  if (count > reader.remaining) throw new RangeError(`${count} elements at ${reader.position} pass the end at ${reader.end}`);
  return count;
}

function listCodec(name: string, spec: FieldSpec, of: FieldSpec, depth: number): ValueCodec {
  const element = elementCodec(`${name}[]`, of, depth);
  return {
    write(writer, value) {
      if (!Array.isArray(value)) refuseValue(name, spec, value);
      writer.varint(value.length);
      for (let i = 0; i < value.length; i++) element.write(writer, value[i]);
    },
    read(reader) {
      const count = readCount(reader);
      const items: unknown[] = [];
      for (let i = 0; i < count; i++) items.push(element.read(reader));
      return items;
    },
    skip(reader) {
      const count = readCount(reader);
      for (let i = 0; i < count; i++) element.skip(reader);
    },
  };
}

function mapCodec(name: string, spec: FieldSpec, of: FieldSpec, depth: number): ValueCodec {
  const element = elementCodec(`${name}{}`, of, depth);
  return {
    write(writer, value) {
      if (!(value instanceof Map)) refuseValue(name, spec, value);
      writer.varint(value.size);
      for (const [key, entry] of value as ReadonlyMap<unknown, unknown>) {
        if (typeof key !== "string") refuseValue(`${name}{}`, { ...spec, type: { kind: "string" } }, key);
        writer.string(key);
        element.write(writer, entry);
      }
    },
    read(reader) {
      const count = readCount(reader);
      const map = new Map<string, unknown>();
      for (let i = 0; i < count; i++) {
        const key = readText(reader);
        map.set(key, element.read(reader));
      }
      if (map.size !== count) throw new RangeError(`a map before ${reader.position} holds a key twice`);
      return map;
    },
    skip(reader) {
      const count = readCount(reader);
      for (let i = 0; i < count; i++) {
        skipBytes(reader);
        element.skip(reader);
      }
    },
  };
}

function structCodec(name: string, spec: FieldSpec, fields: RowSpec, depth: number): ValueCodec {
  const codec = rowObjectCodec(fields, `${name}.`, depth + 1);
  const empty = Object.keys(fields).length === 0;
  return {
    write(writer, value) {
      if (typeof value !== "object" || value === null) refuseValue(name, spec, value);
      // Even a struct without fields takes a byte, so that a damaged count of them cannot run on without end.
      if (empty) writer.u8(0);
      codec.write(writer, value);
    },
    read(reader) {
      if (empty && reader.u8() !== 0) throw new RangeError(`the byte before ${reader.position} is not an empty struct`);
      return codec.read(reader);
    },
    skip(reader) {
      if (empty) take(reader, 1);
      codec.skip(reader);
    },
  };
}

/** The codec of row objects: a presence bitmap where some field may be absent, then the values of the fields that are there. */
export function rowObjectCodec(spec: RowSpec, prefix = "", depth = 0): ValueCodec {
  let bits = 0;
  const fields = Object.entries(spec).map(([name, fieldSpec]) => {
    if (name === "__proto__")
      throw new MillraceError("SCHEMA_FIELD_NAME", `field "${prefix}${name}"`, "is not a usable name", "use another name");
    const nullBit = fieldSpec.nullable ? bits++ : -1;
    const missingBit = fieldSpec.optional ? bits++ : -1;
    return { name, spec: fieldSpec, nullBit, missingBit, codec: valueCodec(prefix + name, fieldSpec, depth) };
  });
  const bitmapBytes = (bits + 7) >> 3;
  const isSet = (buffer: Uint8Array, at: number, bit: number): boolean =>
    bit >= 0 && (((buffer[at + (bit >> 3)] as number) >> (bit & 7)) & 1) === 1;
  const takeBitmap = (reader: ByteReader): number => {
    const at = take(reader, bitmapBytes);
    if ((bits & 7) !== 0 && (reader.buffer[at + bitmapBytes - 1] as number) >> (bits & 7) !== 0)
      throw new RangeError(`the bitmap at ${at} has unused bits set`);
    return at;
  };
  return {
    write(writer, value) {
      const row = value as Readonly<Record<string, unknown>>;
      const at = writer.reserve(bitmapBytes);
      writer.length = at + bitmapBytes;
      writer.buffer.fill(0, at, at + bitmapBytes);
      for (const field of fields) {
        const entry = row[field.name];
        const bit = entry === null ? field.nullBit : entry === undefined ? field.missingBit : -1;
        if (bit >= 0) writer.buffer[at + (bit >> 3)] = (writer.buffer[at + (bit >> 3)] as number) | (1 << (bit & 7));
        else field.codec.write(writer, entry);
      }
    },
    read(reader) {
      const at = takeBitmap(reader);
      const row: Record<string, unknown> = {};
      for (const field of fields) {
        const missing = isSet(reader.buffer, at, field.missingBit);
        if (isSet(reader.buffer, at, field.nullBit)) {
          if (missing) throw new RangeError(`field "${field.name}" at ${at} is both null and missing`);
          row[field.name] = null;
        } else if (!missing) row[field.name] = field.codec.read(reader);
      }
      return row;
    },
    skip(reader) {
      const at = takeBitmap(reader);
      for (const field of fields) {
        if (!isSet(reader.buffer, at, field.nullBit) && !isSet(reader.buffer, at, field.missingBit)) field.codec.skip(reader);
      }
    },
  };
}
