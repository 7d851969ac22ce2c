// Random schemas and rows for property tests: every type, nested, with absent values and the edges of each range.
import * as fc from "fast-check";
import { Decimal } from "../schema/decimal.ts";
import { Schema } from "../schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../schema/type-spec.ts";

/** A schema with rows that fit it. */
export interface RandomRows {
  readonly schema: Schema;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const scalarTypes: readonly TypeSpec[] = [
  { kind: "boolean" },
  { kind: "int8" },
  { kind: "int16" },
  { kind: "int32" },
  { kind: "int64", as: "bigint" },
  { kind: "int64", as: "number" },
  { kind: "float32" },
  { kind: "float64" },
  { kind: "decimal", precision: 30, scale: 3 },
  { kind: "string" },
  { kind: "enum", values: ["a", "bé", "", "long enough to leave the short path"] },
  { kind: "bytes" },
  { kind: "timestamp", unit: "ms", text: "number" },
  { kind: "timestamp", unit: "ns", text: "number" },
  { kind: "date" },
];

const fieldNames = fc.constantFrom("a", "b", "price", "$x", "_y1", "name", "Zed", "at");

function typeSpec(depth: number): fc.Arbitrary<TypeSpec> {
  const scalar = fc.constantFrom(...scalarTypes, ...(depth === 0 ? [{ kind: "any" } as const] : []));
  if (depth >= 2) return scalar;
  const of = fieldSpec(depth + 1);
  return fc.oneof(
    { weight: 6, arbitrary: scalar },
    { weight: 1, arbitrary: of.map((spec): TypeSpec => ({ kind: "list", of: spec })) },
    { weight: 1, arbitrary: of.map((spec): TypeSpec => ({ kind: "map", of: spec })) },
    { weight: 1, arbitrary: rowSpec(depth + 1).map((fields): TypeSpec => ({ kind: "struct", fields })) },
  );
}

function fieldSpec(depth: number): fc.Arbitrary<FieldSpec> {
  return fc
    .tuple(typeSpec(depth), fc.boolean(), fc.boolean(), fc.boolean())
    .map(([type, nullable, optional, plain]) => ({ type, nullable: nullable && !plain, optional: optional && !plain, aliases: [] }));
}

function rowSpec(depth: number): fc.Arbitrary<RowSpec> {
  return fc.dictionary(fieldNames, fieldSpec(depth), { maxKeys: depth === 0 ? 8 : 3, noNullPrototype: true });
}

const int64Edge = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), 1n - 2n ** 53n, 0n),
);
const safeInteger = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc.constantFrom(1_700_000_000_000, 2 ** 27, 2 ** 28, -(2 ** 27), 2 ** 53 - 1, 1 - 2 ** 53),
);
const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ maxLength: 60 }));

/** Values of a type, without null and undefined. */
export function valueOf(type: TypeSpec): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "boolean":
      return fc.boolean();
    case "int8":
      return fc.integer({ min: -128, max: 127 });
    case "int16":
      return fc.integer({ min: -32768, max: 32767 });
    case "int32":
    case "date":
      return fc.integer();
    case "int64":
      return type.as === "number" ? safeInteger : int64Edge;
    case "timestamp":
      return type.unit === "ns" ? int64Edge : safeInteger;
    case "float32":
      return fc.float();
    case "float64":
      return fc.double();
    case "decimal":
      return fc
        .bigInt({ min: -(10n ** BigInt(type.precision)) + 1n, max: 10n ** BigInt(type.precision) - 1n })
        .map((unscaled) => new Decimal(unscaled, type.scale));
    case "string":
      return text;
    case "enum":
      return fc.constantFrom(...type.values);
    case "bytes":
      return fc.uint8Array({ maxLength: 40 });
    case "list":
      return fc.array(elementOf(type.of), { maxLength: 5 });
    case "map":
      return fc.array(fc.tuple(text, elementOf(type.of)), { maxLength: 4 }).map((entries) => new Map(entries));
    case "struct":
      return rowOf(type.fields);
    case "any":
      return anything;
  }
}

function elementOf(spec: FieldSpec): fc.Arbitrary<unknown> {
  const arbitraries = [{ weight: 5, arbitrary: valueOf(spec.type) }];
  if (spec.nullable) arbitraries.push({ weight: 1, arbitrary: fc.constant(null) });
  if (spec.optional) arbitraries.push({ weight: 1, arbitrary: fc.constant(undefined) });
  return fc.oneof(...arbitraries);
}

/** Values of type `any`: all that it keeps. */
export const anything: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.oneof(fc.double(), fc.integer(), safeInteger, fc.constantFrom<unknown>(null, undefined, true, false, -0)),
    text,
    fc.bigInt(),
    fc.date().map((date) => date),
    fc.uint8Array({ maxLength: 20 }),
    fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map((unscaled) => new Decimal(unscaled, 4)),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(text, tie("value"), { maxKeys: 20, noNullPrototype: true }),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 4 }).map((entries) => new Set(entries)),
  ),
})).value;

/** Rows as objects: missing fields have no property. */
export function rowOf(spec: RowSpec): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .record(Object.fromEntries(Object.entries(spec).map(([name, entry]) => [name, elementOf(entry)])), { noNullPrototype: true })
    .map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)));
}

/** A random schema and up to `maxRows` rows of it. */
export function randomRows(maxRows = 6): fc.Arbitrary<RandomRows> {
  return rowSpec(0).chain((spec) => fc.array(rowOf(spec), { maxLength: maxRows }).map((rows) => ({ schema: new Schema(spec), rows })));
}
