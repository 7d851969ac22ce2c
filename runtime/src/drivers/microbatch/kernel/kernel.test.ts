// The kernel: rows of every type go in by column and come out equal, and SQL is typed, parsed and refused with a reason.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Batch, Rows } from "../../../core/batch/batch.ts";
import { rowObject, rowView } from "../../../core/batch/row-view.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { Decimal } from "../../../core/schema/decimal.ts";
import {
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  float32,
  float64,
  int8,
  int16,
  int32,
  int53,
  int64,
  list,
  mapOf,
  string,
  struct,
  timestamp,
} from "../../../core/schema/field.ts";
import { type RowType, schema } from "../../../core/schema/schema.ts";
import { Kernel } from "./kernel.ts";
import { allFields } from "./table-loader.ts";

const Everything = schema({
  id: int32(),
  flag: boolean().nullable(),
  tiny: int8().nullable(),
  small: int16().nullable(),
  count: int32().nullable(),
  safe: int53().nullable(),
  big: int64().nullable(),
  half: float32().nullable(),
  ratio: float64().nullable(),
  price: decimal(20, 3).nullable(),
  name: string().nullable(),
  color: enumeration("red", "green").nullable(),
  data: bytes().nullable(),
  seconds: timestamp({ unit: "s" }).nullable(),
  at: timestamp().nullable(),
  micros: timestamp({ unit: "us" }).nullable(),
  day: date().nullable(),
  tags: list(string()).nullable(),
  sizes: mapOf(int32()).nullable(),
  inner: struct({ x: int32(), y: string() }).nullable(),
});
type Everything = RowType<typeof Everything>;

// Texts around the 12 bytes that a cell holds, of one to four bytes per character.
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 14 }),
  fc.constantFrom("twelve bytes", "thirteen byte", "ééé", "ééééééé", "😀😀😀", "😀😀😀😀", ""),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null, freq: 4 });
const row: fc.Arbitrary<Omit<Everything, "id">> = fc.record({
  flag: maybe(fc.boolean()),
  tiny: maybe(fc.integer({ min: -128, max: 127 })),
  small: maybe(fc.integer({ min: -32768, max: 32767 })),
  count: maybe(fc.integer()),
  safe: maybe(fc.maxSafeInteger()),
  big: maybe(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  half: maybe(fc.float({ noNaN: true })),
  ratio: maybe(fc.double({ noNaN: true })),
  price: maybe(fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }).map((unscaled) => new Decimal(unscaled, 3))),
  // A lone surrogate has no UTF-8 form.
  name: maybe(text.map((value) => value.toWellFormed().replaceAll("\u0000", ""))),
  color: maybe(fc.constantFrom("red", "green")),
  data: maybe(fc.uint8Array({ maxLength: 20 })),
  seconds: maybe(fc.integer({ min: -1_000_000_000, max: 4_000_000_000 })),
  at: maybe(fc.integer({ min: -1_000_000_000_000, max: 4_000_000_000_000 })),
  micros: maybe(fc.integer({ min: -1_000_000_000_000_000, max: 4_000_000_000_000_000 })),
  day: maybe(fc.integer({ min: -10_000, max: 40_000 })),
  tags: maybe(
    fc.array(
      fc.string({ maxLength: 15 }).map((value) => value.replaceAll("\u0000", "")),
      { maxLength: 4 },
    ),
  ),
  sizes: maybe(fc.dictionary(fc.constantFrom("a", "b", "c"), fc.integer()).map((value) => new Map(Object.entries(value)))),
  inner: maybe(fc.record({ x: fc.integer(), y: fc.constantFrom("u", "a longer text than fits") })),
}) as fc.Arbitrary<Omit<Everything, "id">>;

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open();
});
afterAll(() => kernel.close());

function rowsOf(values: readonly Everything[]): Rows {
  const rows = new Rows(Everything, 4);
  rows.ready.fill(1);
  const write = rowWriter(Everything);
  for (const [index, value] of values.entries()) {
    rows.ensure(index + 1);
    write(rows, index, value);
    rows.size = index + 1;
  }
  return rows;
}

describe("rows", () => {
  test("of every type come back equal, nulls included, whatever the selection", async () => {
    const loader = await kernel.table("everything", allFields(Everything));
    const query = kernel.query(`SELECT * FROM everything`, Everything, "at");
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), async (some, step) => {
        const values = some.map((value, id): Everything => ({ ...value, id }));
        const selected = values.filter((_value, index) => index % step === 0);
        await loader.begin();
        loader.add(new Batch(rowsOf(values), Int32Array.from(selected.map(({ id }) => id)), selected.length));
        loader.end();
        const read: { readonly value: Everything; readonly timeMs: number }[] = [];
        await query.run((rows) => {
          const view = rowView(Everything);
          for (let index = 0; index < rows.size; index++)
            read.push({ value: rowObject(new Batch(rows), index, view), timeMs: rows.times[index] as number });
        });
        read.sort((a, b) => a.value.id - b.value.id);
        expect(read.map(({ value }) => value)).toEqual(selected);
        expect(read.map(({ timeMs }) => timeMs)).toEqual(selected.map(({ at }) => at ?? -Infinity));
      }),
      { numRuns: 60 },
    );
  });

  test("of several chunks and several loads come back whole", async () => {
    const N = schema({ n: int32(), text: string() });
    const loader = await kernel.table("many", allFields(N));
    const total = 20_000;
    const rows = new Rows(N, total);
    rows.ready.fill(1);
    const write = rowWriter(N);
    for (let n = 0; n < total; n++) write(rows, n, { n, text: `number ${n}${"x".repeat(n % 30)}` });
    rows.size = total;
    await loader.begin();
    loader.add(
      new Batch(
        rows,
        Int32Array.from({ length: 7000 }, (_value, index) => index),
        7000,
      ),
    );
    loader.add(
      new Batch(
        rows,
        Int32Array.from({ length: 13_000 }, (_value, index) => index + 7000),
        13_000,
      ),
    );
    loader.end();
    const seen = new Set<number>();
    await kernel.query("SELECT n, text FROM many", N).run((read) => {
      for (let index = 0; index < read.size; index++) {
        const n = read.columns[0]?.numbers[index] as number;
        expect(read.columns[1]?.getText(index)).toBe(`number ${n}${"x".repeat(n % 30)}`);
        seen.add(n);
      }
    });
    expect(seen.size).toBe(total);
  });

  test("an integer beyond 2^53 in a column of numbers is refused, and a null beside it is not", async () => {
    const N = schema({ n: int53().nullable() });
    const read: unknown[] = [];
    await kernel.query("SELECT CASE WHEN true THEN NULL ELSE 9007199254740993 END AS n", N).run((rows) => {
      read.push(rows.columns[0]?.nulls?.[0]);
    });
    expect(read).toEqual([1]);
    await expect(kernel.query("SELECT 9007199254740993::BIGINT AS n", N).run(() => {})).rejects.toMatchObject({ code: "DATAFRAME_RANGE" });
  });
});

describe("SQL", () => {
  test("is typed", async () => {
    expect(await kernel.describe("SELECT 1 + 1 AS a, 'x' || 'y' AS b, DATE '2024-01-01' AS c")).toEqual([
      { name: "a", type: "INTEGER" },
      { name: "b", type: "VARCHAR" },
      { name: "c", type: "DATE" },
    ]);
  });

  test("that does not bind is refused with the kernel's reason", async () => {
    await expect(kernel.describe("SELECT nothing FROM (SELECT 1 AS something)")).rejects.toMatchObject({
      code: "DATAFRAME_SQL",
      message: expect.stringContaining("nothing"),
    });
  });

  test("that does not parse is refused", async () => {
    await expect(kernel.parse("SELECT FROM WHERE")).rejects.toMatchObject({ code: "DATAFRAME_SQL" });
  });

  test("parsed and printed says the same", async () => {
    const tree = await kernel.parse("SELECT list_transform([1, 2], x -> x + 1) AS l");
    expect(await kernel.number(`SELECT l[2] FROM (${await kernel.print(tree)})`)).toBe(3);
  });

  test("that fails on a row says so", async () => {
    await expect(kernel.number("SELECT CAST('x' AS INTEGER)")).rejects.toMatchObject({ code: "DATAFRAME_COMPUTE" });
  });
});
