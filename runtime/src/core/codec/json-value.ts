// Values as plain JSON by their field's type: what people read of state and dead letters, and how defaults are declared.
import { MillraceError } from "../../base/errors.ts";
import { Decimal } from "../schema/decimal.ts";
import type { Schema } from "../schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../schema/type-spec.ts";
import { fits } from "../batch/rows-builder.ts";
import { dayText, instantText, parseDay, parseInstant } from "./iso-time.ts";

/** What JSON.stringify writes and JSON.parse gives. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

const longInteger = /^-?(0|[1-9]\d*)$/;

/**
 * The JSON form of a value. Integers are numbers up to ±(2^53 - 1) and text beyond, because most readers of JSON would round
 * them; decimals are text; bytes are base64; instants are numbers, or ISO 8601 where the field says so; days are
 * `YYYY-MM-DD` (numbers where the calendar ends); NaN and the infinities are text; a map is an object. `fromJson` gives the value back, except for type `any`,
 * whose Map, Set, Date, bigint and undefined become what a person would write for them.
 */
export function toJson(spec: FieldSpec, value: unknown): JsonValue {
  if (value === null || value === undefined) return null;
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
    case "int8":
    case "int16":
    case "int32":
    case "string":
    case "enum":
      return value as JsonValue;
    case "float32":
    case "float64":
      return floatJson(value as number);
    case "int64":
      return integerJson(value as number | bigint);
    case "timestamp":
      return (type.text === "iso" ? instantText(value as number | bigint, type.unit) : undefined) ?? integerJson(value as number | bigint);
    case "date":
      return dayText(value as number) ?? (value as number);
    case "decimal":
      return (value as Decimal).toString();
    case "bytes":
      return base64(value as Uint8Array);
    case "list":
      return (value as readonly unknown[]).map((entry) => toJson(type.of, entry));
    case "map":
      return objectOf([...(value as ReadonlyMap<string, unknown>)].map(([key, entry]) => [key, toJson(type.of, entry)]));
    case "struct":
      return rowToJson(type.fields, value as Readonly<Record<string, unknown>>);
    case "any":
      return anyJson(value);
  }
}

/** The JSON form of a row; missing fields are left out. */
export function rowToJson(spec: RowSpec, row: Readonly<Record<string, unknown>>): { readonly [name: string]: JsonValue } {
  const entries = Object.entries(spec).filter(([name]) => row[name] !== undefined);
  return objectOf(entries.map(([name, field]) => [name, toJson(field, row[name])]));
}

function objectOf(entries: readonly (readonly [string, JsonValue])[]): { readonly [name: string]: JsonValue } {
  return Object.fromEntries(entries);
}

function integerJson(value: number | bigint): JsonValue {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value.toString();
}

function floatJson(value: number): JsonValue {
  return Number.isFinite(value) ? value : String(value);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function anyJson(value: unknown): JsonValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return floatJson(value);
  if (typeof value === "bigint") return integerJson(value);
  if (typeof value !== "object") return typeof value === "boolean" ? value : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof Uint8Array) return base64(value);
  if (value instanceof Decimal) return value.toString();
  if (Array.isArray(value) || value instanceof Set) return Array.from(value as Iterable<unknown>, anyJson);
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<unknown, unknown>)];
    // A map whose keys are not all text has no object form: it becomes its list of entries.
    if (entries.some(([key]) => typeof key !== "string")) return entries.map(([key, entry]) => [anyJson(key), anyJson(entry)]);
    return objectOf(entries.map(([key, entry]) => [key as string, anyJson(entry)]));
  }
  return objectOf(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([name, entry]) => [name, anyJson(entry)]),
  );
}

function refuse(name: string, spec: FieldSpec, value: unknown): never {
  const shown = typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) ?? String(value));
  throw new MillraceError(
    "VALUE_INVALID",
    `field "${name}"`,
    `${shown.slice(0, 80)} is not a ${spec.type.kind}`,
    "give the JSON form of a value of that type",
  );
}

/**
 * The value whose JSON form is `json`; a value that already has the field's type is taken as it is, so that a default may be
 * given either way. Throws VALUE_INVALID with the field's name.
 */
export function fromJson(name: string, spec: FieldSpec, json: unknown): unknown {
  if (json === null && spec.nullable) return null;
  if (json === null && spec.type.kind === "any") return null;
  if (json === undefined && spec.optional) return undefined;
  if (json === null || json === undefined) refuse(name, spec, json);
  const value = parse(name, spec, spec.type, json);
  if (value === undefined || !fits(spec, value)) refuse(name, spec, json);
  return value;
}

// Undefined where the JSON cannot be a value of the type; `fits` has the last word on its range.
function parse(name: string, spec: FieldSpec, type: TypeSpec, json: unknown): unknown {
  switch (type.kind) {
    case "boolean":
    case "int8":
    case "int16":
    case "int32":
    case "string":
    case "enum":
    case "any":
      return json;
    case "float32":
    case "float64":
      return json === "NaN"
        ? Number.NaN
        : json === "Infinity"
          ? Number.POSITIVE_INFINITY
          : json === "-Infinity"
            ? Number.NEGATIVE_INFINITY
            : json;
    case "int64":
      return integerOf(json, type.as === "bigint");
    case "timestamp":
      if (type.text === "iso" && typeof json === "string") {
        const instant = parseInstant(json, type.unit);
        return instant === undefined ? undefined : integerOf(instant, type.unit === "ns");
      }
      return integerOf(json, type.unit === "ns");
    case "date":
      return typeof json === "string" ? parseDay(json) : json;
    case "decimal":
      return decimalOf(json, type.scale);
    case "bytes":
      return typeof json === "string" ? parseBase64(json) : json;
    case "list":
      if (!Array.isArray(json)) refuse(name, spec, json);
      return json.map((entry: unknown) => elementFromJson(`${name}[]`, type.of, entry));
    case "map": {
      const entries =
        json instanceof Map
          ? [...(json as ReadonlyMap<string, unknown>)]
          : typeof json === "object" && json !== null
            ? Object.entries(json)
            : undefined;
      if (entries === undefined || Array.isArray(json)) refuse(name, spec, json);
      return new Map(entries.map(([key, entry]) => [key, elementFromJson(`${name}{}`, type.of, entry)]));
    }
    case "struct":
      if (typeof json !== "object" || json === null || Array.isArray(json)) refuse(name, spec, json);
      return rowFromSpec(type.fields, json as Readonly<Record<string, unknown>>, `${name}.`);
  }
}

// A missing element of a list or map has no other form than null.
function elementFromJson(name: string, spec: FieldSpec, json: unknown): unknown {
  return json === null && spec.optional && !spec.nullable ? undefined : fromJson(name, spec, json);
}

function integerOf(json: unknown, asBigint: boolean): unknown {
  if (typeof json === "string") {
    if (!longInteger.test(json) || json.length > 20) return undefined;
    return asBigint ? BigInt(json) : Number(json);
  }
  if (typeof json === "bigint") return asBigint ? json : Number(json);
  if (!Number.isSafeInteger(json)) return undefined;
  return asBigint ? BigInt(json as number) : json;
}

function decimalOf(json: unknown, scale: number): unknown {
  try {
    if (json instanceof Decimal) return json.rescale(scale);
    return typeof json === "string" || typeof json === "number" ? Decimal.parse(String(json)).rescale(scale) : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The bytes of strict base64 (padded, no spaces); undefined for anything else. */
export function parseBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? new Uint8Array(bytes) : undefined;
}

function rowFromSpec(spec: RowSpec, json: Readonly<Record<string, unknown>>, prefix: string): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(spec)) {
    const own = Object.hasOwn(json, name) ? json[name] : undefined;
    const value = own === undefined ? defaultOf(`${prefix}${name}`, field) : fromJson(`${prefix}${name}`, field, own);
    if (value !== undefined) row[name] = value;
  }
  return row;
}

/** The row whose JSON form is `json`; fields that it lacks get their default. Throws VALUE_INVALID with the field's name. */
export function rowFromJson<Row>(schema: Schema<Row>, json: unknown): Row {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new MillraceError("VALUE_INVALID", "row", `${JSON.stringify(json).slice(0, 80)} is not an object`, "give one property per field");
  }
  return rowFromSpec(schema.spec, json as Readonly<Record<string, unknown>>, "") as Row;
}

/** What a missing field of a row reads as: its default; undefined where it is optional. Throws VALUE_INVALID where it must be there. */
export function defaultOf(name: string, spec: FieldSpec): unknown {
  if (spec.default !== undefined) return fromJson(name, spec, spec.default);
  if (!spec.optional)
    throw new MillraceError(
      "VALUE_INVALID",
      `field "${name}"`,
      "is missing",
      "give it a value, or declare a default or the field optional",
    );
  return undefined;
}
