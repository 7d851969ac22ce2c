// Writes values in Protobuf's wire format: which field types can be written as which Protobuf types, and how.
import type { ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import { writeBigInteger, writeInteger } from "../../core/codec/varint.ts";
import type { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec, TimestampUnit } from "../../core/schema/type-spec.ts";
import { wireFields } from "../json/wire-fields.ts";
import { timestampName, wireOf } from "./proto-scalars.ts";
import type { ProtoField, ProtoMessage, ProtoType } from "./proto-schema.ts";
import { wireBytes, writeVarint, writeVarint64 } from "./proto-wire.ts";

/** Appends a value without its tag. */
export type WriteValue = (writer: ByteWriter, value: unknown) => void;
/** Appends a field with its tag, or nothing where it is left out. */
export type WriteField = (writer: ByteWriter, value: unknown) => void;

function unfit(name: string, type: ProtoType, spec: FieldSpec): never {
  const wanted = type.kind === "message" ? type.name : type.kind;
  throw new MillraceError(
    "FORMAT_SCHEMA_MISFIT",
    `field "${name}"`,
    `${spec.type.kind} cannot be written as ${wanted}`,
    "change the type of either",
  );
}

function refuse(name: string, value: unknown, why: string): never {
  throw new MillraceError(
    "ROW_INVALID",
    `field "${name}"`,
    `${String(value).slice(0, 60)} ${why}`,
    "give a value that the Protobuf type can hold",
  );
}

/** Appends content after its length. */
export function writeDelimited(writer: ByteWriter, content: () => void): void {
  const start = writer.length;
  content();
  const size = writer.length - start;
  let header = 1;
  for (let rest = size; rest > 127; rest >>>= 7) header++;
  // Room for all that `varint` may ask for: growing later would keep only what stands before the length.
  writer.reserve(header + 10);
  writer.buffer.copyWithin(start + header, start, start + size);
  writer.length = start;
  writer.varint(size);
  writer.length = start + header + size;
}

const limits: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-2147483648, 2147483647],
  sint32: [-2147483648, 2147483647],
  sfixed32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  fixed32: [0, 4294967295],
  uint64: [0, Number.POSITIVE_INFINITY],
  fixed64: [0, Number.POSITIVE_INFINITY],
};

const integerKinds: ReadonlySet<string> = new Set(["int8", "int16", "int32", "int64", "date", "timestamp"]);

function integerWriter(name: string, kind: string): WriteValue {
  // A field's integers have 64 bits at most, so only narrower and unsigned types have limits of their own.
  const [least, greatest] = limits[kind] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return (writer, given) => {
    const value = given as number | bigint;
    if (value < least || value > greatest) refuse(name, value, `does not fit ${kind}`);
    switch (kind) {
      case "sint32":
      case "sint64":
        if (typeof value === "number") writeInteger(writer, value);
        else writeBigInteger(writer, value);
        return;
      case "fixed32":
      case "sfixed32":
        writer.u32(Number(value));
        return;
      case "fixed64":
      case "sfixed64":
        writer.i64(BigInt.asIntN(64, BigInt(value)));
        return;
      default:
        if (typeof value === "number") writeVarint(writer, value);
        else writeVarint64(writer, value);
    }
  };
}

/** How a field's values are written as `type`; throws FORMAT_SCHEMA_MISFIT where they cannot be. */
export function valueWriter(name: string, type: ProtoType, spec: FieldSpec): WriteValue {
  const from = spec.type.kind;
  switch (type.kind) {
    case "bool":
      return from === "boolean" ? (writer, value) => writer.u8(value === true ? 1 : 0) : unfit(name, type, spec);
    case "double":
      return from === "float64" || from === "float32" ? (writer, value) => writer.f64(value as number) : unfit(name, type, spec);
    case "float":
      if (from !== "float32") unfit(name, type, spec);
      return (writer, value) => {
        const at = writer.reserve(4);
        writer.data.setFloat32(at, value as number, true);
        writer.length = at + 4;
      };
    case "string":
      if (from === "decimal") return (writer, value) => writer.string((value as Decimal).toString());
      return from === "string" || from === "enum" ? (writer, value) => writer.string(value as string) : unfit(name, type, spec);
    case "bytes":
      return from === "bytes" ? (writer, value) => writer.bytes(value as Uint8Array) : unfit(name, type, spec);
    case "enum":
      if (from !== "string" && from !== "enum") unfit(name, type, spec);
      return (writer, value) =>
        writeVarint(writer, type.numberOf.get(value as string) ?? refuse(name, value, `is not in enum ${type.name}`));
    case "message":
      return messageWriter(name, type, spec);
    case "map":
      return unfit(name, type, spec);
    default:
      return integerKinds.has(from) ? integerWriter(name, type.kind) : unfit(name, type, spec);
  }
}

const unitsPerSecond: Readonly<Record<TimestampUnit, bigint>> = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n };

function timestampWriter(unit: TimestampUnit): WriteValue {
  const per = unitsPerSecond[unit];
  const perNumber = Number(per);
  const write = (writer: ByteWriter, seconds: number | bigint, nanos: number): void =>
    writeDelimited(writer, () => {
      if (Number(seconds) !== 0) {
        writer.u8(8);
        if (typeof seconds === "number") writeVarint(writer, seconds);
        else writeVarint64(writer, seconds);
      }
      if (nanos !== 0) {
        writer.u8(16);
        writer.varint(nanos);
      }
    });
  return (writer, value) => {
    if (typeof value === "number") {
      const seconds = Math.floor(value / perNumber);
      write(writer, seconds, (value - seconds * perNumber) * (1e9 / perNumber));
      return;
    }
    const units = value as bigint;
    const fraction = ((units % per) + per) % per;
    write(writer, (units - fraction) / per, Number(fraction * (1_000_000_000n / per)));
  };
}

function messageWriter(name: string, message: ProtoMessage, spec: FieldSpec): WriteValue {
  const { type } = spec;
  if (message.name === timestampName && type.kind === "timestamp") return timestampWriter(type.unit);
  if (type.kind === "struct") {
    const fields = fieldWriters(`${name}.`, message, type.fields);
    return (writer, value) =>
      writeDelimited(writer, () => {
        for (const field of fields) field.write(writer, (value as Readonly<Record<string, unknown>>)[field.name]);
      });
  }
  const wrapped = message.name.startsWith("google.protobuf.") && message.name.endsWith("Value") ? message.fields[0] : undefined;
  if (wrapped === undefined) unfit(name, message, spec);
  const write = fieldWriter(name, wrapped, { ...spec, nullable: false, optional: false });
  return (writer, value) => writeDelimited(writer, () => write(writer, value));
}

/** How a field of rows is written. */
export interface FieldWriter {
  readonly name: string;
  readonly write: WriteField;
  /** For text that is written as text: the tag before it, so that its bytes can be copied; else 0. */
  readonly textTag: number;
  /** True where empty text is left out. */
  readonly omitsEmpty: boolean;
}

/** The writers of a message's fields, by the names of the row's; fields that the message lacks are refused. */
export function fieldWriters(prefix: string, message: ProtoMessage, spec: RowSpec): readonly FieldWriter[] {
  const writers = wireFields(spec).map((field) => {
    const written = message.fields.find(({ name }) => name === field.keys[0]);
    if (written === undefined) {
      throw new MillraceError(
        "FORMAT_SCHEMA_MISFIT",
        `field "${prefix}${field.name}"`,
        `is not in message ${message.name}`,
        "add it there, or leave it out of the rows",
      );
    }
    const isText = written.type.kind === "string" && !written.repeated && field.spec.type.kind === "string";
    return {
      number: written.number,
      name: field.name,
      write: fieldWriter(`${prefix}${field.name}`, written, field.spec),
      textTag: isText ? written.number * 8 + wireBytes : 0,
      omitsEmpty: !written.presence,
    };
  });
  // In the order of their numbers, as all writers do.
  return writers.sort((a, b) => a.number - b.number);
}

function fieldWriter(name: string, field: ProtoField, spec: FieldSpec): WriteField {
  const { type } = field;
  const tag = field.number * 8 + wireOf(type);
  if (type.kind === "map") return mapWriter(name, field, type, spec);
  if (field.repeated) return listWriter(name, field, spec);
  const write = valueWriter(name, type, spec);
  const isZero = field.presence ? () => false : zeroTest(type);
  return (writer, value) => {
    if (value === null || value === undefined) {
      if (!field.presence) refuse(name, value, "would read back as zero; declare the Protobuf field optional");
      return;
    }
    if (isZero(value)) return;
    writer.varint(tag);
    write(writer, value);
  };
}

// Without presence, a field with its type's zero is left out.
function zeroTest(type: ProtoType): (value: unknown) => boolean {
  if (type.kind === "enum") return (value) => type.numberOf.get(value as string) === 0;
  if (type.kind === "bytes") return (value) => (value as Uint8Array).length === 0;
  return (value) => value === "" || value === false || value === 0n || (value === 0 && !Object.is(value, -0));
}

function listWriter(name: string, field: ProtoField, spec: FieldSpec): WriteField {
  if (spec.type.kind !== "list") unfit(name, field.type, spec);
  const write = valueWriter(`${name}[]`, field.type, spec.type.of);
  const tag = field.number * 8 + wireOf(field.type);
  const present = (value: unknown): unknown => value ?? refuse(`${name}[]`, value, "has no place in a repeated field");
  return (writer, value) => {
    const items = (value ?? []) as readonly unknown[];
    if (items.length === 0) return;
    // Text, bytes and messages are never packed, whatever the file's default is.
    if (field.packed && wireOf(field.type) !== wireBytes) {
      writer.varint(field.number * 8 + wireBytes);
      writeDelimited(writer, () => {
        for (let i = 0; i < items.length; i++) write(writer, present(items[i]));
      });
      return;
    }
    for (let i = 0; i < items.length; i++) {
      writer.varint(tag);
      write(writer, present(items[i]));
    }
  };
}

function mapWriter(name: string, field: ProtoField, type: ProtoType & { readonly kind: "map" }, spec: FieldSpec): WriteField {
  if (spec.type.kind !== "map" || type.key.kind !== "string") unfit(name, type, spec);
  const write = valueWriter(`${name}{}`, type.value, spec.type.of);
  const valueTag = 16 + wireOf(type.value);
  return (writer, value) => {
    for (const [key, entry] of (value ?? new Map()) as ReadonlyMap<string, unknown>) {
      writer.varint(field.number * 8 + wireBytes);
      writeDelimited(writer, () => {
        writer.u8(10);
        writer.string(key);
        writer.u8(valueTag);
        write(writer, entry ?? refuse(`${name}{}`, entry, "has no place in a map"));
      });
    }
  };
}
