// Reads Protobuf's scalar values, and says which integers are in range.
import type { ByteReader } from "../../base/bytes.ts";
import type { Column } from "../../core/batch/column.ts";
import { assertUtf8, take } from "../../core/codec/text.ts";
import type { FieldSpec, TimestampUnit } from "../../core/schema/type-spec.ts";
import { misfit } from "../bad-record.ts";
import type { ProtoType } from "./proto-schema.ts";
import { Bits64, readLength, readTag, skipField, wireBytes, wireFixed32, wireFixed64, wireVarint } from "./proto-wire.ts";

export type ReadValue = (reader: ByteReader) => unknown;

/** How one value is read, and the wire type that it must have. */
export interface Conversion {
  readonly wire: number;
  readonly read: ReadValue;
}

/** Makes the conversion of a field; handed on, because messages hold messages. */
export type Convert = (name: string, type: ProtoType, spec: FieldSpec) => Conversion;

/** Why no value of a Protobuf type can be one of a field: thrown while a reader is made. */
export class Unfit extends Error {}

/** The wire type of a type's values. */
export function wireOf(type: ProtoType): number {
  switch (type.kind) {
    case "double":
    case "fixed64":
    case "sfixed64":
      return wireFixed64;
    case "float":
    case "fixed32":
    case "sfixed32":
      return wireFixed32;
    case "string":
    case "bytes":
    case "message":
    case "map":
      return wireBytes;
    default:
      return wireVarint;
  }
}

const narrow: ReadonlySet<string> = new Set(["int32", "uint32", "sint32", "fixed32", "sfixed32"]);
const wide: ReadonlySet<string> = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);

/** Reads an integer of at most 32 bits. */
export function narrowReader(kind: ProtoType["kind"]): (reader: ByteReader) => number {
  const bits = new Bits64();
  switch (kind) {
    case "fixed32":
      return (reader) => reader.u32();
    case "sfixed32":
      return (reader) => reader.i32();
    default:
      return (reader) => {
        bits.read(reader);
        if (kind === "sint32") bits.unzigzag();
        return kind === "uint32" ? bits.low >>> 0 : bits.low;
      };
  }
}

/** Reads an integer of 64 bits. One above 2^63 - 1 does not fit any field. */
export function wideReader(name: string, kind: ProtoType["kind"]): (reader: ByteReader) => bigint {
  const bits = new Bits64();
  return (reader) => {
    if (kind === "fixed64" || kind === "sfixed64") {
      const value = reader.i64();
      return kind === "sfixed64" || value >= 0n ? value : misfit(name, `is ${BigInt.asUintN(64, value)}, out of range`);
    }
    bits.read(reader);
    if (kind === "sint64") bits.unzigzag();
    if (kind === "uint64" && bits.high < 0) misfit(name, `is ${bits.unsigned}, out of range`);
    return bits.signed;
  };
}

/** Reads an integer as a safe number; one beyond 2^53 does not fit. Undefined for types that are no integers. */
export function safeReader(name: string, kind: ProtoType["kind"]): ((reader: ByteReader) => number) | undefined {
  if (narrow.has(kind)) return narrowReader(kind);
  if (!wide.has(kind)) return undefined;
  if (kind === "int64" || kind === "sint64") {
    const bits = new Bits64();
    return (reader) => {
      bits.read(reader);
      if (kind === "sint64") bits.unzigzag();
      const { near } = bits;
      return Number.isSafeInteger(near) ? near : misfit(name, `is ${bits.signed}, out of range`);
    };
  }
  const read = wideReader(name, kind);
  return (reader) => {
    const value = read(reader);
    return Number.isSafeInteger(Number(value)) ? Number(value) : misfit(name, `is ${value}, out of range`);
  };
}

/** Reads an integer within limits. */
export function boundedReader(name: string, kind: ProtoType["kind"], least: number, greatest: number): ReadValue | undefined {
  const read = safeReader(name, kind);
  if (read === undefined) return undefined;
  return (reader) => {
    const value = read(reader);
    return value >= least && value <= greatest ? value : misfit(name, `is ${value}, out of range`);
  };
}

/** Reads any integer as a bigint. */
export function bigReader(name: string, kind: ProtoType["kind"]): ReadValue | undefined {
  if (wide.has(kind)) return wideReader(name, kind);
  const read = narrow.has(kind) ? narrowReader(kind) : undefined;
  return read === undefined ? undefined : (reader) => BigInt(read(reader));
}

export function readBool(reader: ByteReader): boolean {
  const bits = new Bits64();
  bits.read(reader);
  return (bits.low | bits.high) !== 0;
}

export function readBytes(reader: ByteReader): Uint8Array {
  return new Uint8Array(reader.raw(readLength(reader)));
}

export function readFloat(reader: ByteReader): number {
  return reader.buffer.readFloatLE(take(reader, 4));
}

/** Runs `read` over the bytes of a length-delimited value. */
export function within<T>(reader: ByteReader, read: () => T): T {
  const length = readLength(reader);
  const outer = reader.end;
  const end = reader.position + length;
  reader.end = end;
  const value = read();
  if (reader.position !== end) throw new RangeError(`a value does not end at ${end} but at ${reader.position}`);
  reader.end = outer;
  return value;
}

/** Reads a value into a column, without making one in between. `again` says that the field occurred before in the same message. */
export type ReadDirectly = (reader: ByteReader, column: Column, row: number, again: boolean) => void;

/** How the usual pairs of types are read straight into a column; undefined for the others. */
export function directReader(name: string, type: ProtoType, spec: FieldSpec): ReadDirectly | undefined {
  const to = spec.type;
  if (to.kind === "string" && type.kind === "string") return readRange;
  if (type.kind === "message") return to.kind === "timestamp" && type.name === timestampName ? instantReader(name, to.unit) : undefined;
  if (to.kind === "float64" && type.kind === "double") {
    return (reader, column, row) => {
      column.numbers[row] = reader.f64();
    };
  }
  const isInt32 = to.kind === "int32" && (type.kind === "int32" || type.kind === "sint32" || type.kind === "sfixed32");
  if (isInt32 || (to.kind === "int64" && to.as === "number") || (to.kind === "timestamp" && to.unit !== "ns")) {
    const read = safeReader(name, type.kind);
    if (read === undefined) return undefined;
    return (reader, column, row) => {
      column.numbers[row] = read(reader);
    };
  }
  if (to.kind !== "int64" || (type.kind !== "int64" && type.kind !== "sint64")) return undefined;
  const bits = new Bits64();
  return (reader, column, row) => {
    bits.read(reader);
    if (type.kind === "sint64") bits.unzigzag();
    const { near } = bits;
    if (!Number.isSafeInteger(near)) column.setInt64(row, bits.signed);
    else {
      column.numbers[row] = near;
      if (column.exact !== null) column.exact.delete(row);
    }
  };
}

/** Google's type of instants: seconds since the epoch in field 1, nanoseconds in field 2. */
export const timestampName = "google.protobuf.Timestamp";

const unitsPerSecond: Readonly<Record<TimestampUnit, number>> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };

// Instants of units that numbers hold; nanoseconds go the way of other messages.
function instantReader(name: string, unit: TimestampUnit): ReadDirectly | undefined {
  if (unit === "ns") return undefined;
  const perSecond = unitsPerSecond[unit];
  const nanosPerUnit = 1e9 / perSecond;
  const bits = new Bits64();
  let seconds = 0;
  let nanos = 0;
  return (reader, column, row, again) => {
    // Two occurrences of a message are one with the fields of both.
    if (!again) {
      seconds = 0;
      nanos = 0;
    }
    within(reader, () => {
      while (reader.position < reader.end) {
        const tag = readTag(reader);
        if (tag === 8) {
          bits.read(reader);
          seconds = bits.near;
        } else if (tag === 16) {
          bits.read(reader);
          nanos = bits.low;
        } else skipField(reader, tag);
      }
    });
    if (nanos % nanosPerUnit !== 0) misfit(name, `has digits of a second finer than ${unit}`);
    const value = seconds * perSecond + nanos / nanosPerUnit;
    if (!Number.isSafeInteger(seconds) || !Number.isSafeInteger(value)) misfit(name, "is out of range");
    column.numbers[row] = value;
  };
}

// Text stays where it is, once it is known to be text.
function readRange(reader: ByteReader, column: Column, row: number): void {
  const length = readLength(reader);
  const at = take(reader, length);
  assertUtf8(reader, at, at + length);
  column.starts[row] = at;
  column.ends[row] = at + length;
}
