// Avro against avsc: what it writes we read and what we write it reads; schema resolution, the registry, and damage.
import avsc from "avsc";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { randomRows } from "../../core/codec/random-rows.suite.ts";
import type { Format } from "../../core/ports/format.ts";
import {
  any,
  date,
  decimal,
  enumeration,
  float64,
  int16,
  int32,
  int53,
  int64,
  list,
  mapOf,
  string,
  struct,
  timestamp,
} from "../../core/schema/field.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { RegistryThread } from "../registry/registry-thread.suite.ts";
import { blockOf, rowAt } from "../json/decoder-check.suite.ts";
import { avro } from "./avro.ts";
import { avroSchemaOf, schemaFromAvro } from "./avro-schema-of.ts";

// avsc with 64-bit integers as bigints.
// oxlint-disable-next-line no-underscore-dangle -- avsc's own name for it
const longType = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: (value: number) => BigInt(value),
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});
function avscType(json: unknown, wrapUnions = false): avsc.Type {
  // A hook, because a long with a logical type is not looked up by name.
  const typeHook = (one: unknown): avsc.Type | undefined =>
    one === "long" || (one as { readonly type?: unknown } | null)?.type === "long" ? longType : undefined;
  return avsc.Type.forSchema(json as avsc.Schema, { typeHook: typeHook as never, wrapUnions });
}

async function decode(
  format: Format<unknown>,
  documents: readonly Uint8Array[],
  change: (records: RawRecords) => RawRecords = (r) => r,
): Promise<{ rows: unknown[]; bad: string[] }> {
  const decoder = await format.openDecoder();
  const records = change(blockOf(documents, 2));
  const rows = new Rows(format.schema, 1);
  const selection = new Int32Array(records.count);
  const bad: string[] = [];
  const count = decoder.decode(records, rows, selection, (index, code, reason) => bad.push(`${index} ${code} ${reason}`));
  return { rows: [...selection.subarray(0, count)].map((row) => rowAt(rows, row)), bad };
}

async function encode(format: Format<unknown>, shape: Schema, objects: readonly unknown[]): Promise<Buffer[]> {
  const rows = new Rows(shape, Math.max(1, objects.length));
  rows.ready.fill(1);
  objects.forEach((object, row) => rowWriter(shape)(rows, row, object));
  const encoder = await format.openEncoder(shape);
  return objects.map((_, row) => {
    const writer = new ByteWriter(1);
    expect(encoder.encode(rows, row, writer)).toBe(true);
    return writer.copy();
  });
}

// What avsc gives for a row of ours: decimals as their bytes, instants and days as numbers, missing as null.
function asAvsc(value: unknown, spec: { readonly type: { readonly kind: string } }, json: unknown): unknown {
  const type = spec.type as { readonly kind: string; readonly of?: never; readonly fields?: Readonly<Record<string, never>> };
  if (value === null || value === undefined) return null;
  const inner = Array.isArray(json) ? json[1] : json;
  switch (type.kind) {
    case "decimal": {
      const hex = BigInt.asUintN(512, (value as Decimal).unscaled)
        .toString(16)
        .padStart(128, "0");
      return hex;
    }
    case "int64":
    case "timestamp":
      return BigInt(value as bigint);
    case "list":
      return (value as unknown[]).map((item) => asAvsc(item, type.of as never, (inner as { items: unknown }).items));
    case "map":
      return Object.fromEntries(
        [...(value as Map<string, unknown>)].map(([key, item]) => [
          key,
          asAvsc(item, type.of as never, (inner as { values: unknown }).values),
        ]),
      );
    case "struct":
      return Object.fromEntries(
        Object.entries(type.fields ?? {}).map(([name, field], index) => [
          name,
          asAvsc((value as Record<string, unknown>)[name], field, (inner as { fields: { type: unknown }[] }).fields[index]?.type),
        ]),
      );
    default:
      return value;
  }
}

// avsc's side of the comparison: buffers of decimals sign-extended to the same width, other buffers as plain bytes.
function normal(value: unknown, spec: { readonly type: { readonly kind: string } }): unknown {
  const type = spec.type as { readonly kind: string; readonly of?: never; readonly fields?: Readonly<Record<string, never>> };
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case "decimal": {
      const hex = (value as Buffer).toString("hex");
      return hex.padStart(128, Number.parseInt(hex[0] as string, 16) > 7 ? "f" : "0");
    }
    case "bytes":
      return new Uint8Array(value as Buffer);
    case "list":
      return (value as unknown[]).map((item) => normal(item, type.of as never));
    case "map":
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item, type.of as never)]));
    case "struct":
      return Object.fromEntries(
        Object.entries(type.fields ?? {}).map(([name, field]) => [name, normal((value as Record<string, unknown>)[name], field)]),
      );
    default:
      return value;
  }
}

// `any` and names that Avro does not allow are refused, so random rows are without them.
const encodable = randomRows().filter(({ schema: shape }) => !/"any"|\$x|"__proto__"/.test(JSON.stringify(shape.spec)));
// Null and missing are one in Avro.
function withoutMissing(value: unknown): unknown {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(withoutMissing);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, withoutMissing(entry)]));
  if (value === null || typeof value !== "object" || value instanceof Decimal || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== null && entry !== undefined)
      .map(([key, entry]) => [key, withoutMissing(entry)]),
  );
}

describe("Avro format", () => {
  it("writes what avsc reads, and reads it back", async () => {
    await fc.assert(
      fc.asyncProperty(encodable, async ({ schema: shape, rows }) => {
        const json = avroSchemaOf(shape);
        const type = avscType(json);
        const spec = { type: { kind: "struct", fields: shape.spec } };
        const documents = await encode(avro(shape), shape, rows);
        documents.forEach((document, index) => {
          expect(normal(type.fromBuffer(document), spec)).toEqual(asAvsc(rows[index], spec, json));
        });
        const { rows: back, bad } = await decode(avro(shape), documents);
        expect(bad).toEqual([]);
        expect(back.map(withoutMissing)).toStrictEqual(rows.map(withoutMissing));
      }),
      { numRuns: 200 },
    );
  });

  it("reads what avsc writes with another version of the schema", async () => {
    const written = {
      type: "record",
      name: "Old",
      namespace: "shop",
      fields: [
        {
          name: "gone",
          type: {
            type: "record",
            name: "Gone",
            fields: [
              { name: "next", type: ["null", "Gone"] },
              { name: "list", type: { type: "array", items: "Gone" } },
            ],
          },
        },
        { name: "id", type: "int" },
        { name: "old_name", type: ["null", "string"] },
        { name: "price", type: { type: "fixed", name: "Price", size: 4, logicalType: "decimal", precision: 8, scale: 1 } },
        { name: "at", type: { type: "long", logicalType: "timestamp-micros" } },
        { name: "status", type: { type: "enum", name: "Status", symbols: ["NEW", "PAID"] } },
        { name: "amount", type: ["float", "int", "string"] },
        {
          name: "lines",
          type: {
            type: "array",
            items: {
              type: "record",
              name: "Line",
              fields: [
                { name: "sku", type: "string" },
                { name: "count", type: "long" },
              ],
            },
          },
        },
      ],
    };
    const shape = schema({
      status: enumeration("PAID", "NEW"),
      id: int64(),
      name: string().nullable().alias("old_name"),
      price: decimal(10, 3),
      at: timestamp(),
      amount: float64(),
      lines: list(struct({ count: int16(), note: string().default("none") })),
      added: int32().default(5),
      perhaps: string().optional(),
    });
    const price = Buffer.alloc(4);
    price.writeInt32BE(-125);
    const gone = { next: { next: null, list: [] }, list: [{ next: null, list: [] }] };
    const value = {
      gone,
      id: -7,
      old_name: "x",
      price,
      at: 1_700_000_000_000_000n,
      status: "PAID",
      amount: { int: 3 },
      lines: [{ sku: "a", count: 2n }],
    };
    const type = avscType(written, true);
    const wrapped = (change: object): Buffer =>
      type.toBuffer({ ...value, ...change, gone: { next: { "shop.Gone": gone.next }, list: gone.list }, old_name: { string: "x" } });
    const format = avro(shape, { writtenWith: JSON.stringify(written) });
    const { rows, bad } = await decode(format, [
      wrapped({}),
      wrapped({ at: 1_700_000_000_000_001n }),
      wrapped({ amount: { string: "3" } }),
      wrapped({ lines: [{ sku: "a", count: 40_000n }] }),
    ]);
    expect(rows).toEqual([
      {
        status: "PAID",
        id: -7n,
        name: "x",
        price: new Decimal(-12_500n, 3),
        at: 1_700_000_000_000,
        amount: 3,
        lines: [{ count: 2, note: "none" }],
        added: 5,
      },
    ]);
    expect(bad).toEqual([
      '1 RECORD_MISFIT field "at" is 1700000000000001 us, finer than ms',
      '2 RECORD_MISFIT field "amount" is a string, not float64',
      '3 RECORD_MISFIT field "lines[].count" is 40000, out of range',
    ]);
  });

  it("refuses schemas that do not fit, by field", async () => {
    const written = { type: "record", name: "R", fields: [{ name: "a", type: "string" }] };
    const open = (shape: Schema): Promise<unknown> => avro(shape, { writtenWith: written }).openDecoder();
    await expect(open(schema({ a: int32() }))).rejects.toThrow(/field "a" is a string there, which cannot be read as int32/);
    await expect(open(schema({ b: int32() }))).rejects.toThrow(/field "b" is missing there/);
    await expect(open(schema({ a: list(string()) }))).rejects.toThrow(/field "a" is a string there/);
    await expect(avro(schema({ a: any() })).openEncoder(schema({ a: any() }))).rejects.toThrow(/field "a": type any has no Avro form/);
    await expect(avro(schema({ a: int32() }), { writtenWith: "{" }).openDecoder()).rejects.toThrow(/Avro schema: it is not JSON/);
  });

  it("calls truncated, lengthened and random bytes bad", async () => {
    await fc.assert(
      fc.asyncProperty(encodable, fc.uint8Array({ maxLength: 30 }), async ({ schema: shape, rows }, garbage) => {
        const [document] = await encode(avro(shape), shape, rows.slice(0, 1));
        if (document === undefined || document.length === 0) return;
        const damaged = [
          ...Array.from({ length: document.length }, (_, length) => document.subarray(0, length)),
          Buffer.concat([document, Buffer.of(0)]),
        ];
        const { rows: good } = await decode(avro(shape), damaged);
        expect(good).toEqual([]);
        // Anything may be a record by chance; it must not throw, and must be one or the other.
        const { rows: maybe, bad } = await decode(avro(shape), [garbage]);
        expect(maybe.length + bad.length).toBe(1);
      }),
      { numRuns: 100 },
    );
  });

  it("does not run on for a damaged count of items without bytes", async () => {
    const written = { type: "record", name: "R", fields: [{ name: "a", type: { type: "array", items: "null" } }] };
    const { bad } = await decode(avro(schema({ a: any() }), { writtenWith: written }), [
      Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]),
    ]);
    expect(bad).toEqual(["0 RECORD_UNPARSABLE more than 65536 items without bytes"]);
  });

  it("gives the schema of an Avro record, which reads its records", () => {
    const shape = schemaFromAvro({
      type: "record",
      name: "R",
      fields: [
        { name: "id", type: "long" },
        { name: "at", type: { type: "long", logicalType: "timestamp-micros" }, default: 0 },
        { name: "day", type: { type: "int", logicalType: "date" } },
        { name: "maybe", type: ["null", "string"], default: null },
        { name: "either", type: ["int", "string"] },
        { name: "self", type: ["null", "R"] },
        { name: "raw", type: "bytes", default: "\u00ff" },
        { name: "map", type: { type: "map", values: ["null", "double"] } },
      ],
    });
    const expected = schema({
      id: int64(),
      at: timestamp({ unit: "us" }).default(0),
      day: date(),
      maybe: string().nullable(),
      either: any(),
      self: any(),
      map: mapOf(float64().nullable()),
    });
    const { raw, maybe, ...spec } = shape.spec;
    const { maybe: expectedMaybe, ...expectedSpec } = expected.spec;
    expect(spec).toEqual(expectedSpec);
    expect(maybe).toEqual({ ...expectedMaybe, default: null });
    expect(raw).toEqual({ type: { kind: "bytes" }, nullable: false, optional: false, aliases: [], default: "/w==" });
    expect(() => schemaFromAvro('"string"')).toThrow(/it is a string/);
  });
});

describe("Avro format with a schema registry", () => {
  let registry: RegistryThread;
  let url: string;
  beforeEach(async () => {
    registry = new RegistryThread();
    url = await registry.start();
  });
  afterEach(() => registry.stop());
  const shape = schema({ id: int53(), name: string().default("?") });

  it("writes ids of registered schemas, and reads records of several versions", async () => {
    const options = { registry: { url }, subject: "people-value" };
    await expect(avro(shape, options).openEncoder(shape)).rejects.toThrow(/subject people-value: the registry does not have it/);
    const [first] = await encode(avro(shape, { ...options, register: true }), shape, [{ id: 1, name: "Ann" }]);
    expect([...(first as Buffer).subarray(0, 5)]).toEqual([0, 0, 0, 0, 1]);
    const old = { type: "record", name: "Row", fields: [{ name: "id", type: "int" }] };
    const id = await registry.register({ subject: "people-value", schema: JSON.stringify(old) });
    const other = await registry.register({ subject: "other", schema: JSON.stringify({ ...old, name: "Other", fields: [] }) });
    const proto = await registry.register({ subject: "p", schema: "message A {}", schemaType: "PROTOBUF" });
    const framed = (schemaId: number, payload: Uint8Array): Buffer => Buffer.concat([Buffer.of(0, 0, 0, 0, schemaId), payload]);
    const format = avro(shape, options);
    const { rows, bad } = await decode(format, [
      first as Buffer,
      framed(id, avscType(old).toBuffer({ id: 2 })),
      framed(99, Buffer.of(2)),
      Buffer.of(1, 2),
      framed(other, Buffer.of()),
      framed(proto, Buffer.of()),
    ]);
    expect(rows).toEqual([
      { id: 1, name: "Ann" },
      { id: 2, name: "?" },
    ]);
    expect(bad).toEqual([
      "2 RECORD_UNPARSABLE schema 99 is not in the registry",
      "3 RECORD_UNPARSABLE the record does not start with a zero byte and a schema id",
      `4 RECORD_MISFIT schema ${other}: field "id" is missing there`,
      `5 RECORD_UNPARSABLE schema ${proto} is not an Avro schema but PROTOBUF`,
    ]);
    expect(format.options).toEqual({ registry: url, subject: "people-value" });
  });

  it("needs a subject to write, and a registry that answers to read", async () => {
    await expect(avro(shape, { registry: { url } }).openEncoder(shape)).rejects.toThrow(/format avro option "subject"/);
    const lost = avro(shape, { registry: { url: "http://127.0.0.1:1", timeoutMs: 200 } });
    await expect(decode(lost, [Buffer.of(0, 0, 0, 0, 1, 2)])).rejects.toThrow(
      expect.objectContaining({ code: "SCHEMA_REGISTRY_UNREACHABLE" }),
    );
  });
});
