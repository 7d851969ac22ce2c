// Lists, maps, structs and untyped values as JSON text. Integers of any size are numbers, as everywhere in this format.
import { MillraceError } from "../../base/errors.ts";
import { dayText, instantText } from "../../core/codec/iso-time.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";

export interface NestedOptions {
  readonly decimals: "text" | "number";
}

function textOf(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

function doubleText(value: number): string {
  return Number.isFinite(value) ? (Object.is(value, -0) ? "-0" : String(value)) : `"${value}"`;
}

/** Throws ROW_INVALID: ISO 8601 ends 100,000,000 days from 1970. */
export function beyondCalendar(name: string, value: unknown): never {
  throw new MillraceError(
    "ROW_INVALID",
    `field "${name}"`,
    `${String(value)} is beyond the calendar`,
    "use a timestamp as a number, or a value within 100,000,000 days of 1970",
  );
}

/** The JSON text of a value. */
export function nestedText(name: string, spec: FieldSpec, value: unknown, options: NestedOptions): string {
  if (value === null || value === undefined) return "null";
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
    case "int8":
    case "int16":
    case "int32":
    case "int64":
      return String(value);
    case "float32":
    case "float64":
      return doubleText(value as number);
    case "timestamp":
      if (type.text === "number") return String(value);
      return textOf(instantText(value as number | bigint, type.unit) ?? beyondCalendar(name, value));
    case "date":
      return textOf(dayText(value as number) ?? beyondCalendar(name, value));
    case "string":
    case "enum":
      return textOf(value as string);
    case "decimal":
      return options.decimals === "text" ? `"${(value as Decimal).toString()}"` : (value as Decimal).toString();
    case "bytes":
      return `"${base64Of(value as Uint8Array)}"`;
    case "list":
      return `[${(value as readonly unknown[]).map((item) => nestedText(name, type.of, item, options)).join(",")}]`;
    case "map":
      return objectText(
        [...(value as ReadonlyMap<string, unknown>)].map(([key, entry]) => [key, nestedText(name, type.of, entry, options)]),
      );
    case "struct":
      return rowText(name, type.fields, value as Readonly<Record<string, unknown>>, options);
    case "any":
      return anyText(name, value, options, 0);
  }
}

function rowText(name: string, fields: RowSpec, row: Readonly<Record<string, unknown>>, options: NestedOptions): string {
  return objectText(
    Object.entries(fields)
      .filter(([field]) => row[field] !== undefined)
      .map(([field, spec]) => [spec.wireName ?? field, nestedText(`${name}.${field}`, spec, row[field], options)]),
  );
}

function objectText(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([key, text]) => `${textOf(key)}:${text}`).join(",")}}`;
}

/** The base64 text of bytes. */
export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function anyText(name: string, value: unknown, options: NestedOptions, depth: number): string {
  if (depth > 100)
    throw new MillraceError(
      "ROW_INVALID",
      `field "${name}"`,
      "is nested deeper than 100 levels, or holds itself",
      "give a value without cycles",
    );
  const inner = (entry: unknown): string => anyText(name, entry, options, depth + 1);
  switch (typeof value) {
    case "string":
      return textOf(value);
    case "number":
      return doubleText(value);
    case "bigint":
    case "boolean":
      return String(value);
    case "object":
      break;
    default:
      return "null";
  }
  if (value === null) return "null";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "null" : `"${value.toISOString()}"`;
  if (value instanceof Decimal) return options.decimals === "text" ? `"${value.toString()}"` : value.toString();
  if (value instanceof Uint8Array) return `"${base64Of(value)}"`;
  if (Array.isArray(value) || value instanceof Set) return `[${Array.from(value as Iterable<unknown>, inner).join(",")}]`;
  const entries: readonly (readonly [unknown, unknown])[] =
    value instanceof Map ? [...(value as ReadonlyMap<unknown, unknown>)] : Object.entries(value);
  return objectText(entries.filter(([, entry]) => entry !== undefined).map(([key, entry]) => [String(key), inner(entry)]));
}
