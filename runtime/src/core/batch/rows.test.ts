// Rows, views and builders: what goes in comes out, and what does not fit is refused.
import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { Decimal } from "../schema/decimal.ts";
import {
  any,
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  float64,
  int8,
  int32,
  int53,
  int64,
  list,
  mapOf,
  string,
  struct,
  timestamp,
} from "../schema/field.ts";
import { type RowType, schema } from "../schema/schema.ts";
import { Batch, Rows } from "./batch.ts";
import { appendRows } from "./copy.ts";
import { rowView } from "./row-view.ts";
import { RowsBuilder, rowWriter } from "./rows-builder.ts";

const everything = schema({
  flag: boolean(),
  tiny: int8(),
  count: int32(),
  safe: int53(),
  big: int64(),
  ratio: float64(),
  price: decimal(10, 2),
  name: string().nullable(),
  color: enumeration("red", "green"),
  data: bytes(),
  at: timestamp(),
  day: date(),
  tags: list(string()),
  sizes: mapOf(int32()),
  inner: struct({ x: int32(), y: string().optional() }),
  extra: any().optional(),
});
type Everything = RowType<typeof everything>;

const row = fc.record<Everything>({
  flag: fc.boolean(),
  tiny: fc.integer({ min: -128, max: 127 }),
  count: fc.integer(),
  safe: fc.maxSafeInteger(),
  big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  ratio: fc.double(),
  price: fc.bigInt({ min: -99_999n, max: 99_999n }).map((unscaled) => new Decimal(unscaled, 2)),
  name: fc.option(fc.string({ unit: "binary" })),
  color: fc.constantFrom("red", "green"),
  data: fc.uint8Array(),
  at: fc.maxSafeInteger(),
  day: fc.integer(),
  tags: fc.array(fc.string()),
  sizes: fc.array(fc.tuple(fc.string(), fc.integer())).map((pairs) => new Map(pairs)),
  inner: fc.record({ x: fc.integer(), y: fc.option(fc.string(), { nil: undefined }) }),
  extra: fc.option(fc.anything(), { nil: undefined }),
});

describe("row types", () => {
  test("follow the schema", () => {
    expectTypeOf<Everything["big"]>().toEqualTypeOf<bigint>();
    expectTypeOf<Everything["safe"]>().toEqualTypeOf<number>();
    expectTypeOf<Everything["name"]>().toEqualTypeOf<string | null>();
    expectTypeOf<Everything["color"]>().toEqualTypeOf<"red" | "green">();
    expectTypeOf<Everything["inner"]["y"]>().toEqualTypeOf<string | undefined>();
    expectTypeOf<Everything["sizes"]>().toEqualTypeOf<ReadonlyMap<string, number>>();
  });
});

describe("columns and views", () => {
  test("give back every value that was written, also after a copy", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (expected) => {
        const rows = new Rows(everything, 4);
        rows.ready.fill(1);
        const write = rowWriter(everything);
        for (const [index, value] of expected.entries()) {
          rows.ensure(index + 1);
          write(rows, index, value);
          rows.size = index + 1;
        }
        const copy = new Rows(everything, 1);
        appendRows(new Batch(rows), copy);
        for (const target of [rows, copy]) {
          const view = rowView(everything);
          for (const [index, value] of expected.entries()) {
            view.point(target, index);
            expect({ ...view }).toEqual(value);
          }
        }
      }),
    );
  });

  test("a view shows own enumerable fields, so it spreads and prints like a row", () => {
    const pair = schema({ a: int32(), b: string() });
    const rows = new Rows(pair, 1);
    rows.ready.fill(1);
    rowWriter(pair)(rows, 0, { a: 1, b: "x" });
    const view = rowView(pair);
    view.point(rows, 0);
    expect(Object.keys(view)).toEqual(["a", "b"]);
    expect(JSON.stringify(view)).toBe('{"a":1,"b":"x"}');
    expect({ ...view, c: 2 }).toEqual({ a: 1, b: "x", c: 2 });
  });

  test("refuse a value that does not fit, with the field's name", () => {
    const narrow = schema({ n: int8(), s: string(), o: int32().optional() });
    const write = rowWriter(narrow);
    const rows = new Rows(narrow, 1);
    expect(() => write(rows, 0, { n: 128, s: "" })).toThrow(/"n".*int8/);
    expect(() => write(rows, 0, { n: 1.5, s: "" })).toThrow(/"n"/);
    expect(() => write(rows, 0, { n: 1, s: 5 })).toThrow(/"s"/);
    expect(() => write(rows, 0, { n: 1, s: null })).toThrow(/"s"/);
    expect(() => write(rows, 0, { s: "" })).toThrow(/"n"/);
    expect(() => write(rows, 0, undefined)).toThrow(TypeError);
    expect(() => write(rows, 0, { n: 1, s: "" })).not.toThrow();
  });
});

describe("RowsBuilder", () => {
  test("hands on full batches and the rest at flush, in order, with times and kinds", () => {
    const one = schema({ n: int32() });
    const seen: { n: number; time: number; kind: number }[][] = [];
    const view = rowView(one);
    const builder = new RowsBuilder(
      one,
      {
        emit(batch) {
          const rows = [];
          for (let k = 0; k < batch.count; k++) {
            view.point(batch.rows, batch.selection[k] as number);
            rows.push({
              n: view.n,
              time: batch.rows.times[batch.selection[k] as number] as number,
              kind: batch.rows.kindOf(batch.selection[k] as number),
            });
          }
          seen.push(rows);
        },
      },
      3,
    );
    for (let n = 0; n < 7; n++) builder.append({ n }, n * 10, n === 4 ? 3 : 0);
    builder.flush();
    builder.flush();
    expect(seen.map((rows) => rows.length)).toEqual([3, 3, 1]);
    expect(seen.flat()).toEqual(Array.from({ length: 7 }, (_, n) => ({ n, time: n * 10, kind: n === 4 ? 3 : 0 })));
  });
});
