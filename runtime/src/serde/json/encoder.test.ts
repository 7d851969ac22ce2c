// The JSON encoder: what it writes is what JSON.stringify writes, and the decoder reads it back exactly.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import {
  any,
  Field,
  boolean,
  date,
  decimal,
  float32,
  float64,
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
import { randomRows } from "../../core/codec/random-rows.suite.ts";
import { blockOf, rowAt } from "./decoder-check.suite.ts";
import { json } from "./json.ts";

function rowsOf(shape: Schema, objects: readonly unknown[]): Rows {
  const rows = new Rows(shape, Math.max(1, objects.length));
  rows.ready.fill(1);
  rows.size = objects.length;
  const write = rowWriter(shape);
  objects.forEach((object, row) => write(rows, row, object));
  return rows;
}

async function encode(shape: Schema, rows: Rows, options: Parameters<typeof json>[1] = {}): Promise<string[]> {
  const encoder = await json(shape, options).openEncoder(rows.schema);
  // A small writer, so that it grows in the middle of rows.
  const writer = new ByteWriter(16);
  return Array.from({ length: rows.size }, (_, row) => {
    writer.reset();
    expect(encoder.encode(rows, row, writer)).toBe(true);
    return writer.copy().toString("utf8");
  });
}

// An element that may be null or missing is null in JSON either way.
function withoutUndefined(value: unknown): unknown {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, withoutUndefined(entry)]));
  if (value === null || typeof value !== "object" || value instanceof Decimal || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutUndefined(entry)]));
}

const plain = schema({ a: int53(), b: float64(), c: string().nullable(), d: boolean().optional(), e: timestamp(), f: int32() });

const timestampNanosIso = (): Field<bigint> =>
  new Field({ type: { kind: "timestamp", unit: "ns", text: "iso" }, nullable: false, optional: false, aliases: [] });

describe("JSON encoder", () => {
  it("writes what JSON.stringify writes, for numbers and text", async () => {
    const number = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.integer(),
      fc.integer({ min: -1e9, max: 1e9 }).map((n) => n / 100),
      fc.integer({ min: -1e9, max: 1e9 }).map((n) => n / 1e6),
      fc.tuple(fc.integer(), fc.integer({ min: -20, max: 20 })).map(([n, e]) => Number(`${n}e${e}`)),
    );
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 60 }), fc.string({ maxLength: 100 }));
    const row = fc.record(
      { a: fc.maxSafeInteger(), b: number, c: fc.option(text), d: fc.boolean(), e: fc.maxSafeInteger(), f: fc.integer() },
      { requiredKeys: ["a", "b", "c", "e", "f"] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 5 }), async (objects) => {
        const inOrder = objects.map((one) =>
          Object.fromEntries(["a", "b", "c", "d", "e", "f"].filter((key) => key in one).map((key) => [key, one[key as "a"]])),
        );
        const expected = inOrder.map((one) =>
          JSON.stringify({ ...one, b: Object.is(one["b"], -0) ? 0 : one["b"] }).replace(/\\ud[89a-f][0-9a-f]{2}/gi, "\ufffd"),
        );
        const written = await encode(plain, rowsOf(plain, objects));
        expect(written.map((line) => line.replace('"b":-0,', '"b":0,'))).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("escapes text that is a range of bytes, wherever it stands", async () => {
    const shape = schema({ t: string() });
    const rows = new Rows(shape, 1);
    rows.ready.fill(1);
    rows.size = 1;
    const column = rows.columns[0];
    if (column === undefined) throw new Error("no column");
    const characters = [...Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code)), "é", "漢", "😀"];
    for (const character of characters) {
      for (let before = 0; before < 9; before++) {
        const text = `${"a".repeat(before)}${character}${"b".repeat(5)}`;
        column.bytes = Buffer.from(`xyz${text}uvwxyz`);
        column.starts[0] = 3;
        column.ends[0] = 3 + Buffer.byteLength(text);
        expect(await encode(shape, rows)).toEqual([JSON.stringify({ t: text })]);
      }
    }
  });

  it("is read back exactly by the decoder, for every type", async () => {
    await fc.assert(
      fc.asyncProperty(
        randomRows().filter(({ schema: shape }) => !JSON.stringify(shape.spec).includes('"any"')),
        async ({ schema: shape, rows: objects }) => {
          const format = json(shape);
          const rows = rowsOf(shape, objects);
          const lines = await encode(shape, rows).catch((error: unknown) =>
            String(error).includes("beyond the calendar") ? undefined : Promise.reject(error),
          );
          if (lines === undefined) return;
          const decoder = await format.openDecoder();
          const target = new Rows(shape, 1);
          const reasons: string[] = [];
          const block = blockOf(
            lines.map((line) => Buffer.from(line)),
            0,
            1000,
          );
          decoder.decode(block, target, new Int32Array(lines.length), (_index, _code, reason) => reasons.push(reason));
          expect(reasons).toEqual([]);
          expect(lines.map((_, row) => withoutUndefined(rowAt(target, row)))).toStrictEqual(
            lines.map((_, row) => withoutUndefined(rowAt(rows, row))),
          );
          // Text columns are byte ranges now: they give the same bytes.
          expect(await encode(shape, target)).toEqual(lines);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("keeps every digit and writes the usual forms", async () => {
    const shape = schema({
      id: int64().from("ID"),
      price: decimal(10, 2),
      single: float32(),
      nan: float64(),
      at: timestamp({ text: "iso" }),
      day: date(),
      tags: list(string().nullable()),
      attributes: mapOf(int64()),
      inner: struct({ x: int32().from("X"), y: string().optional() }),
      free: any(),
    });
    const row = {
      id: 2n ** 63n - 1n,
      price: Decimal.parse("1.50"),
      single: 0.1,
      nan: Number.NaN,
      at: 1_700_000_000_123,
      day: 19_723,
      tags: ['a\u0001"', null],
      attributes: new Map([["k", 9007199254740993n]]),
      inner: { x: 1 },
      free: { at: new Date(0), big: 10n ** 20n, set: new Set([1]), map: new Map([["k", Uint8Array.of(1)]]), none: undefined },
    };
    const [line] = await encode(shape, rowsOf(shape, [row]));
    expect(line).toBe(
      '{"ID":9223372036854775807,"price":"1.50","single":0.1,"nan":"NaN","at":"2023-11-14T22:13:20.123Z","day":"2024-01-01",' +
        '"tags":["a\\u0001\\"",null],"attributes":{"k":9007199254740993},"inner":{"X":1},' +
        '"free":{"at":"1970-01-01T00:00:00.000Z","big":100000000000000000000,"set":[1],"map":{"k":"AQ=="}}}',
    );
    expect((await encode(shape, rowsOf(shape, [row]), { decimals: "number" }))[0]).toContain('"price":1.50,');
  });

  it("takes wire names and text forms from the format for rows of another schema", async () => {
    const declared = schema({ at: timestamp({ text: "iso" }).from("@timestamp"), n: int32() });
    const shape = schema({ n: int32(), at: timestamp() });
    const encoder = await json(declared).openEncoder(shape);
    const writer = new ByteWriter();
    encoder.encode(rowsOf(shape, [{ n: 1, at: 0 }]), 0, writer);
    expect(writer.copy().toString()).toBe('{"n":1,"@timestamp":"1970-01-01T00:00:00.000Z"}');
  });

  it("writes instants and days as Date does, and to the nanosecond", async () => {
    const shape = schema({ ms: timestamp({ text: "iso" }), day: date() });
    const edges = [
      0, -1, -62_167_219_200_000, -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000, 951_782_400_000, 951_868_799_999,
      4_107_542_400_000,
    ];
    const whenMs = fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.integer({ min: -1e14, max: 3e14 }), fc.constantFrom(...edges));
    await fc.assert(
      fc.asyncProperty(whenMs, async (ms) => {
        const day = Math.floor(ms / 86_400_000);
        const iso = new Date(ms).toISOString();
        expect(await encode(shape, rowsOf(shape, [{ ms, day }]))).toEqual([
          `{"ms":"${iso}","day":"${new Date(day * 86_400_000).toISOString().slice(0, -14)}"}`,
        ]);
        const finer = schema({ at: timestampNanosIso() });
        if (Math.abs(ms) > 9e12) return;
        const nanos = BigInt(ms) * 1_000_000n + 123_456n;
        expect(await encode(finer, rowsOf(finer, [{ at: nanos }]))).toEqual([`{"at":"${iso.slice(0, -1)}123456Z"}`]);
      }),
      { numRuns: 150 },
    );
  });

  it("writes an empty object for a row without fields", async () => {
    const shape = schema({ a: int32().optional() });
    expect(await encode(shape, rowsOf(shape, [{}, { a: 1 }]))).toEqual(["{}", '{"a":1}']);
  });

  it("refuses an instant that ISO 8601 cannot say", async () => {
    const shape = schema({ at: timestamp({ text: "iso" }) });
    await expect(encode(shape, rowsOf(shape, [{ at: Number.MAX_SAFE_INTEGER }]))).rejects.toThrow(
      /field "at": 9007199254740991 is beyond the calendar/,
    );
  });
});
