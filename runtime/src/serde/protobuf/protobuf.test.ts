// Protobuf against protobufjs: what it writes we read and what we write it reads; presence, merging, the registry, and damage.
import * as fc from "fast-check";
import protobufjs from "protobufjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { type RandomRows, randomRows } from "../../core/codec/random-rows.suite.ts";
import type { Format } from "../../core/ports/format.ts";
import {
  any,
  boolean,
  decimal,
  enumeration,
  float64,
  int32,
  int53,
  int64,
  list,
  mapOf,
  string,
  struct,
  timestamp,
  timestampNanos,
} from "../../core/schema/field.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { blockOf, rowAt } from "../json/decoder-check.suite.ts";
import { RegistryThread } from "../registry/registry-thread.suite.ts";
import { protobuf } from "./protobuf.ts";
import { protoSchemaOf, schemaFromProto } from "./proto-schema-of.ts";

async function decode(
  format: Format<unknown>,
  documents: readonly Uint8Array[],
): Promise<{ rows: Record<string, unknown>[]; bad: string[] }> {
  const decoder = await format.openDecoder();
  const records = blockOf(documents, 2);
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
    encoder.encode(rows, row, writer);
    return writer.copy();
  });
}

function typeOf(proto: string, name: string): protobufjs.Type {
  const root = new protobufjs.Root();
  const timestampProto = protobufjs.common.get("google/protobuf/timestamp.proto");
  if (proto.includes("timestamp.proto") && timestampProto?.nested !== undefined) root.addJSON(timestampProto.nested);
  protobufjs.parse(proto, root, { keepCase: true });
  return root.lookupType(name);
}

// A row as protobufjs gives it with 64-bit integers as text and bytes as arrays.
function plain(spec: FieldSpec, value: unknown): unknown {
  const type = spec.type;
  switch (type.kind) {
    case "int64":
      return String(value);
    case "timestamp": {
      const per = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n }[type.unit];
      const units = BigInt(value as bigint);
      const fraction = ((units % per) + per) % per;
      return { seconds: String((units - fraction) / per), nanos: Number(fraction * (1_000_000_000n / per)) };
    }
    case "decimal":
      return String(value);
    case "bytes":
      return [...(value as Uint8Array)];
    case "list":
      return (value as unknown[]).map((item) => plain(type.of, item));
    case "map":
      return Object.fromEntries([...(value as Map<string, unknown>)].map(([key, entry]) => [key, plain(type.of, entry)]));
    case "struct":
      return plainRow(type.fields, value as Record<string, unknown>);
    default:
      return value;
  }
}

function plainRow(spec: RowSpec, row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(spec)
      .filter(([name]) => row[name] !== undefined && row[name] !== null)
      .map(([name, field]) => [name, plain(field, row[name])]),
  );
}

// What Protobuf has no form for is left out of the random rows, and map keys that protobufjs treats specially.
function encodable({ schema: shape, rows }: RandomRows): boolean {
  const text = JSON.stringify(shape.spec);
  if (/"any"|\$x|"_y1"/.test(text) || /"(list|map)","of":\{"type":\{"kind":"(list|map)"/.test(text)) return false;
  if (/"kind":"(list|map)","of":\{[^{}]*(\{[^{}]*\})?[^{}]*"(nullable|optional)":true/.test(text)) return false;
  return !JSON.stringify(rows, (_, value: unknown) =>
    value instanceof Map ? [...value.keys()] : typeof value === "bigint" ? "" : value,
  ).includes("__proto__");
}

// Null and missing are one in Protobuf, and for lists and maps both are empty.
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, withoutAbsent(entry)]));
  if (value === null || typeof value !== "object" || value instanceof Decimal || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([, entry]) =>
          entry !== null &&
          entry !== undefined &&
          !(Array.isArray(entry) && entry.length === 0) &&
          !(entry instanceof Map && entry.size === 0),
      )
      .map(([key, entry]) => [key, withoutAbsent(entry)]),
  );
}

describe("Protobuf format", () => {
  it("writes what protobufjs reads, and reads what protobufjs writes", async () => {
    await fc.assert(
      fc.asyncProperty(randomRows().filter(encodable), async (random) => {
        const { schema: shape, rows } = random;
        const proto = protoSchemaOf(shape);
        const type = typeOf(proto, "Row");
        const format = protobuf(shape, { proto });
        let documents: Buffer[];
        try {
          documents = await encode(format, shape, rows);
        } catch (error) {
          // Elements that are null or missing, at any depth, are refused.
          expect(String(error)).toMatch(/has no place in/);
          return;
        }
        const options = { longs: String, bytes: Array, defaults: false } as const;
        const expected = rows.map((row) => type.toObject(type.fromObject(plainRow(shape.spec, row)), options));
        expect(documents.map((document) => type.toObject(type.decode(document), options))).toEqual(
          expected.map((one) => type.toObject(type.decode(type.encode(type.fromObject(one)).finish()), options)),
        );
        const theirs = rows.map((row) => Buffer.from(type.encode(type.fromObject(plainRow(shape.spec, row))).finish()));
        for (const bytes of [documents, theirs]) {
          const { rows: back, bad } = await decode(format, bytes);
          expect(bad).toEqual([]);
          expect(back.map(withoutAbsent)).toStrictEqual(rows.map(withoutAbsent));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("knows absence where Protobuf does, and reads zero where it does not", async () => {
    const proto = `
      syntax = "proto3";
      import "google/protobuf/wrappers.proto";
      import "google/protobuf/timestamp.proto";
      enum Kind { NONE = 0; BID = 1; ASK = 2; }
      message Inner { int32 x = 1; string y = 2; repeated int32 z = 3; }
      message Event {
        int32 plain = 1; optional int32 known = 2; string text = 3; Kind kind = 4;
        repeated sint64 numbers = 5; map<uint32, string> names = 6; Inner inner = 7;
        oneof choice { string left = 8; int64 right = 9; }
        google.protobuf.Int64Value boxed = 10; google.protobuf.Timestamp at = 11; fixed64 big = 1000; uint64 wide = 12;
      }`;
    const shape = schema({
      plain: int53(),
      known: int32().nullable(),
      text: string(),
      kind: enumeration("BID", "NONE"),
      numbers: list(int64()),
      names: mapOf(string()),
      inner: struct({ x: int32(), z: list(int32()) }).nullable(),
      left: string().optional(),
      right: int64().optional(),
      boxed: int53().nullable(),
      at: timestamp().nullable(),
      big: int64(),
      wide: int64(),
    });
    const root = new protobufjs.Root();
    for (const name of ["wrappers", "timestamp"]) root.addJSON(protobufjs.common.get(`google/protobuf/${name}.proto`)?.nested ?? {});
    protobufjs.parse(proto, root, { keepCase: true });
    const type = root.lookupType("Event");
    const bytesOf = (value: object): Buffer => Buffer.from(type.encode(type.fromObject(value)).finish());
    const zero = {
      plain: 0,
      known: null,
      text: "",
      kind: "NONE",
      numbers: [],
      names: new Map(),
      inner: null,
      boxed: null,
      at: null,
      big: 0n,
      wide: 0n,
    };
    const format = protobuf(shape, { proto, message: "Event" });
    const { rows, bad } = await decode(format, [
      Buffer.alloc(0),
      bytesOf({
        known: 0,
        kind: "BID",
        numbers: [-1, 5],
        names: { 7: "seven" },
        inner: {},
        right: "9007199254740993",
        boxed: { value: 0 },
        at: { seconds: -1, nanos: 500_000_000 },
        big: "9223372036854775807",
      }),
      bytesOf({ kind: "ASK" }),
      Buffer.concat([bytesOf({ inner: { x: 1, z: [1] }, plain: 5 }), bytesOf({ inner: { y: "new", z: [2] }, plain: 6 })]),
      // Unpacked, though the field is packed; then a group that nobody knows.
      Buffer.from([0x28, 1, 0x28, 3, 0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06]),
      bytesOf({ big: "18446744073709551615" }),
      bytesOf({ at: { nanos: 1 } }),
      bytesOf({ wide: "9223372036854775808" }),
      Buffer.from([0x20, 9]),
      Buffer.from([0x0d, 1, 2, 3, 4]),
    ]);
    expect(rows).toEqual([
      zero,
      {
        ...zero,
        known: 0,
        kind: "BID",
        numbers: [-1n, 5n],
        names: new Map([["7", "seven"]]),
        inner: { x: 0, z: [] },
        right: 9007199254740993n,
        boxed: 0,
        at: -500,
        big: 9223372036854775807n,
      },
      { ...zero, plain: 6, inner: { x: 1, z: [1, 2] } },
      { ...zero, numbers: [-1n, -2n] },
    ]);
    expect(bad).toEqual([
      '2 RECORD_MISFIT field "kind" is "ASK", not one of its 2 values',
      '5 RECORD_MISFIT field "big" is 18446744073709551615, out of range',
      '6 RECORD_MISFIT field "at" has digits of a second finer than ms',
      '7 RECORD_MISFIT field "wide" is 9223372036854775808, out of range',
      '8 RECORD_MISFIT field "kind" is 9, which its enum does not have',
      '9 RECORD_MISFIT field "plain" has wire type 5, which is not its type\'s',
    ]);
  });

  it("takes the defaults of proto2 and of the schema", async () => {
    const proto =
      'syntax = "proto2"; message M { optional int32 a = 1 [default = 7]; optional string b = 2; required bool c = 3; optional int64 d = 4 [default = -5]; }';
    const shape = schema({ a: int32(), b: string().default("x"), c: boolean(), d: int64(), e: float64().default(1.5) });
    const { rows, bad } = await decode(protobuf(shape, { proto }), [Buffer.from([0x18, 1]), Buffer.alloc(0)]);
    expect(rows).toEqual([{ a: 7, b: "x", c: true, d: -5n, e: 1.5 }]);
    expect(bad).toEqual(['1 RECORD_MISFIT field "c" is missing']);
  });

  it("refuses schemas and values that do not fit, by field", async () => {
    const proto = 'syntax = "proto3"; message M { int32 a = 1; string s = 2; repeated int32 l = 3; }';
    const open = (shape: Schema): Promise<unknown> => protobuf(shape, { proto }).openDecoder();
    await expect(open(schema({ a: string() }))).rejects.toThrow(/field "a" is a int32 there, which cannot be read as string/);
    await expect(open(schema({ x: string() }))).rejects.toThrow(/field "x" is missing there/);
    await expect(open(schema({ l: int32() }))).rejects.toThrow(/field "l" is repeated there/);
    const write = (shape: Schema, row: unknown): Promise<unknown> => encode(protobuf(shape, { proto }), shape, [row]);
    await expect(write(schema({ b: int32() }), { b: 1 })).rejects.toThrow(/field "b": is not in message M/);
    await expect(write(schema({ s: int32() }), { s: 1 })).rejects.toThrow(/field "s": int32 cannot be written as string/);
    await expect(write(schema({ a: int53() }), { a: 2 ** 40 })).rejects.toThrow(/field "a": 1099511627776 does not fit int32/);
    await expect(write(schema({ a: int32().nullable() }), { a: null })).rejects.toThrow(/would read back as zero/);
    await expect(protobuf(schema({ a: int32() }), { proto: "message {" }).openDecoder()).rejects.toThrow(
      expect.objectContaining({ code: "SCHEMA_INVALID" }),
    );
    expect(() => protobuf(schema({ a: int32() }))).toThrow(/format protobuf option "proto"/);
    expect(() => protoSchemaOf(schema({ a: any() }))).toThrow(/type any has no Protobuf form/);
  });

  it("never throws on random and truncated bytes", async () => {
    await fc.assert(
      fc.asyncProperty(randomRows(1).filter(encodable), fc.uint8Array({ maxLength: 40 }), async ({ schema: shape, rows }, garbage) => {
        const format = protobuf(shape, { proto: protoSchemaOf(shape) });
        const documents = await encode(format, shape, rows).catch(() => []);
        const cut = documents.flatMap((document) => Array.from({ length: document.length }, (_, length) => document.subarray(0, length)));
        const { rows: good, bad } = await decode(format, [garbage, ...cut]);
        expect(good.length + bad.length).toBe(1 + cut.length);
      }),
      { numRuns: 100 },
    );
  });

  it("gives the schema of a message, and instants keep their nanoseconds", async () => {
    const proto = `syntax = "proto3"; package p; import "google/protobuf/timestamp.proto"; import "other.proto";
      message Node { string name = 1; Node next = 2; repeated Other others = 3; optional uint32 count = 4; google.protobuf.Timestamp at = 5; map<string, double> m = 6; }
      message Second { int64 id = 1; }`;
    const imports = { "other.proto": 'syntax = "proto3"; package p; message Other { bool ok = 1; }' };
    const shape = await schemaFromProto(proto, { imports });
    const expected = schema({
      name: string(),
      next: any().optional(),
      others: list(struct({ ok: boolean() })),
      count: int53().nullable(),
      at: timestampNanos().nullable(),
      m: mapOf(float64()),
    });
    expect(shape.spec).toEqual(expected.spec);
    expect((await schemaFromProto(proto, { imports, message: "p.Second" })).spec).toEqual(schema({ id: int64() }).spec);
    const { rows } = await decode(protobuf(shape, { proto, imports }), [Buffer.from("0a016112080a016212030a0163", "hex")]);
    const empty = { others: [], m: new Map() };
    expect(rows).toEqual([{ name: "a", next: { name: "b", next: { name: "c", ...empty }, ...empty }, count: null, at: null, ...empty }]);
    const one = schema({ name: string(), at: timestampNanos().nullable() });
    const [bytes] = await encode(protobuf(one, { proto, imports }), one, [{ name: "a", at: -1n }]);
    expect((await decode(protobuf(one, { proto, imports }), [bytes as Buffer])).rows).toEqual([{ name: "a", at: -1n }]);
  });

  it("writes decimals as text", async () => {
    const shape = schema({ price: decimal(10, 2) });
    const format = protobuf(shape, { proto: protoSchemaOf(shape) });
    const [bytes] = await encode(format, shape, [{ price: Decimal.parse("1.5") }]);
    expect(bytes?.toString("latin1")).toBe("\n\x041.50");
    expect((await decode(format, [bytes as Buffer, Buffer.from("\n\x03abc")])).bad).toEqual([
      '1 RECORD_MISFIT field "price" is "abc", not a decimal of 2 digits behind the point',
    ]);
  });
});

describe("Protobuf format with a schema registry", () => {
  let registry: RegistryThread;
  let url: string;
  beforeEach(async () => {
    registry = new RegistryThread();
    url = await registry.start();
  });
  afterEach(() => registry.stop());

  it("reads and writes the message that the record's path names", async () => {
    const proto =
      'syntax = "proto3"; package p; message A { string s = 1; } message B { message C { string s = 1; } message D { int32 n = 1; } }';
    const shape = schema({ n: int32() });
    const options = { registry: { url }, subject: "b-value", proto, message: "p.B.D", register: true };
    const [bytes] = await encode(protobuf(shape, options), shape, [{ n: 5 }]);
    expect([...(bytes as Buffer)]).toEqual([0, 0, 0, 0, 1, 4, 2, 2, 8, 5]);
    const avroId = await registry.register({ subject: "x", schema: '"int"' });
    const { rows, bad } = await decode(protobuf(shape, { registry: { url } }), [
      bytes as Buffer,
      Buffer.from([0, 0, 0, 0, 1, 0, 8, 5]),
      Buffer.from([0, 0, 0, 0, 1, 2, 10, 8, 5]),
      Buffer.from([0, 0, 0, 0, avroId, 0]),
      Buffer.from([0, 0, 0, 0, 77, 0]),
      Buffer.from([8, 5]),
    ]);
    expect(rows).toEqual([{ n: 5 }]);
    expect(bad).toEqual([
      '1 RECORD_MISFIT schema 1: field "n" is missing there',
      "2 RECORD_UNPARSABLE schema 1 has no message at 5",
      `3 RECORD_UNPARSABLE schema ${avroId} is not a Protobuf schema but AVRO`,
      "4 RECORD_UNPARSABLE schema 77 is not in the registry",
      "5 RECORD_UNPARSABLE the record does not start with a zero byte and a schema id",
    ]);
  });
});
