// Single values of columns as scalars: read, written, compared, and as keys of a Map. For the paths that are not loops over numbers.
import { ByteWriter } from "../../base/bytes.ts";
import { writeAny } from "../../core/codec/any-value.ts";
import { type Column, isNull } from "../../core/batch/column.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, TypeSpec } from "../../core/schema/type-spec.ts";

/** A value that aggregates order or tell apart. An int64 is a number while that is exact. */
export type Scalar = number | bigint | string | Decimal;

/** What stands for a value in a Map: equal values have equal keys. */
export type ScalarKey = number | bigint | string;

const orderedKinds: ReadonlySet<TypeSpec["kind"]> = new Set([
  "boolean",
  "int8",
  "int16",
  "int32",
  "int64",
  "float32",
  "float64",
  "decimal",
  "string",
  "enum",
  "timestamp",
  "date",
]);

/** True for types whose values have an order. */
export function isOrdered(type: TypeSpec): boolean {
  return orderedKinds.has(type.kind);
}

/** True for types whose values have a `ScalarKey`. */
export function isDistinguishable(type: TypeSpec): boolean {
  return orderedKinds.has(type.kind) || type.kind === "bytes";
}

/** The value of an ordered field; the row must have one. */
export function readScalar(column: Column, row: number): Scalar {
  switch (column.kind) {
    case "number":
      return column.numbers[row] as number;
    case "int64": {
      const near = column.numbers[row] as number;
      return Number.isSafeInteger(near) ? near : column.getInt64(row);
    }
    case "text":
      return column.getText(row);
    case "object":
      return column.objects[row] as Decimal;
  }
}

export function writeScalar(column: Column, row: number, value: Scalar): void {
  if (column.nulls !== null) column.nulls[row] = 0;
  switch (column.kind) {
    case "number":
      column.numbers[row] = value as number;
      return;
    case "int64":
      if (typeof value === "number") {
        column.numbers[row] = value;
        column.exact?.delete(row);
      } else column.setInt64(row, value as bigint);
      return;
    case "text":
      column.setText(row, value as string);
      return;
    case "object":
      column.objects[row] = value;
      return;
  }
}

export function writeNull(column: Column, row: number): void {
  column.setAbsent(row, isNull);
  if (column.kind === "text") column.setText(row, "");
  else if (column.kind === "object") column.objects[row] = null;
  else {
    column.numbers[row] = 0;
    column.exact?.delete(row);
  }
}

/**
 * Negative, zero or positive as `a` is less than, equal to or greater than `b`; both of one field.
 * Texts compare by code points, as their UTF-8 bytes do. Not-a-number equals itself and is greater than every number, as in SQL.
 */
export function compareScalars(a: Scalar, b: Scalar): number {
  if (typeof a === "string") return compareTexts(a, b as string);
  if (a instanceof Decimal) return a.compare(b as Decimal);
  const left = a as number;
  const right = b as number;
  if (left < right) return -1;
  if (left > right) return 1;
  // biome-ignore lint/suspicious/noSelfCompare: only not-a-number differs from itself
  return Number(left !== left) - Number(right !== right);
}

export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    // Surrogates stand for code points above all others, though their units are below U+E000 to U+FFFF.
    const leftHigh = left >= 0xd800 && left <= 0xdfff;
    const rightHigh = right >= 0xd800 && right <= 0xdfff;
    if (leftHigh !== rightHigh) return leftHigh ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}

/** The key of a distinguishable value; decimals of one field have one scale, so their digits tell them apart. */
export function readKey(column: Column, row: number): ScalarKey {
  if (column.kind !== "object") return readScalar(column, row) as ScalarKey;
  const value = column.objects[row];
  if (value instanceof Decimal) return value.unscaled;
  return Buffer.from(value as Uint8Array).toString("latin1");
}

/** The value that a key stands for. */
export function scalarOfKey(spec: FieldSpec, key: ScalarKey): unknown {
  switch (spec.type.kind) {
    case "decimal":
      return new Decimal(key as bigint, spec.type.scale);
    case "bytes":
      return Uint8Array.from(Buffer.from(key as string, "latin1"));
    default:
      return key;
  }
}

/** The value of any field as a row object has it, fit to be kept. */
export function readValue(spec: FieldSpec, column: Column, row: number): unknown {
  if (column.kind === "number") return spec.type.kind === "boolean" ? column.numbers[row] === 1 : column.numbers[row];
  if (column.kind === "int64") return column.getInt64(row);
  return column.kind === "text" ? column.getText(row) : ownedObject(column.objects[row]);
}

/** An object that may be kept: bytes may be a range of a fetched buffer, which is used again, so they are copied. */
export function ownedObject(value: unknown): unknown {
  return value instanceof Uint8Array ? Uint8Array.from(value) : value;
}

export function writeValue(spec: FieldSpec, column: Column, row: number, value: unknown): void {
  if (value === null || value === undefined) writeNull(column, row);
  else if (spec.type.kind === "boolean") writeScalar(column, row, value === true ? 1 : 0);
  else writeScalar(column, row, value as Scalar);
}

/** What two equal values share: the value itself where `===` says it, the bytes of their stored form for the rest. */
export function identityOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const writer = new ByteWriter(64);
  writeAny(writer, value);
  return writer.copy().toString("latin1");
}
