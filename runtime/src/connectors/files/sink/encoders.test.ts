// What the sink writes as Parquet and CSV, read by DuckDB and by the source: random rows of every type come back exactly.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { rowToJson } from "../../../core/codec/json-value.ts";
import { Decimal } from "../../../core/schema/decimal.ts";
import {
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
  timestampNanos,
} from "../../../core/schema/field.ts";
import { type RowType, type Schema, schema } from "../../../core/schema/schema.ts";
import { filesSink, files, type FilesSinkOptions } from "../index.ts";
import { allOf, inDirectory, readWhole } from "../source/files-fixture.suite.ts";
import { duck } from "./duck.suite.ts";
import { batchOf, sinkContext, visibleFiles } from "./sink-fixture.suite.ts";

const flat = schema({
  flag: boolean().nullable(),
  tiny: int8(),
  small: int16(),
  n: int32().nullable(),
  large: int64(),
  safe: int53().nullable(),
  single: float32(),
  double: float64().nullable(),
  money: decimal(9, 2),
  huge: decimal(38, 4).nullable(),
  text: string(),
  color: enumeration("red", "blue").nullable(),
  raw: bytes(),
  day: date(),
  ms: timestamp({ text: "iso" }),
  us: timestamp({ unit: "us" }).nullable(),
  ns: timestampNanos(),
});
const nested = schema({
  numbers: list(int53().nullable()),
  maybe: list(string()).nullable(),
  pair: struct({ a: int53(), b: string().nullable() }),
  nothing: struct({ a: int32().nullable() }).nullable(),
  entries: mapOf(int53().nullable()),
  deep: list(list(string())),
});

const text = fc
  .array(fc.constantFrom("a", '"', ",", "\n", "\r\n", " ", "\u00e9", "\u{1F600}", "0", ";"), { maxLength: 6 })
  .map((parts) => parts.join(""));
const nullable = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });
const instant = fc.integer({ min: -(10 ** 12), max: 4 * 10 ** 12 });
const flatRow: fc.Arbitrary<RowType<typeof flat>> = fc.record({
  flag: nullable(fc.boolean()),
  tiny: fc.integer({ min: -128, max: 127 }),
  small: fc.integer({ min: -32768, max: 32767 }),
  n: nullable(fc.integer()),
  large: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  safe: nullable(fc.maxSafeInteger()),
  single: fc.float({ noNaN: true, noDefaultInfinity: true }),
  double: nullable(fc.double({ noNaN: true, noDefaultInfinity: true })),
  money: fc.integer({ min: -999_999_999, max: 999_999_999 }).map((cents) => new Decimal(BigInt(cents), 2)),
  huge: nullable(fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }).map((units) => new Decimal(units, 4))),
  text,
  color: nullable(fc.constantFrom("red" as const, "blue" as const)),
  raw: fc.uint8Array({ maxLength: 5 }),
  day: fc.integer({ min: -100_000, max: 100_000 }),
  ms: instant,
  us: nullable(instant.map((ms) => ms * 1000 + 7)),
  ns: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
});
const nestedRow: fc.Arbitrary<RowType<typeof nested>> = fc.record({
  numbers: fc.array(nullable(fc.maxSafeInteger()), { maxLength: 3 }),
  maybe: nullable(fc.array(text, { maxLength: 3 })),
  pair: fc.record({ a: fc.maxSafeInteger(), b: nullable(text) }),
  nothing: nullable(fc.record({ a: nullable(fc.integer()) })),
  entries: fc
    .array(fc.tuple(fc.constantFrom("k", "l", "m\u00e9"), nullable(fc.maxSafeInteger())), { maxLength: 3 })
    .map((entries) => new Map(entries)),
  deep: fc.array(fc.array(text, { maxLength: 2 }), { maxLength: 3 }),
});

const asJson = (of: Schema<unknown>, rows: readonly unknown[]): unknown[] =>
  rows.map((row) => rowToJson(of.spec, row as Record<string, unknown>));

async function written<Row>(
  directory: string,
  of: Schema<Row>,
  rows: readonly Row[],
  options: Omit<FilesSinkOptions, "path">,
): Promise<string> {
  const writer = await filesSink({ ...options, path: directory }).openWriter(sinkContext(), of);
  writer.write(batchOf(of, rows));
  await writer.prepare(1);
  await writer.commit(1);
  await writer.close();
  return join(directory, (await visibleFiles(directory)).at(-1) ?? "");
}

function comesBack<Row>(
  name: string,
  of: Schema<Row>,
  row: fc.Arbitrary<Row>,
  options: Omit<FilesSinkOptions, "path"> & { readonly format: "csv" | "parquet" },
): void {
  test(`${name}: random rows come back`, () =>
    inDirectory(async (directory) => {
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), async (rows) => {
          const path = await written(join(directory, String(runs++)), of, rows, options);
          const result = await readWhole(files({ path, format: options.format, schema: of }).source);
          expect(result.bad).toEqual([]);
          expect(asJson(of, allOf(result))).toEqual(asJson(of, rows));
        }),
        { numRuns: 150 },
      );
    }));
}

comesBack("parquet", flat, flatRow, { format: "parquet" });
comesBack("parquet, nested", nested, nestedRow, { format: "parquet", compression: "zstd" });
comesBack("csv", flat, flatRow, { format: "csv" });
comesBack("csv, nested", nested, nestedRow, { format: "csv" });

test("DuckDB reads the same values from Parquet", () =>
  inDirectory(async (directory) => {
    const rows = fc.sample(flatRow, { numRuns: 300, seed: 7 });
    const path = await written(directory, flat, rows, { format: "parquet", compression: "gzip" });
    const values =
      await duck(`SELECT flag, tiny, small, n, large::VARCHAR, safe::VARCHAR, single, double, money::VARCHAR, huge::VARCHAR, text, color,
      to_base64(raw), (day - DATE '1970-01-01')::INT, epoch_ms(ms)::VARCHAR, epoch_us(us)::VARCHAR, epoch_ns(ns)::VARCHAR FROM '${path}'`);
    const expected = rows.map((row) => [
      row.flag,
      row.tiny,
      row.small,
      row.n,
      String(row.large),
      row.safe === null ? null : String(row.safe),
      Math.fround(row.single),
      row.double,
      row.money.toString(),
      row.huge === null ? null : row.huge.toString(),
      row.text,
      row.color,
      Buffer.from(row.raw).toString("base64"),
      row.day,
      String(row.ms),
      row.us === null ? null : String(row.us),
      // DuckDB has no instants finer than microseconds with a zone.
      String((row.ns / 1000n) * 1000n),
    ]);
    expect(values.map((row) => [...row])).toEqual(expected);
    const types = await duck(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${path}')`);
    expect(Object.fromEntries(types as [string, string][])).toMatchObject({
      tiny: "TINYINT",
      large: "BIGINT",
      money: "DECIMAL(9,2)",
      huge: "DECIMAL(38,4)",
      day: "DATE",
      ms: "TIMESTAMP WITH TIME ZONE",
      us: "TIMESTAMP WITH TIME ZONE",
      text: "VARCHAR",
      raw: "BLOB",
    });
  }));

test("DuckDB reads the same nested values from Parquet", () =>
  inDirectory(async (directory) => {
    const rows = fc.sample(nestedRow, { numRuns: 300, seed: 8 });
    const path = await written(directory, nested, rows, { format: "parquet" });
    const values = await duck(
      `SELECT to_json(numbers), to_json(maybe), to_json(pair), to_json(nothing), to_json(map_keys(entries)), to_json(map_values(entries)), to_json(deep) FROM '${path}'`,
    );
    const parsed = values.map((row) => row.map((value) => (value === null ? null : (JSON.parse(value as string) as unknown))));
    const expected = rows.map(({ numbers, maybe, pair, nothing, entries, deep }) => [
      numbers,
      maybe,
      pair,
      nothing,
      [...entries.keys()],
      [...entries.values()],
      deep,
    ]);
    expect(parsed).toEqual(expected);
  }));

test("zeros keep their sign among each other", () =>
  inDirectory(async (directory) => {
    const of = schema({ v: float64().nullable(), l: list(float32()), s: struct({ v: float64(), n: string() }) });
    const signed = (i: number): number => (i % 3 === 0 ? -0 : 0);
    const rows = Array.from({ length: 100 }, (_, i) => ({
      v: i % 3 === 2 ? null : signed(i),
      l: [signed(i), signed(i + 1)],
      s: { v: signed(i), n: "n" },
    }));
    await written(directory, of, rows, { format: "parquet" });
    expect(allOf(await readWhole(files({ path: directory, format: "parquet", schema: of }).source))).toEqual(rows);
  }));

test("more rows than a row group", () =>
  inDirectory(async (directory) => {
    const of = schema({ id: int53() });
    const rows = Array.from({ length: 120_000 }, (_, id) => ({ id }));
    const path = await written(directory, of, rows, { format: "parquet" });
    expect(await duck(`SELECT count(*)::INT, count(DISTINCT id)::INT, sum(id)::VARCHAR FROM '${path}'`)).toEqual([
      [120_000, 120_000, String((119_999 * 120_000) / 2)],
    ]);
    expect(allOf(await readWhole(files({ path, format: "parquet", schema: of }).source)).length).toBe(120_000);
  }));

test("CSV has a header unless it is not wanted, and quotes what it must", () =>
  inDirectory(async (directory) => {
    const of = schema({ id: int32().from("the id"), name: string().nullable() });
    const rows = [
      { id: 1, name: "a;b" },
      { id: 2, name: null },
      { id: 3, name: "" },
      { id: 4, name: "NULL" },
    ];
    const csv = { delimiter: ";", nullText: "NULL" };
    expect(await readFile(await written(join(directory, "a"), of, rows, { format: "csv", csv }), "utf8")).toBe(
      'the id;name\n1;"a;b"\n2;NULL\n3;""\n4;"NULL"\n',
    );
    expect(
      await readFile(await written(join(directory, "b"), of, rows.slice(0, 1), { format: "csv", csv: { header: false } }), "utf8"),
    ).toBe("1,a;b\n");
    const single = schema({ v: string().nullable() });
    const path = await written(join(directory, "c"), single, [{ v: null }, { v: "x" }], { format: "csv" });
    expect(allOf(await readWhole(files({ path, format: "csv", schema: single }).source))).toEqual([{ v: "" }, { v: "x" }]);
  }));
