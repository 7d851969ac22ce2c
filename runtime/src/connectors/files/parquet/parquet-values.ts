// From what a Parquet file holds to the values of fields: each leaf is read as its plain number or bytes and converted exactly.
import type { SchemaElement, SchemaTree } from "hyparquet";
import { fits } from "../../../core/batch/rows-builder.ts";
import { Decimal } from "../../../core/schema/decimal.ts";
import type { FieldSpec, TimestampUnit } from "../../../core/schema/type-spec.ts";

/** The value of a field; `unfit` where it is none. Absent values do not come here. */
export type ConvertValue = (raw: unknown) => unknown;
export const unfit: unique symbol = Symbol("unfit");

const unitOf: Readonly<Record<string, TimestampUnit>> = { MILLIS: "ms", MICROS: "us", NANOS: "ns" };
const nanosOf: Readonly<Record<TimestampUnit, bigint>> = { s: 1_000_000_000n, ms: 1_000_000n, us: 1000n, ns: 1n };

/** Which instants a column holds; undefined for other columns. */
function timestampUnit({ type, converted_type: converted, logical_type: logical }: SchemaElement): TimestampUnit | undefined {
  if (type === "INT96") return "ns";
  if (converted === "TIMESTAMP_MILLIS") return "ms";
  if (converted === "TIMESTAMP_MICROS") return "us";
  return logical?.type === "TIMESTAMP" ? unitOf[logical.unit] : undefined;
}

/** Makes the reader leave a column's values as they are stored. INT96 stays: its parser gives nanoseconds. */
function takePlain(element: SchemaElement): void {
  delete element.converted_type;
  delete element.logical_type;
}

/**
 * A converter for a column of the file, and the change to its description that makes the reader give what it converts.
 * Undefined where the column cannot be the field's type at all.
 */
export function planValue(tree: SchemaTree, spec: FieldSpec): ConvertValue | undefined {
  const convert = planType(tree, spec);
  if (convert === undefined) return undefined;
  return (raw) => {
    const value = convert(raw);
    return value !== unfit && fits(spec, value) ? value : unfit;
  };
}

function planType(tree: SchemaTree, spec: FieldSpec): ConvertValue | undefined {
  const { element } = tree;
  const type = spec.type;
  switch (type.kind) {
    case "list":
      return planList(tree, type.of);
    case "map":
      return planMap(tree, type.of);
    case "struct":
      return planStruct(tree, type.fields);
    default:
      break;
  }
  if (tree.children.length > 0) return undefined;
  switch (type.kind) {
    case "boolean":
      return element.type === "BOOLEAN" ? (raw) => raw : undefined;
    case "int8":
    case "int16":
    case "int32":
      return isInteger(element) ? wholeNumber : undefined;
    case "int64":
      if (!isInteger(element)) return undefined;
      return type.as === "number" ? wholeNumber : (raw) => BigInt(raw as number | bigint);
    case "float32":
    case "float64":
      if (element.type !== "FLOAT" && element.type !== "DOUBLE" && !isInteger(element)) return undefined;
      return (raw) => (typeof raw === "bigint" ? Number(raw) : raw);
    case "decimal":
      return planDecimal(element, type.scale);
    case "string":
    case "enum":
      return planText(element);
    case "bytes":
      if (element.type !== "BYTE_ARRAY" && element.type !== "FIXED_LEN_BYTE_ARRAY") return undefined;
      takePlain(element);
      return (raw) => (raw instanceof Uint8Array ? raw.slice() : unfit);
    case "timestamp":
      return planTimestamp(element, type.unit);
    case "date":
      if (element.converted_type !== "DATE" && element.logical_type?.type !== "DATE") return undefined;
      takePlain(element);
      return (raw) => raw;
    case "any":
      return (raw) => raw;
  }
}

function isInteger({ type, converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  if (type !== "INT32" && type !== "INT64") return false;
  return (converted === undefined || converted.includes("INT")) && (logical === undefined || logical.type === "INTEGER");
}

function wholeNumber(raw: unknown): unknown {
  return typeof raw === "bigint" ? Number(raw) : raw;
}

function planText(element: SchemaElement): ConvertValue | undefined {
  if (element.type === "FIXED_LEN_BYTE_ARRAY" && element.logical_type?.type === "UUID") return (raw) => raw;
  if (element.type !== "BYTE_ARRAY") return undefined;
  takePlain(element);
  element.converted_type = "UTF8";
  return (raw) => raw;
}

function planTimestamp(element: SchemaElement, unit: TimestampUnit): ConvertValue | undefined {
  const stored = timestampUnit(element);
  if (stored === undefined) return undefined;
  if (element.type !== "INT96") takePlain(element);
  const from = nanosOf[stored];
  const to = nanosOf[unit];
  return (raw) => {
    const nanos = BigInt(raw as bigint) * from;
    // Digits that the field cannot hold would be lost without a word.
    if (nanos % to !== 0n) return unfit;
    return unit === "ns" ? nanos : Number(nanos / to);
  };
}

function planDecimal(element: SchemaElement, scale: number): ConvertValue | undefined {
  const logical = element.logical_type;
  if (element.converted_type !== "DECIMAL" && logical?.type !== "DECIMAL") return undefined;
  const stored = element.scale ?? (logical?.type === "DECIMAL" ? logical.scale : 0);
  takePlain(element);
  return (raw) => {
    const unscaled = raw instanceof Uint8Array ? signedBigEndian(raw) : BigInt(raw as number | bigint);
    try {
      return new Decimal(unscaled, stored).rescale(scale);
    } catch {
      return unfit;
    }
  };
}

function signedBigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.length * 8, value);
}

const isAbsent = (raw: unknown): raw is null | undefined => raw === null || raw === undefined;

/** The value of an element, key or part: absent ones as the spec allows. */
function part(spec: FieldSpec, convert: ConvertValue, raw: unknown): unknown {
  if (!isAbsent(raw)) return convert(raw);
  return spec.nullable ? null : spec.optional ? undefined : unfit;
}

function planList(tree: SchemaTree, of: FieldSpec): ConvertValue | undefined {
  const repeated = tree.children[0];
  if (tree.children.length !== 1 || repeated === undefined || repeated.element.repetition_type !== "REPEATED") return undefined;
  const element = repeated.children.length === 1 ? repeated.children[0] : repeated;
  const convert = element === undefined ? undefined : planValue(element, of);
  if (convert === undefined) return undefined;
  return (raw) => {
    const values = Array.from(raw as ArrayLike<unknown>, (entry) => part(of, convert, entry));
    return values.includes(unfit) ? unfit : values;
  };
}

function planMap(tree: SchemaTree, of: FieldSpec): ConvertValue | undefined {
  const [key, value] = tree.children[0]?.children ?? [];
  if (tree.children.length !== 1 || key === undefined || value === undefined) return undefined;
  const text: FieldSpec = { type: { kind: "string" }, nullable: false, optional: false, aliases: [] };
  const convertKey = planValue(key, text);
  const convert = planValue(value, of);
  if (convertKey === undefined || convert === undefined) return undefined;
  return (raw) => {
    const entries = Object.entries(raw as object).map(([name, entry]) => [name, part(of, convert, entry)] as const);
    return entries.some(([, entry]) => entry === unfit) ? unfit : new Map(entries);
  };
}

function planStruct(tree: SchemaTree, fields: Readonly<Record<string, FieldSpec>>): ConvertValue | undefined {
  const parts: { readonly name: string; readonly stored: string; readonly spec: FieldSpec; readonly convert: ConvertValue }[] = [];
  for (const [name, spec] of Object.entries(fields)) {
    const names = [spec.wireName ?? name, ...spec.aliases];
    const child = tree.children.find((entry) => names.includes(entry.element.name));
    const convert = child === undefined ? (spec.nullable || spec.optional ? (): unknown => unfit : undefined) : planValue(child, spec);
    if (convert === undefined) return undefined;
    parts.push({ name, stored: child?.element.name ?? name, spec, convert });
  }
  return (raw) => {
    const row: Record<string, unknown> = {};
    for (const { name, stored, spec, convert } of parts) {
      const value = part(spec, convert, (raw as Record<string, unknown>)[stored]);
      if (value === unfit) return unfit;
      if (value !== undefined) row[name] = value;
    }
    return row;
  };
}
