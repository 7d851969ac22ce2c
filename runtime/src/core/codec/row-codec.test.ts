// Rows survive their binary form exactly, objects and columns share one form, and damaged bytes throw.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../batch/batch.ts";
import { rowView } from "../batch/row-view.ts";
import { rowWriter } from "../batch/rows-builder.ts";
import {
  any,
  boolean,
  bytes,
  decimal,
  enumeration,
  type Field,
  int32,
  int8,
  int53,
  int64,
  list,
  mapOf,
  string,
  struct,
  timestamp,
} from "../schema/field.ts";
import { Decimal } from "../schema/decimal.ts";
import { type Schema, schema } from "../schema/schema.ts";
import { readAny, writeAny } from "./any-value.ts";
import { anything, randomRows, type RandomRows } from "./random-rows.suite.ts";
import { rowCodec } from "./row-codec.ts";

function filled({ schema: shape, rows }: RandomRows): Rows {
  const columns = new Rows(shape, 4);
  columns.ready.fill(1);
  columns.ensure(rows.length);
  const write = rowWriter(shape);
  rows.forEach((row, index) => write(columns, index, row));
  columns.size = rows.length;
  return columns;
}

function objectsOf(rows: Rows): Record<string, unknown>[] {
  const view = rowView(rows.schema);
  return Array.from({ length: rows.size }, (_, row) => {
    view.point(rows, row);
    const shown: Record<string, unknown> = { ...(view as unknown as Record<string, unknown>) };
    return Object.fromEntries(
      Object.entries(shown).filter(([name, value]) => value !== undefined || rows.schema.field(name).spec.type.kind === "any"),
    );
  });
}

const withUndefinedOfAny = (rows: RandomRows): boolean =>
  rows.schema.fields.every((field) => field.spec.type.kind !== "any" || rows.rows.every((row) => row[field.name] !== undefined));

// Undefined is a value of type any, and comes back as a property: random rows leave such properties out.
function present(row: unknown): unknown {
  return Object.fromEntries(Object.entries(row as object).filter(([, value]) => value !== undefined));
}

describe("row codec", () => {
  it("gives back every row object", () => {
    fc.assert(
      fc.property(randomRows(), ({ schema: shape, rows }) => {
        const codec = rowCodec(shape);
        const writer = new ByteWriter(16);
        for (const row of rows) codec.encodeObject(row, writer);
        const reader = new ByteReader(writer.view());
        const skipper = new ByteReader(writer.view());
        for (const row of rows) {
          expect(present(codec.decodeObject(reader))).toStrictEqual(row);
          codec.skip(skipper);
          expect(skipper.position).toBe(reader.position);
        }
        expect(reader.remaining).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it("writes the same bytes from columns as from objects, and reads them into columns", () => {
    fc.assert(
      fc.property(randomRows().filter(withUndefinedOfAny), (random) => {
        const codec = rowCodec(random.schema);
        const rows = filled(random);
        const fromObjects = new ByteWriter(16);
        const fromColumns = new ByteWriter(16);
        for (const row of random.rows) codec.encodeObject(row, fromObjects);
        for (let i = 0; i < rows.size; i++) codec.encode(rows.columns, i, fromColumns);
        expect(fromColumns.copy()).toEqual(fromObjects.copy());

        for (const decode of [codec.decode, codec.decodeRanges]) {
          const reader = new ByteReader(fromColumns.copy());
          const target = new Rows(random.schema, 1);
          target.ready.fill(1);
          target.ensure(rows.size);
          for (let i = 0; i < rows.size; i++) decode(reader, target.columns, i);
          target.size = rows.size;
          expect(objectsOf(target)).toStrictEqual(objectsOf(rows));
          const again = new ByteWriter(16);
          for (let i = 0; i < target.size; i++) codec.encode(target.columns, i, again);
          expect(again.copy()).toEqual(fromColumns.copy());
        }
      }),
      { numRuns: 200 },
    );
  });

  it("throws RangeError for every truncation", () => {
    fc.assert(
      fc.property(randomRows(1), ({ schema: shape, rows }) => {
        const codec = rowCodec(shape);
        const writer = new ByteWriter(16);
        for (const row of rows) codec.encodeObject(row, writer);
        const whole = writer.copy();
        const columns = new Rows(shape, 1).columns;
        for (let length = 0; length < whole.length; length++) {
          // Once with nothing behind the cut, once with the rest of the buffer behind it.
          for (const reader of [() => new ByteReader(whole.subarray(0, length)), () => new ByteReader(whole, 0, length)]) {
            expect(() => codec.decodeObject(reader())).toThrow(RangeError);
            expect(() => codec.decode(reader(), columns, 0)).toThrow(RangeError);
            expect(() => codec.skip(reader())).toThrow(RangeError);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it("throws RangeError or reads a row that fits, for any bytes", () => {
    fc.assert(
      fc.property(randomRows(1), fc.uint8Array({ maxLength: 60 }), ({ schema: shape }, garbage) => {
        const codec = rowCodec(shape);
        const reader = new ByteReader(garbage);
        let row: unknown;
        try {
          row = codec.decodeObject(reader);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        const writer = new ByteWriter();
        codec.encodeObject(row, writer);
        const again = codec.decodeObject(new ByteReader(writer.view()));
        expect(again).toStrictEqual(row);
      }),
      { numRuns: 600 },
    );
  });

  it("has the bytes that the reference describes", () => {
    const shape = schema({
      id: int64(),
      at: timestamp(),
      ok: boolean(),
      kind: enumeration("bid", "ask"),
      note: string().nullable().optional(),
      price: decimal(10, 2),
      tags: list(string().nullable()),
      extra: mapOf(int32()),
      inner: struct({ x: int53() }).optional(),
    });
    const writer = new ByteWriter();
    rowCodec(shape).encodeObject(
      {
        id: -3n,
        at: 1_700_000_000_000,
        ok: true,
        kind: "ask",
        note: null,
        price: new Decimal(150n, 1),
        tags: ["é", null],
        extra: new Map([["k", 64]]),
      },
      writer,
    );
    const expected = [
      // Bit 0: note is null; bit 1: note is missing; bit 2: inner is missing.
      [0b101],
      [0x05],
      leb128(3_400_000_000_000n),
      [1],
      [1],
      // 15.0 with two digits behind the point is 1500.
      leb128(3000n),
      [2, 0, 2, 0xc3, 0xa9, 1],
      [1, 1, 0x6b, 0x80, 0x01],
    ].flat();
    expect([...writer.view()]).toEqual(expected);
  });

  it("refuses values that do not fit their field, by name", () => {
    const shape = schema({ tags: list(int32()), raw: bytes() });
    expect(() => rowCodec(shape).encodeObject({ tags: [1, 2.5], raw: new Uint8Array(1) }, new ByteWriter())).toThrow(
      /field "tags\[\]": 2.5 is not a int32/,
    );
    expect(() => rowCodec(schema({ v: any() })).encodeObject({ v: () => 1 }, new ByteWriter())).toThrow(/a function cannot be stored/);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => rowCodec(schema({ v: any() })).encodeObject({ v: cycle }, new ByteWriter())).toThrow(/cycle/);
  });

  it("refuses second forms and values out of range, near the end of the bytes and far from it", () => {
    const one = (field: Field<unknown, boolean>): Schema => schema({ v: field }) as Schema;
    const cases: readonly (readonly [Schema, readonly number[]])[] = [
      // A last group of zero: a longer form of a smaller number.
      [one(int53()), [0x80, 0x00]],
      [one(int53()), [0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
      [one(int64()), [0x80, 0x80, 0x00]],
      // 2^53, and more than 64 bits.
      [one(int53()), leb128(2n ** 54n)],
      [one(int64()), [...Array<number>(9).fill(0xff), 0x02]],
      [one(int64()), [...Array<number>(10).fill(0xff), 0x01]],
      [one(int8()), leb128(256n)],
      [one(int32()), leb128(2n ** 32n)],
      [one(boolean()), [2]],
      [one(enumeration("a", "b")), [2]],
      [one(string()), [2, 0xc3, 0x28]],
      // Unused bits, and null and missing at once.
      [one(int32().nullable()), [0b10, 0]],
      [one(int32().nullable().optional()), [0b11, 0]],
      [one(list(int32().nullable())), [1, 3, 0]],
      [one(list(int32().nullable())), [1, 2]],
      [one(mapOf(boolean())), [2, 1, 0x61, 1, 1, 0x61, 0]],
      // Of type any: a size that is too small or too large, an unknown marker, an unknown extension.
      [one(any()), [2, 0x01]],
      [one(any()), [2, 0x01, 0x01]],
      [one(any()), [1, 0xc1]],
      [one(any()), [3, 0xc7, 0x00, 0x7f]],
      [one(any()), [4, 0xc7, 0x02, 0x42, 0x00]],
    ];
    for (const [shape, bytes] of cases) {
      for (const tail of [0, 20]) {
        const whole = Buffer.from([...bytes, ...Array<number>(tail).fill(0)]);
        const columns = new Rows(shape, 1).columns;
        const what = `${JSON.stringify(shape.spec)} of ${whole.toString("hex")}`;
        if (tail > 0 && ["any", "list"].includes(shape.fields[0]?.spec.type.kind ?? "") && bytes.length === 2) continue;
        expect(() => rowCodec(shape).decodeObject(new ByteReader(whole)), what).toThrow(RangeError);
        expect(() => rowCodec(shape).decode(new ByteReader(whole), columns, 0), what).toThrow(RangeError);
      }
    }
  });

  it("writes the same bytes whatever room the writer has", () => {
    const shape = schema({ a: any(), l: list(any()) });
    const values = [
      new Set([7]),
      5n,
      new Set([1, "x"]),
      new Map([["k", new Set([new Date(0)])]]),
      10n ** 30n,
      new Decimal(-5n, 2),
      "text ".repeat(60),
      [new Map()],
      Array(300).fill(7),
    ];
    for (const value of values) {
      const row = { a: value, l: [value, value] };
      const roomy = new ByteWriter(100_000);
      rowCodec(shape).encodeObject(row, roomy);
      for (let room = 0; room < 200; room++) {
        const tight = new ByteWriter(room);
        rowCodec(shape).encodeObject(row, tight);
        expect(tight.copy()).toEqual(roomy.copy());
      }
    }
  });

  it("does not allocate what a damaged length claims", () => {
    const shape = schema({ items: list(struct({})) });
    expect(() => rowCodec(shape).decodeObject(new ByteReader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)))).toThrow(RangeError);
    expect(() => readAny(new ByteReader(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)))).toThrow(RangeError);
  });
});

function leb128(value: bigint): number[] {
  const groups: number[] = [];
  let rest = value;
  for (; rest > 127n; rest /= 128n) groups.push(Number(rest % 128n) + 128);
  return [...groups, Number(rest)];
}

describe("values of type any", () => {
  it("come back exactly: Map and object, -0, undefined, bigint, dates, bytes", () => {
    fc.assert(
      fc.property(anything, (value) => {
        const writer = new ByteWriter(8);
        writeAny(writer, value);
        expect(readAny(new ByteReader(writer.view()))).toStrictEqual(value);
      }),
      { numRuns: 600 },
    );
  });
});
