// What a document must become, worked out from JSON.parse and the documented rules alone: the reference for tests of the decoder.
import { isUtf8 } from "node:buffer";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";

export type Expected = { readonly code: "RECORD_UNPARSABLE" | "RECORD_MISFIT" } | { readonly row: Readonly<Record<string, unknown>> };

class Misfit extends Error {}

/** A number with its digits, which JSON.parse alone would round. */
class Digits {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

const marker = "\u0000digits:";
// Strings and numbers of valid JSON.
const scalar = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

// JSON.parse of valid text with numbers as `Digits`: they are marked and carried as strings.
function parseWithDigits(text: string): unknown {
  const marked = text.replace(scalar, (token) => (token.startsWith('"') ? token : JSON.stringify(marker + token)));
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === "string" && value.startsWith(marker) ? new Digits(value.slice(marker.length)) : value,
  );
}

/** The row of a document, or why it has none. */
export function expectedRow(spec: RowSpec, document: Uint8Array): Expected {
  if (!isUtf8(document)) return { code: "RECORD_UNPARSABLE" };
  const text = Buffer.from(document).toString("utf8");
  let tree: unknown;
  try {
    JSON.parse(text);
    tree = parseWithDigits(text);
  } catch {
    return { code: "RECORD_UNPARSABLE" };
  }
  try {
    return { row: rowOf(spec, tree, () => JSON.parse(text) as unknown) };
  } catch (error) {
    if (error instanceof Misfit) return { code: "RECORD_MISFIT" };
    throw error;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Digits);
}

function fail(): never {
  throw new Misfit();
}

// `plain` gives the same value as JSON.parse does without a reviver.
function rowOf(spec: RowSpec, tree: unknown, plain: () => unknown): Record<string, unknown> {
  if (!isObject(tree)) fail();
  const row: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(spec)) {
    const keys = [field.wireName ?? name, ...field.aliases].filter((key) => Object.hasOwn(tree, key));
    // Tests do not give one field under two keys in one document: which one wins is not JSON.parse's to say.
    const key = keys[0];
    if (key !== undefined) row[name] = valueOf(field, tree[key], () => (plain() as Record<string, unknown>)[key]);
    else if (field.default !== undefined) row[name] = defaultValue(field.type, field.default);
    else if (!field.optional) fail();
  }
  return row;
}

function defaultValue(type: TypeSpec, form: unknown): unknown {
  if (type.kind === "int64" && type.as === "bigint") return BigInt(form as string);
  if (type.kind === "int64") return Number(form);
  return type.kind === "decimal" ? new Decimal(0n, type.scale) : form;
}

const limits: Readonly<Record<string, bigint>> = { int8: 2n ** 7n, int16: 2n ** 15n, int32: 2n ** 31n };

function valueOf(spec: FieldSpec, value: unknown, plain: () => unknown): unknown {
  const { type } = spec;
  if (type.kind === "any") return plain();
  if (value === null) return spec.nullable ? null : fail();
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean" ? value : fail();
    case "int8":
    case "int16":
    case "int32": {
      const limit = limits[type.kind] as bigint;
      return Number(integer(value, -limit, limit - 1n));
    }
    case "int64":
      return type.as === "bigint" ? integer(value, -(2n ** 63n), 2n ** 63n - 1n) : Number(integer(value, 1n - 2n ** 53n, 2n ** 53n - 1n));
    case "timestamp":
      if (type.text === "iso") return instant(value, type.unit);
      return type.unit === "ns" ? integer(value, -(2n ** 63n), 2n ** 63n - 1n) : Number(integer(value, 1n - 2n ** 53n, 2n ** 53n - 1n));
    case "date":
      return typeof value === "string" ? day(value) : fail();
    case "float32":
    case "float64":
      return float(value, type.kind === "float32");
    case "decimal":
      return decimal(value, type.precision, type.scale);
    case "string":
      return typeof value === "string" ? value.toWellFormed() : fail();
    case "enum":
      return typeof value === "string" && type.values.includes(value) ? value : fail();
    case "bytes":
      return base64(value);
    case "list":
      return Array.isArray(value) ? value.map((item, index) => element(type.of, item, () => (plain() as unknown[])[index])) : fail();
    case "map": {
      if (!isObject(value)) fail();
      const last = new Map(Object.entries(value).map(([key, entry]) => [key.toWellFormed(), [key, entry] as const]));
      return new Map(
        [...last].map(([key, [raw, entry]]) => [key, element(type.of, entry, () => (plain() as Record<string, unknown>)[raw])]),
      );
    }
    case "struct":
      return rowOf(type.fields, value, plain);
  }
}

function element(spec: FieldSpec, value: unknown, plain: () => unknown): unknown {
  if (value === null && spec.optional && !spec.nullable && spec.type.kind !== "any") return undefined;
  return valueOf(spec, value, plain);
}

// The exact value of a number's digits as unscaled and scale.
function exact(source: string): { readonly unscaled: bigint; readonly scale: number } {
  const [mantissa = "", exponent = "0"] = source.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  let unscaled = BigInt(`${whole.replace("-", "")}${fraction}`);
  let scale = fraction.length - Number(exponent);
  while (unscaled !== 0n && unscaled % 10n === 0n) {
    unscaled /= 10n;
    scale--;
  }
  return { unscaled: source.startsWith("-") ? -unscaled : unscaled, scale: unscaled === 0n ? 0 : scale };
}

function integer(value: unknown, least: bigint, greatest: bigint): bigint {
  if (!(value instanceof Digits)) fail();
  const { unscaled, scale } = exact(value.source);
  if (scale > 0 || scale < -40) fail();
  const whole = unscaled * 10n ** BigInt(-scale);
  return whole >= least && whole <= greatest ? whole : fail();
}

function float(value: unknown, single: boolean): number {
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  if (!(value instanceof Digits)) fail();
  const parsed = JSON.parse(value.source) as number;
  const rounded = single ? Math.fround(parsed) : parsed;
  return Number.isFinite(rounded) ? rounded : fail();
}

function decimal(value: unknown, precision: number, scale: number): Decimal {
  const text = value instanceof Digits ? value.source : typeof value === "string" ? value : fail();
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$/.test(text)) fail();
  const parts = exact(text);
  if (parts.scale > scale) fail();
  const unscaled = parts.unscaled * 10n ** BigInt(scale - parts.scale);
  return unscaled > -(10n ** BigInt(precision)) && unscaled < 10n ** BigInt(precision) ? new Decimal(unscaled, scale) : fail();
}

function base64(value: unknown): Uint8Array {
  if (typeof value !== "string") fail();
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) fail();
  const bytes = Buffer.from(value, "base64");
  return bytes.toString("base64") === value ? new Uint8Array(bytes) : fail();
}

function day(text: string): number {
  const match = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)$/.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${text}T00:00:00Z`);
  if (match === null || Number.isNaN(ms)) fail();
  // Date.parse rolls 31 November over to 1 December.
  return new Date(ms).getUTCDate() === Number(match[3]) ? ms / 86_400_000 : fail();
}

function instant(value: unknown, unit: "s" | "ms" | "us" | "ns"): number | bigint {
  if (typeof value !== "string") fail();
  const match = /^([+-]?\d+-\d\d-\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d:?\d\d)$/.exec(value);
  if (match === null) fail();
  const [, date = "", hour, minute, second = "0", fraction = "", zone = ""] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) fail();
  const offset = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (offset !== null && (Number(offset[2]) > 23 || Number(offset[3]) > 59)) fail();
  const offsetSeconds = offset === null ? 0 : Number(`${offset[1]}1`) * (Number(offset[2]) * 3600 + Number(offset[3]) * 60);
  const seconds = BigInt(day(date) * 86_400 + Number(hour) * 3600 + Number(minute) * 60 + Number(second) - offsetSeconds);
  const nanos = seconds * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  const per = { s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n }[unit];
  if (nanos % per !== 0n) fail();
  const units = nanos / per;
  if (unit === "ns") return BigInt.asIntN(64, units) === units ? units : fail();
  return Number.isSafeInteger(Number(units)) ? Number(units) : fail();
}
