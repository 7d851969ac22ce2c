// From a Protobuf type to a field's type: which pairs fit, and how a value of the one is read as the other.
import type { ByteReader } from "../../base/bytes.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, TimestampUnit, TypeSpec } from "../../core/schema/type-spec.ts";
import { misfit } from "../bad-record.ts";
import { MessageReader } from "./message-reader.ts";
import {
  type Conversion,
  type ReadValue,
  Unfit,
  bigReader,
  boundedReader,
  narrowReader,
  readBool,
  readBytes,
  readFloat,
  safeReader,
  timestampName,
  wireOf,
  within,
} from "./proto-scalars.ts";
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from "./proto-schema.ts";
import { readText } from "./proto-wire.ts";

/** How a value of `type` is read as one of the field; throws Unfit where it cannot be. */
export function conversion(name: string, type: ProtoType, spec: FieldSpec): Conversion {
  const read = readerOf(name, type, spec.type);
  if (read === undefined)
    throw new Unfit(
      `field "${name}" is a ${type.kind === "message" ? type.name : type.kind} there, which cannot be read as ${spec.type.kind}`,
    );
  return { wire: wireOf(type), read };
}

function readerOf(name: string, type: ProtoType, to: TypeSpec): ReadValue | undefined {
  if (type.kind === "message") return messageConversion(name, type, to);
  switch (to.kind) {
    case "boolean":
      return type.kind === "bool" ? readBool : undefined;
    case "int8":
      return boundedReader(name, type.kind, -128, 127);
    case "int16":
      return boundedReader(name, type.kind, -32768, 32767);
    case "int32":
    case "date":
      return boundedReader(name, type.kind, -2147483648, 2147483647);
    case "int64":
      return to.as === "bigint" ? bigReader(name, type.kind) : safeReader(name, type.kind);
    case "timestamp":
      return to.unit === "ns" ? bigReader(name, type.kind) : safeReader(name, type.kind);
    case "float32":
      return type.kind === "float" ? readFloat : undefined;
    case "float64":
      return type.kind === "double" ? (reader) => reader.f64() : type.kind === "float" ? readFloat : safeReader(name, type.kind);
    case "string":
    case "enum": {
      const read = type.kind === "enum" ? enumReader(name, type.nameOf) : type.kind === "string" ? readText : undefined;
      if (read === undefined || to.kind === "string") return read;
      return (reader) => {
        const value = read(reader);
        return to.values.includes(value)
          ? value
          : misfit(name, `is ${JSON.stringify(value.slice(0, 40))}, not one of its ${to.values.length} values`);
      };
    }
    case "decimal":
      return type.kind === "string" ? (reader) => decimalOf(name, readText(reader), to.precision, to.scale) : undefined;
    case "bytes":
      return type.kind === "bytes" ? readBytes : undefined;
    case "any":
      return anyReader(name, type);
    default:
      return undefined;
  }
}

function enumReader(name: string, nameOf: ReadonlyMap<number, string>): (reader: ByteReader) => string {
  const read = narrowReader("int32");
  return (reader) => {
    const number = read(reader);
    return nameOf.get(number) ?? misfit(name, `is ${number}, which its enum does not have`);
  };
}

function decimalOf(name: string, text: string, precision: number, scale: number): Decimal {
  let value: Decimal;
  try {
    value = Decimal.parse(text).rescale(scale);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return misfit(name, `is ${JSON.stringify(text.slice(0, 40))}, not a decimal of ${scale} digits behind the point`);
  }
  const magnitude = value.unscaled < 0n ? -value.unscaled : value.unscaled;
  return magnitude < 10n ** BigInt(precision) ? value : misfit(name, `has more than ${precision} digits`);
}

const wrappers: ReadonlySet<string> = new Set(
  ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map((kind) => `google.protobuf.${kind}Value`),
);

function messageConversion(name: string, message: ProtoMessage, to: TypeSpec): ReadValue | undefined {
  if (wrappers.has(message.name)) return wrapperReader(name, message, to);
  if (to.kind === "timestamp" && message.name === timestampName) return timestampReader(name, to.unit);
  if (to.kind === "struct") {
    const inner = new MessageReader(`${name}.`, message, to.fields, conversion);
    return (reader) => within(reader, () => inner.readObject(reader));
  }
  return to.kind === "any" ? anyReader(name, message) : undefined;
}

// A wrapper holds its value in field 1; without it the value is zero.
function wrapperReader(name: string, message: ProtoMessage, to: TypeSpec): ReadValue | undefined {
  const value = message.fields[0] as ProtoField;
  const inner = readerOf(name, value.type, to);
  if (inner === undefined) return undefined;
  const fields = { value: { type: to, nullable: false, optional: false, aliases: [] } };
  const object = new MessageReader(`${name}.`, message, fields, conversion);
  return (reader) => within(reader, () => object.readObject(reader)["value"]);
}

const perSecond: Readonly<Record<TimestampUnit, bigint>> = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n };

function timestampReader(name: string, unit: TimestampUnit): ReadValue {
  const read = new MessageReader(`${name}.`, timestampMessage, timestampFields, conversion);
  const nanosPerUnit = 1_000_000_000n / perSecond[unit];
  return (reader) => {
    const { seconds, nanos } = within(reader, () => read.readObject(reader)) as { readonly seconds: bigint; readonly nanos: number };
    if (BigInt(nanos) % nanosPerUnit !== 0n) misfit(name, `has digits of a second finer than ${unit}`);
    const value = seconds * perSecond[unit] + BigInt(nanos) / nanosPerUnit;
    if (unit === "ns") return BigInt.asIntN(64, value) === value ? value : misfit(name, "is out of range");
    return Number.isSafeInteger(Number(value)) ? Number(value) : misfit(name, "is out of range");
  };
}

const plainField = { repeated: false, packed: false, presence: false, default: undefined } as const;
const timestampMessage: ProtoMessage = {
  kind: "message",
  name: timestampName,
  fields: [
    { ...plainField, name: "seconds", number: 1, type: { kind: "int64" } },
    { ...plainField, name: "nanos", number: 2, type: { kind: "int32" } },
  ],
};
const timestampFields = {
  seconds: { type: { kind: "int64", as: "bigint" }, nullable: false, optional: false, aliases: [] },
  nanos: { type: { kind: "int32" }, nullable: false, optional: false, aliases: [] },
} as const;

const anyMessages = new WeakMap<ProtoMessage, MessageReader>();

/** Reads any value: messages as objects, 64-bit integers as numbers where they are exact. */
function anyReader(name: string, type: ProtoType): ReadValue | undefined {
  switch (type.kind) {
    case "bool":
      return readBool;
    case "string":
      return readText;
    case "bytes":
      return readBytes;
    case "double":
      return (reader) => reader.f64();
    case "float":
      return readFloat;
    case "enum":
      return enumReader(name, type.nameOf);
    case "map":
      return undefined;
    case "message":
      return (reader) => {
        // Made when it is first needed: a message may hold itself.
        let inner = anyMessages.get(type);
        if (inner === undefined) {
          inner = new MessageReader(`${name}.`, type, anyFields(type), conversion);
          anyMessages.set(type, inner);
        }
        const known = inner;
        return within(reader, () => known.readObject(reader));
      };
    default: {
      const read = bigReader(name, type.kind as ProtoScalar) as (reader: ByteReader) => bigint;
      return (reader) => {
        const value = read(reader);
        return Number.isSafeInteger(Number(value)) ? Number(value) : value;
      };
    }
  }
}

const anyField: FieldSpec = { type: { kind: "any" }, nullable: false, optional: false, aliases: [] };

function anyFields(message: ProtoMessage): Readonly<Record<string, FieldSpec>> {
  return Object.fromEntries(
    message.fields.map((field): [string, FieldSpec] => {
      if (field.repeated) return [field.name, { ...anyField, type: { kind: "list", of: anyField } }];
      if (field.type.kind === "map") return [field.name, { ...anyField, type: { kind: "map", of: anyField } }];
      return [field.name, { ...anyField, optional: field.presence }];
    }),
  );
}
