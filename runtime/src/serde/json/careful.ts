// The careful path: decides by JSON.parse what a record is, and by the schema whether it fits. It defines the format; the fast
// paths only have to agree with it where they do not give up. It also words every refusal.
import { messageOf } from "../../base/errors.ts";
import { defaultOf, parseBase64 } from "../../core/codec/json-value.ts";
import { parseDay, parseInstant } from "../../core/codec/iso-time.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { BadRecord, misfit } from "../bad-record.ts";
import { type JsonNode, parseNodes } from "./json-nodes.ts";
import { wireFields } from "./wire-fields.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The JSON text of a record as a tree; throws BadRecord where it is not JSON. */
export function parseRecord(bytes: Uint8Array): JsonNode {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    throw new BadRecord("RECORD_UNPARSABLE", "the record is not UTF-8");
  }
  try {
    JSON.parse(text);
  } catch (error) {
    throw new BadRecord("RECORD_UNPARSABLE", `the record is not JSON: ${messageOf(error).slice(0, 120)}`);
  }
  const tree = parseNodes(text);
  if (tree === undefined) throw new BadRecord("RECORD_MISFIT", "the record is nested deeper than 1,000 levels");
  return tree;
}

/** The row of a record as an object whose missing fields have no property; throws BadRecord. */
export function readCarefully(spec: RowSpec, bytes: Uint8Array): Record<string, unknown> {
  return readNode(spec, parseRecord(bytes));
}

/** As `readCarefully`, of an object within a record. */
export function readNode(spec: RowSpec, node: JsonNode): Record<string, unknown> {
  if (node.kind !== "object") throw new BadRecord("RECORD_MISFIT", `the record is ${article(node)}, not an object`);
  return rowOf(spec, node, "");
}

function rowOf(spec: RowSpec, tree: JsonNode & { readonly kind: "object" }, prefix: string): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (const { name, spec: field, keys } of wireFields(spec)) {
    // Last wins, also between a field's name and its aliases.
    const node = tree.entries.findLast(([key]) => keys.includes(key))?.[1];
    const path = prefix + name;
    if (node !== undefined) row[name] = valueOf(path, field, node);
    else if (field.default !== undefined) row[name] = defaultOf(path, field);
    else if (!field.optional) misfit(path, "is missing");
  }
  return row;
}

function article(node: JsonNode): string {
  return node.kind === "array" ? "an array" : node.kind === "object" ? "an object" : node.kind === "null" ? "null" : `a ${node.kind}`;
}

/** The value of a node by its field's type; throws BadRecord with the field's path. */
function valueOf(name: string, spec: FieldSpec, node: JsonNode): unknown {
  const type = spec.type;
  if (type.kind === "any") return plainOf(node);
  if (node.kind === "null") return spec.nullable ? null : misfit(name, "is null");
  switch (type.kind) {
    case "boolean":
      return node.kind === "boolean" ? node.value : wrongKind(name, node, "a boolean");
    case "int8":
      return integerOf(name, node, -128n, 127n, false);
    case "int16":
      return integerOf(name, node, -32768n, 32767n, false);
    case "int32":
      return integerOf(name, node, -2147483648n, 2147483647n, false);
    case "int64":
      return type.as === "bigint"
        ? integerOf(name, node, int64Least, int64Greatest, true)
        : integerOf(name, node, -safeGreatest, safeGreatest, false);
    case "timestamp":
      if (type.text === "iso") return instantOf(name, node, type.unit);
      return type.unit === "ns"
        ? integerOf(name, node, int64Least, int64Greatest, true)
        : integerOf(name, node, -safeGreatest, safeGreatest, false);
    case "date":
      return (node.kind === "string" ? parseDay(node.value) : undefined) ?? wrongKind(name, node, "a day such as 2024-12-31");
    case "float32":
    case "float64":
      return floatOf(name, node, type.kind === "float32");
    case "decimal":
      return decimalOf(name, node, type.precision, type.scale);
    case "string":
      return node.kind === "string" ? node.value.toWellFormed() : wrongKind(name, node, "text");
    case "enum":
      if (node.kind !== "string") wrongKind(name, node, "text");
      return type.values.includes(node.value)
        ? node.value
        : misfit(name, `is ${shown(node.value)}, not one of its ${type.values.length} values`);
    case "bytes":
      return (node.kind === "string" ? parseBase64(node.value) : undefined) ?? wrongKind(name, node, "base64");
    case "list":
      if (node.kind !== "array") wrongKind(name, node, "an array");
      return node.items.map((item, index) => elementOf(`${name}[${index}]`, type.of, item));
    case "map":
      if (node.kind !== "object") wrongKind(name, node, "an object");
      // First the last entry of each key, then its value: an entry that does not count need not fit.
      return new Map(
        [...new Map(node.entries.map(([key, entry]) => [key.toWellFormed(), entry]))].map(([key, entry]) => [
          key,
          elementOf(`${name}.${key}`, type.of, entry),
        ]),
      );
    case "struct":
      return node.kind === "object" ? rowOf(type.fields, node, `${name}.`) : wrongKind(name, node, "an object");
  }
}

// A missing element of a list or map has null as its form.
function elementOf(name: string, spec: FieldSpec, node: JsonNode): unknown {
  return node.kind === "null" && spec.optional && !spec.nullable && spec.type.kind !== "any" ? undefined : valueOf(name, spec, node);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function wrongKind(name: string, node: JsonNode, wanted: string): never {
  const what = node.kind === "string" ? shown(node.value) : node.kind === "number" ? node.text.slice(0, 40) : article(node);
  misfit(name, `is ${what}, not ${wanted}`);
}

const int64Least = -(2n ** 63n);
const int64Greatest = 2n ** 63n - 1n;
const safeGreatest = BigInt(Number.MAX_SAFE_INTEGER);

// `1.0` and `1e3` are integers: JSON has one kind of number.
function integerOf(name: string, node: JsonNode, least: bigint, greatest: bigint, asBigint: boolean): number | bigint {
  if (node.kind !== "number") wrongKind(name, node, "an integer");
  const near = Number(node.text);
  // Far out of range: not worth a bigint of thousands of digits.
  if (Math.abs(near) > 1e20) misfit(name, `is ${node.text.slice(0, 40)}, out of range`);
  let value: bigint;
  try {
    value = near === 0 && !/[1-9]/.test(node.text.replace(/[eE].*/, "")) ? 0n : Decimal.parse(node.text).rescale(0).unscaled;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return misfit(name, `is ${node.text.slice(0, 40)}, not an integer`);
  }
  if (value < least || value > greatest) misfit(name, `is ${node.text.slice(0, 40)}, out of range`);
  return asBigint ? value : Number(value);
}

function floatOf(name: string, node: JsonNode, single: boolean): number {
  if (node.kind === "string") {
    // The forms of ProtoJSON for what JSON numbers cannot say.
    if (node.value === "NaN") return Number.NaN;
    if (node.value === "Infinity") return Number.POSITIVE_INFINITY;
    if (node.value === "-Infinity") return Number.NEGATIVE_INFINITY;
  }
  if (node.kind !== "number") wrongKind(name, node, "a number");
  const value = single ? Math.fround(Number(node.text)) : Number(node.text);
  return Number.isFinite(value) ? value : misfit(name, `is ${node.text.slice(0, 40)}, out of range`);
}

const decimalText = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$/;

function decimalOf(name: string, node: JsonNode, precision: number, scale: number): Decimal {
  const text = node.kind === "number" ? node.text : node.kind === "string" ? node.value : wrongKind(name, node, "a decimal");
  if (!decimalText.test(text)) wrongKind(name, node, "a decimal");
  let value: Decimal;
  try {
    value = Decimal.parse(text).rescale(scale);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return misfit(name, `is ${text.slice(0, 40)}, with more than ${scale} digits behind the point`);
  }
  const magnitude = value.unscaled < 0n ? -value.unscaled : value.unscaled;
  return magnitude < 10n ** BigInt(precision) ? value : misfit(name, `is ${text.slice(0, 40)}, with more than ${precision} digits`);
}

function instantOf(name: string, node: JsonNode, unit: "s" | "ms" | "us" | "ns"): number | bigint {
  const value = node.kind === "string" ? parseInstant(node.value, unit) : undefined;
  if (value === undefined) wrongKind(name, node, `an instant such as 2024-12-31T23:59:59Z with digits of a second down to ${unit}`);
  if (unit === "ns") return BigInt.asIntN(64, value) === value ? value : misfit(name, "is out of range");
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : misfit(name, "is out of range");
}

// What JSON.parse gives for a node.
function plainOf(node: JsonNode): unknown {
  switch (node.kind) {
    case "null":
      return null;
    case "boolean":
    case "string":
      return node.value;
    case "number":
      return Number(node.text);
    case "array":
      return node.items.map(plainOf);
    case "object": {
      const object: Record<string, unknown> = {};
      for (const [key, entry] of node.entries) {
        Object.defineProperty(object, key, { value: plainOf(entry), writable: true, enumerable: true, configurable: true });
      }
      return object;
    }
  }
}
