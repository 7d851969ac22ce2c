// From an Avro type to a field's type: which pairs fit, and how a value of the one is read as the other.
import type { ByteReader } from "../../base/bytes.ts";
import { defaultOf } from "../../core/codec/json-value.ts";
import { readInt64, readInteger } from "../../core/codec/varint.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec, TimestampUnit, TypeSpec } from "../../core/schema/type-spec.ts";
import { misfit } from "../bad-record.ts";
import { wireFields } from "../json/wire-fields.ts";
import type { AvroLogical, AvroRecord, AvroType } from "./avro-schema.ts";
import {
  type Read,
  type Skip,
  anyReader,
  bigintOf,
  readBlocks,
  readBoolean,
  readBranch,
  readBytesValue,
  readFloat,
  readTextValue,
  skipper,
} from "./avro-values.ts";

/** Why no value of an Avro type can be one of a field. */
export class Unfit {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A safe integer; one beyond 2^53 does not fit, and is no damage. */
export function readSafe(reader: ByteReader, name: string): number {
  const start = reader.position;
  try {
    return readInteger(reader);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    reader.position = start;
    return misfit(name, `is ${readInt64(reader)}, out of range`);
  }
}

const ranges: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
  date: [-2147483648, 2147483647],
};

/** Reads an integer of a type's range. */
export function boundedInteger(name: string, kind: string): (reader: ByteReader) => number {
  const [least, greatest] = ranges[kind] ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  return (reader) => {
    const value = readSafe(reader, name);
    return value >= least && value <= greatest ? value : misfit(name, `is ${value}, out of range`);
  };
}

const perSecond: Readonly<Record<TimestampUnit, bigint>> = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n };

/** Reads an instant written in `from` as one in `to`; digits that would be lost do not fit. */
export function instantReader(name: string, from: TimestampUnit, to: TimestampUnit): (reader: ByteReader) => bigint {
  const multiplier = perSecond[to];
  const divisor = perSecond[from];
  return (reader) => {
    const value = readInt64(reader);
    const scaled = value * multiplier;
    if (scaled % divisor !== 0n) misfit(name, `is ${value} ${from}, finer than ${to}`);
    const converted = scaled / divisor;
    return BigInt.asIntN(64, converted) === converted ? converted : misfit(name, "is out of range");
  };
}

function safeNumber(name: string, value: bigint): number {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : misfit(name, `is ${value}, out of range`);
}

/** The unit in which an instant is written; one without a logical type is in the field's own. */
export function writtenUnit(logical: AvroLogical | undefined, own: TimestampUnit): TimestampUnit {
  return logical?.kind === "timestamp" ? logical.unit : own;
}

function decimalOf(name: string, value: Decimal, precision: number, scale: number): Decimal {
  let rescaled: Decimal;
  try {
    rescaled = value.rescale(scale);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return misfit(name, `is ${value.toString().slice(0, 60)}, with more than ${scale} digits behind the point`);
  }
  const magnitude = rescaled.unscaled < 0n ? -rescaled.unscaled : rescaled.unscaled;
  return magnitude < 10n ** BigInt(precision) ? rescaled : misfit(name, `has more than ${precision} digits`);
}

/** How values of `type` are read as values of the field, or why they cannot be. */
export function conversion(name: string, type: AvroType, spec: FieldSpec): Read | Unfit {
  if (spec.type.kind === "any") return anyReader(type);
  if (type.kind === "union") return unionConversion(name, type.branches, spec);
  if (type.kind === "null") return spec.nullable ? () => null : () => misfit(name, "is null");
  const read = plainConversion(name, type, spec.type);
  return read ?? new Unfit(`field "${name}" is a ${type.kind} there, which cannot be read as ${spec.type.kind}`);
}

function unionConversion(name: string, branches: readonly AvroType[], spec: FieldSpec): Read | Unfit {
  const reads = branches.map((branch) => conversion(name, branch, spec));
  const fitting = reads.some((read, index) => !(read instanceof Unfit) && branches[index]?.kind !== "null");
  if (!fitting && branches.some(({ kind }) => kind !== "null")) return reads.find((read) => read instanceof Unfit) as Unfit;
  const usable = reads.map(
    (read, index): Read => (read instanceof Unfit ? () => misfit(name, `is a ${branches[index]?.kind}, not ${spec.type.kind}`) : read),
  );
  return (reader) => (usable[readBranch(reader, usable.length)] as Read)(reader);
}

function plainConversion(name: string, type: AvroType, to: TypeSpec): Read | undefined {
  const isInteger = type.kind === "int" || type.kind === "long";
  switch (to.kind) {
    case "boolean":
      return type.kind === "boolean" ? readBoolean : undefined;
    case "int8":
    case "int16":
    case "int32":
    case "date":
      return isInteger ? boundedInteger(name, to.kind) : undefined;
    case "int64":
      if (!isInteger) return undefined;
      return to.as === "bigint" ? readInt64 : (reader) => readSafe(reader, name);
    case "timestamp": {
      if (!isInteger) return undefined;
      const read = instantReader(name, writtenUnit(type.logical, to.unit), to.unit);
      return to.unit === "ns" ? read : (reader) => safeNumber(name, read(reader));
    }
    case "float32":
      return type.kind === "float" ? readFloat : undefined;
    case "float64":
      if (type.kind === "double") return (reader) => reader.f64();
      return type.kind === "float" ? readFloat : isInteger ? (reader) => readSafe(reader, name) : undefined;
    case "decimal":
      return decimalConversion(name, type, to.precision, to.scale);
    case "string":
    case "enum": {
      const read = textReader(type);
      if (read === undefined || to.kind === "string") return read;
      return (reader) => {
        const value = read(reader);
        return to.values.includes(value)
          ? value
          : misfit(name, `is ${JSON.stringify(value.slice(0, 40))}, not one of its ${to.values.length} values`);
      };
    }
    case "bytes":
      return type.kind === "bytes" ? readBytesValue : type.kind === "fixed" ? fixedReader(type.size) : undefined;
    case "list":
      return type.kind === "array" ? listConversion(name, type.items, to.of) : undefined;
    case "map":
      return type.kind === "map" ? mapConversion(name, type.values, to.of) : undefined;
    case "struct":
      return type.kind === "record" ? recordConversion(name, type, to.fields) : undefined;
    case "any":
      return anyReader(type);
  }
}

function textReader(type: AvroType): ((reader: ByteReader) => string) | undefined {
  if (type.kind === "string") return readTextValue;
  return type.kind === "enum" ? (reader) => type.symbols[readBranch(reader, type.symbols.length)] as string : undefined;
}

function fixedReader(size: number): (reader: ByteReader) => Uint8Array {
  return (reader) => new Uint8Array(reader.raw(size));
}

function decimalConversion(name: string, type: AvroType, precision: number, scale: number): Read | undefined {
  if (type.kind === "int" || type.kind === "long") return (reader) => decimalOf(name, new Decimal(readInt64(reader), 0), precision, scale);
  if (type.kind !== "bytes" && type.kind !== "fixed") return undefined;
  if (type.logical?.kind !== "decimal") return undefined;
  const written = type.logical.scale;
  const bytes = type.kind === "fixed" ? fixedReader(type.size) : readBytesValue;
  return (reader) => decimalOf(name, new Decimal(bigintOf(bytes(reader)), written), precision, scale);
}

// An inner type that cannot be read makes the outer one unreadable.
class InnerUnfit extends Error {
  readonly unfit: Unfit;

  constructor(unfit: Unfit) {
    super(unfit.reason);
    this.unfit = unfit;
  }
}

function inner(name: string, type: AvroType, spec: FieldSpec): Read {
  // Elements that may be missing have null as their form.
  const read = conversion(name, type, spec.optional ? { ...spec, nullable: true } : spec);
  if (read instanceof Unfit) throw new InnerUnfit(read);
  return spec.optional && !spec.nullable ? (reader) => read(reader) ?? undefined : read;
}

function listConversion(name: string, items: AvroType, of: FieldSpec): Read {
  const read = inner(`${name}[]`, items, of);
  return (reader) => {
    const list: unknown[] = [];
    readBlocks(reader, () => list.push(read(reader)));
    return list;
  };
}

function mapConversion(name: string, values: AvroType, of: FieldSpec): Read {
  const read = inner(`${name}{}`, values, of);
  return (reader) => {
    const map = new Map<string, unknown>();
    readBlocks(reader, () => {
      const key = readTextValue(reader);
      map.set(key, read(reader));
    });
    return map;
  };
}

/** One field of a written record: the index of the field that takes it, or -1 and how to pass over it. */
export type WrittenField = { readonly index: number; readonly type: AvroType } | { readonly index: -1; readonly skip: Skip };

/** Pairs the fields of a written record with those of a row. */
export function pairFields(
  record: AvroRecord,
  spec: RowSpec,
): { readonly written: readonly WrittenField[]; readonly absent: readonly number[] } {
  const fields = wireFields(spec);
  const taken = new Set<number>();
  const written = record.fields.map((field): WrittenField => {
    const target = fields.find(({ index, keys }) => keys.includes(field.name) && !taken.has(index));
    if (target === undefined) return { index: -1, skip: skipper(field.type) };
    taken.add(target.index);
    return { index: target.index, type: field.type };
  });
  return { written, absent: fields.filter(({ index }) => !taken.has(index)).map(({ index }) => index) };
}

function recordConversion(name: string, record: AvroRecord, fields: RowSpec): Read {
  const own = wireFields(fields);
  const { written, absent } = pairFields(record, fields);
  const steps = written.map((field) => {
    if (field.index < 0) return { name: "", read: (field as { readonly skip: Skip }).skip as Read };
    const { name: fieldName, spec } = own[field.index] as (typeof own)[number];
    return { name: fieldName, read: inner(`${name}.${fieldName}`, (field as { readonly type: AvroType }).type, spec) };
  });
  const missing = absent.map((index) => own[index] as (typeof own)[number]);
  const unfit = missing.find(({ spec }) => !spec.optional && spec.default === undefined);
  if (unfit !== undefined) throw new InnerUnfit(new Unfit(`field "${name}.${unfit.name}" is missing there`));
  return (reader) => {
    const row: Record<string, unknown> = {};
    for (const step of steps) {
      const value = step.read(reader);
      if (step.name !== "" && value !== undefined) row[step.name] = value;
    }
    for (const field of missing) if (field.spec.default !== undefined) row[field.name] = defaultOf(field.name, field.spec);
    return row;
  };
}

/** As `conversion`; nested types that cannot be read are reported the same way. */
export function fieldConversion(name: string, type: AvroType, spec: FieldSpec): Read | Unfit {
  try {
    return conversion(name, type, spec);
  } catch (error) {
    if (error instanceof InnerUnfit) return error.unfit;
    throw error;
  }
}
