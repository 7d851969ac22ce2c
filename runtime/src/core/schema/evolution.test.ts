// Schema evolution against plain objects: random rows, random compatible changes, and the changes that are refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { isMillraceError } from "../../base/errors.ts";
import { Rows } from "../batch/batch.ts";
import { rowView } from "../batch/row-view.ts";
import { randomRows } from "../codec/random-rows.suite.ts";
import { rowCodec } from "../codec/row-codec.ts";
import { Decimal } from "./decimal.ts";
import { type Migrate, planAdaptation, type StoredSchema } from "./evolution.ts";
import {
  type AnyField,
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  float32,
  float64,
  int16,
  int32,
  int53,
  int64,
  int8,
  list,
  mapOf,
  string,
  struct,
  timestamp,
} from "./field.ts";
import { Schema, schema } from "./schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "./type-spec.ts";

function storedOf(from: Schema): StoredSchema {
  // Through JSON, as a manifest keeps it.
  return JSON.parse(JSON.stringify({ spec: from.spec, order: from.fields.map(({ name }) => name) })) as StoredSchema;
}

/** Writes rows of `from` and reads them as rows of `to`, all into one row of columns that held something else. */
function adapt(from: Schema, to: Schema, rows: readonly object[], migrate?: Migrate): Record<string, unknown>[] {
  const adapter = planAdaptation("table", storedOf(from), to, migrate);
  const writer = new ByteWriter();
  for (const row of rows) rowCodec(from).encodeObject(row, writer);
  const reader = new ByteReader(writer.copy());
  const target = new Rows(to, 2);
  target.ready.fill(1);
  const view = rowView(to as Schema<Record<string, unknown>>);
  const read = rows.map(() => {
    adapter(reader, target.columns, 1);
    view.point(target, 1);
    return Object.fromEntries(Object.entries({ ...view }).filter(([, value]) => value !== undefined));
  });
  expect(reader.remaining).toBe(0);
  return read;
}

type Value = unknown;
/** A change of a field's type together with what it does to a value. */
interface Change {
  readonly spec: FieldSpec;
  readonly convert: (value: Value) => Value;
}

const keep = (value: Value): Value => value;
const toBigInt = (value: Value): Value => BigInt(value as number);
const onPresent =
  (convert: (value: Value) => Value) =>
  (value: Value): Value =>
    value === null || value === undefined ? value : convert(value);

function widenType(type: TypeSpec, pick: number): { readonly type: TypeSpec; readonly convert: (value: Value) => Value } {
  const integers: readonly TypeSpec[] = [
    { kind: "int8" },
    { kind: "int16" },
    { kind: "int32" },
    { kind: "int64", as: "number" },
    { kind: "int64", as: "bigint" },
  ];
  const rank = integers.findIndex((other) => JSON.stringify(other) === JSON.stringify(type));
  if (rank >= 0) {
    const to = rank + (pick % (5 - rank));
    return { type: integers[to] as TypeSpec, convert: to === 4 && rank < 4 ? toBigInt : keep };
  }
  switch (type.kind) {
    case "float32":
      return pick % 2 === 0 ? { type, convert: keep } : { type: { kind: "float64" }, convert: keep };
    case "decimal": {
      const more = pick % 4;
      return {
        type: { ...type, precision: type.precision + more + (pick % 3), scale: type.scale + more },
        convert: (value) => new Decimal((value as Decimal).unscaled * 10n ** BigInt(more), type.scale + more),
      };
    }
    case "enum":
      return { type: { ...type, values: pick % 2 === 0 ? ["brand new", ...type.values] : type.values }, convert: keep };
    case "list": {
      const of = widenField(type.of, pick);
      return { type: { kind: "list", of: of.spec }, convert: (value) => (value as Value[]).map(onPresent(of.convert)) };
    }
    case "map": {
      const of = widenField(type.of, pick);
      return {
        type: { kind: "map", of: of.spec },
        convert: (value) => new Map([...(value as Map<string, Value>)].map(([key, entry]) => [key, onPresent(of.convert)(entry)])),
      };
    }
    case "struct": {
      const changed = changeRow(type.fields, pick);
      return { type: { kind: "struct", fields: changed.spec }, convert: (value) => changed.convert(value as Record<string, Value>) };
    }
    default:
      return { type, convert: keep };
  }
}

function widenField(spec: FieldSpec, pick: number): Change {
  const { type, convert } = widenType(spec.type, pick);
  return { spec: { ...spec, type, nullable: spec.nullable || pick % 3 === 0, optional: spec.optional || pick % 5 === 0 }, convert };
}

/** Removes, renames, widens and adds fields of a row, as `pick` says, and does the same to its values. */
function changeRow(
  spec: RowSpec,
  pick: number,
): { readonly spec: RowSpec; readonly convert: (row: Record<string, Value>) => Record<string, Value> } {
  const parts: { readonly from: string; readonly to: string; readonly change: Change }[] = [];
  let turn = pick;
  for (const [name, field] of Object.entries(spec)) {
    turn = (Math.imul(turn, 1103515245) + 12345) >>> 8;
    if (turn % 6 === 0) continue;
    const renamed = turn % 4 === 0;
    const change = widenField(field, turn >> 3);
    parts.push({
      from: name,
      to: renamed ? `${name}_v2` : name,
      change: renamed ? { ...change, spec: { ...change.spec, aliases: ["never", name] } } : change,
    });
  }
  const made: [string, FieldSpec][] = parts.map(({ to, change }) => [to, change.spec]);
  const added = schema({
    zz_count: int64().default(7n),
    zz_price: decimal(5, 2).default(Decimal.parse("1.5")),
    zz_note: string().nullable(),
    zz_tag: bytes().optional(),
  });
  if (pick % 2 === 0) made.push(...Object.entries(added.spec));
  // The order of fields is free.
  if (pick % 3 === 0) made.reverse();
  return {
    spec: Object.fromEntries(made),
    convert: (row) => {
      const result: Record<string, Value> = {};
      for (const { from, to, change } of parts) {
        const value = row[from];
        if (value !== undefined) result[to] = onPresent(change.convert)(value);
      }
      return pick % 2 === 0 ? { ...result, zz_count: 7n, zz_price: Decimal.parse("1.50"), zz_note: null } : result;
    },
  };
}

describe("schema evolution", () => {
  it("reads rows of an older schema after any compatible changes as plain objects would change", () => {
    fc.assert(
      fc.property(randomRows(), fc.nat(), ({ schema: from, rows }, pick) => {
        const { spec, convert } = changeRow(from.spec, pick);
        expect(adapt(from, new Schema(spec), rows)).toEqual(rows.map((row) => convert(row)));
      }),
      { numRuns: 2000 },
    );
  });

  it("reads rows of the same shape whatever aliases, defaults and outside names say", () => {
    const from = schema({ a: int32(), at: timestamp() });
    const to = schema({ a: int32().alias("b").default(4).from("A"), at: timestamp({ text: "iso" }) });
    expect(adapt(from, to, [{ a: 1, at: 2 }])).toEqual([{ a: 1, at: 2 }]);
  });

  it("tells structs apart whose fields stand in another order", () => {
    const from = schema({ s: struct({ a: int32(), b: string() }) });
    const to = schema({ s: struct({ b: string(), a: int32() }) });
    expect(adapt(from, to, [{ s: { a: 1, b: "x" } }])).toEqual([{ s: { b: "x", a: 1 } }]);
  });

  it("gives a missing value the default once the field is required", () => {
    const from = schema({ a: int32().optional(), b: string().optional() });
    const to = schema({ a: int64().default(9n), b: string().optional() });
    expect(adapt(from, to, [{ a: 1, b: "x" }, {}])).toEqual([{ a: 1n, b: "x" }, { a: 9n }]);
  });

  it("keeps integers exact up to the ends of their ranges", () => {
    const from = schema({ a: int53(), b: int8() });
    const to = schema({ a: int64(), b: int53() });
    const rows = [
      { a: Number.MAX_SAFE_INTEGER, b: -128 },
      { a: Number.MIN_SAFE_INTEGER, b: 127 },
    ];
    expect(adapt(from, to, rows)).toEqual([
      { a: 9007199254740991n, b: -128 },
      { a: -9007199254740991n, b: 127 },
    ]);
  });

  const refused: readonly (readonly [string, Readonly<Record<string, AnyField>>, Readonly<Record<string, AnyField>>, string])[] = [
    ["a narrowed integer", { a: int32() }, { a: int16() }, '"a" was int32 and is now int16'],
    ["a bigint as a number", { a: int64() }, { a: int53() }, '"a" was int64 and is now int53'],
    ["an integer as a fraction", { a: int32() }, { a: float64() }, '"a" was int32 and is now float64'],
    ["a narrowed float", { a: float64() }, { a: float32() }, '"a" was float64'],
    ["a text as a number", { a: string() }, { a: int32() }, '"a" was string'],
    ["fewer digits behind the point", { a: decimal(10, 4) }, { a: decimal(12, 3) }, '"a" was decimal(10,4)'],
    ["fewer digits before the point", { a: decimal(10, 2) }, { a: decimal(10, 4) }, '"a" was decimal(10,2)'],
    ["a removed enum value", { a: enumeration("x", "y") }, { a: enumeration("x") }, '"a" was enum(x|y)'],
    ["null no longer allowed", { a: int32().nullable() }, { a: int32() }, '"a" was nullable int32'],
    ["null no longer allowed, whatever the default", { a: int32().nullable() }, { a: int32().default(1) }, '"a" was nullable int32'],
    ["missing no longer allowed", { a: int32().optional() }, { a: int32() }, '"a" was optional int32'],
    ["a required new field", { a: int32() }, { a: int32(), b: string() }, '"b" is new'],
    ["a renamed field without alias", { a: int32() }, { b: int32() }, '"b" is new'],
    ["another unit of time", { a: timestamp({ unit: "ms" }) }, { a: timestamp({ unit: "us" }) }, '"a" was timestamp(ms)'],
    ["a date as a number", { a: date() }, { a: int32() }, '"a" was date'],
    ["a boolean as a number", { a: boolean() }, { a: int8() }, '"a" was boolean'],
    ["a narrowed element", { a: list(int32()) }, { a: list(int8()) }, '"a[]" was int32'],
    ["a narrowed value of a map", { a: mapOf(float64()) }, { a: mapOf(float32()) }, '"a{}" was float64'],
    [
      "a narrowed field within",
      { a: list(struct({ b: struct({ c: int64() }) })) },
      { a: list(struct({ b: struct({ c: int8() }) })) },
      '"a[].b.c" was int64',
    ],
    ["a required new field within", { a: struct({ b: int8() }) }, { a: struct({ b: int8(), c: int8() }) }, '"a.c" is new'],
    ["a list as its element", { a: list(int8()) }, { a: int8() }, '"a" was list of int8'],
  ];

  it.each(refused)("refuses %s, with the field and both versions", (_name, from, to, expected) => {
    const before = schema(from);
    const after = schema(to);
    let error: unknown;
    try {
      planAdaptation('state table "t" of joined', storedOf(before), after);
    } catch (thrown) {
      error = thrown;
    }
    expect(isMillraceError(error, "STATE_SCHEMA_INCOMPATIBLE")).toBe(true);
    for (const part of ['state table "t" of joined', expected, before.fingerprint, after.fingerprint])
      expect(String(error)).toContain(part);
  });

  it.each(refused)("migrates %s with a migrate function", (_name, from, to) => {
    const before = schema(from);
    const after = schema(to);
    const seen: unknown[] = [];
    // Any value will do: what counts is that it was asked for.
    const adapter = planAdaptation("t", storedOf(before), after, (old) => {
      seen.push(old);
      throw new Error("asked");
    });
    expect(typeof adapter).toBe("function");
  });

  it("hands migrate the old value as it was, and stores what it returns", () => {
    const from = schema({ name: string(), cents: int64() });
    const to = schema({ first: string(), last: string().nullable(), euros: float64(), seen: int32().default(1) });
    const migrate: Migrate = ({ name, cents }) => {
      const [first, last] = (name as string).split(" ");
      return { first, last: last ?? null, euros: Number(cents) / 100 };
    };
    const rows = [
      { name: "Ada Lovelace", cents: 1250n },
      { name: "Plato", cents: 5n },
    ];
    expect(adapt(from, to, rows, migrate)).toEqual([
      { first: "Ada", last: "Lovelace", euros: 12.5, seen: 1 },
      { first: "Plato", last: null, euros: 0.05, seen: 1 },
    ]);
  });

  it("names the table where migrate throws or returns what does not fit", () => {
    const from = schema({ a: string() });
    const to = schema({ a: int32() });
    for (const migrate of [
      (): Record<string, unknown> => ({ a: "text" }),
      (): never => {
        throw new Error("no");
      },
    ]) {
      let error: unknown;
      try {
        adapt(from, to, [{ a: "x" }], migrate);
      } catch (thrown) {
        error = thrown;
      }
      expect(isMillraceError(error, "STATE_MIGRATION_FAILED"), String(error)).toBe(true);
    }
  });
});
