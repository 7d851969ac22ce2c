// CSV against a plain writer of it, and against what DuckDB reads from the same file.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Decimal } from "../../../core/schema/decimal.ts";
import {
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  float64,
  int32,
  int53,
  int64,
  int8,
  list,
  string,
  timestamp,
} from "../../../core/schema/field.ts";
import { type Schema, schema } from "../../../core/schema/schema.ts";
import { files } from "../index.ts";
import { allOf, inDirectory, readWhole } from "../source/files-fixture.suite.ts";
import { plainInstantMs } from "./csv-instant.ts";
import type { CsvOptions } from "./csv-record.ts";

const texts = schema({ a: string().nullable(), b: string(), c: string().optional() });

test("any texts that a writer quotes as needed come back", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.csv");
    const text = fc
      .array(fc.constantFrom("a", '"', ",", ";", "\n", "\r\n", " ", "\u00e9", "\u{1F600}", "0"), { maxLength: 8 })
      .map((parts) => parts.join(""));
    const cases = fc.record({
      rows: fc.array(fc.tuple(text, text, text, fc.boolean()), { minLength: 1, maxLength: 12 }),
      delimiter: fc.constantFrom(",", ";", "\t"),
      lineEnd: fc.constantFrom("\n", "\r\n"),
      endsWithLineEnd: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, delimiter, lineEnd, endsWithLineEnd }) => {
        const quoted = (value: string, always: boolean): string =>
          always || value === "" || /["\r\n,;\t]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
        const records = rows.map(([a, b, c, always]) => [a, b, c].map((value) => quoted(value, always)).join(delimiter));
        await writeFile(path, [`a${delimiter}"b"${delimiter}c`, ...records].join(lineEnd) + (endsWithLineEnd ? lineEnd : ""));
        const result = await readWhole(files({ path, format: "csv", schema: texts, csv: { delimiter } }).source, 5);
        expect(result.bad).toEqual([]);
        expect(allOf(result)).toEqual(rows.map(([a, b, c]) => ({ a, b, c })));
      }),
      { numRuns: 300 },
    );
  }));

test("numbers, instants and nulls are what DuckDB reads", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.csv");
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    await connection.run(`COPY (SELECT i::INT AS n, (i - 50) * 9007199254740993 AS large, i / 7 AS ratio, exp(i * 5 - 200) AS wide, (i * 1.25)::DECIMAL(9, 2) AS money,
      i % 2 = 0 AS flag, CASE WHEN i % 5 = 0 THEN NULL ELSE 'a "quoted", ' || i END AS text, DATE '2020-01-01' + i::INT AS day,
      TIMESTAMP '2020-01-01 10:20:30.5' + to_milliseconds(i) AS "at", 1577836800000 + i AS epoch FROM range(100) t(i)) TO '${path}' (HEADER)`);
    const of = schema({
      n: int32(),
      large: int64(),
      ratio: float64(),
      wide: float64(),
      money: decimal(9, 2),
      flag: boolean(),
      text: string().nullable(),
      day: date(),
      at: timestamp(),
      epoch: timestamp(),
    });
    const result = await readWhole(files({ path, format: "csv", schema: of }).source, 33);
    expect(result.bad).toEqual([]);
    const expected =
      await connection.runAndReadAll(`SELECT n::DOUBLE, large::VARCHAR, ratio::DOUBLE, wide::DOUBLE, money::VARCHAR, flag, text, (day - DATE '1970-01-01')::INT,
      epoch_ms("at")::DOUBLE, epoch::DOUBLE FROM read_csv('${path}', types={'money': 'DECIMAL(9,2)', 'large': 'BIGINT', 'at': 'TIMESTAMP'})`);
    const rows = allOf(result) as { large: bigint; money: Decimal }[];
    const flat = rows.map((row) => Object.values({ ...row, large: row.large.toString(), money: row.money.toString() }));
    expect(flat).toEqual(expected.getRowsJS());
    connection.closeSync();
    instance.closeSync();
  }));

test("plain instants are those of Date, and nothing else is one", () => {
  const instant = (text: string): number => plainInstantMs(Buffer.from(`..${text}..`), 2, 2 + text.length);
  const dates = fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true });
  fc.assert(
    fc.property(
      dates,
      fc.constantFrom("T", " "),
      fc.constantFrom("Z", ""),
      fc.integer({ min: 0, max: 3 }),
      (date, between, zone, places) => {
        const [seconds = "", fraction = ""] = date.toISOString().slice(0, -1).split(".");
        const text = seconds.replace("T", between) + (places === 0 ? "" : `.${fraction.slice(0, places)}`);
        expect(instant(text + zone)).toBe(Date.parse(`${text.replace(" ", "T")}Z`));
      },
    ),
    { numRuns: 2000 },
  );
  const others = [
    "2021-02-29 00:00:00",
    "2024-02-29 24:00:00",
    "2024-13-01 00:00:00",
    "2024-00-01 00:00:00",
    "2024-01-32 00:00:00",
    "0000-01-01 00:00:00",
  ];
  for (const text of [
    ...others,
    "2024-01-01 00:60:00",
    "2024-01-01 00:00:60",
    "2024-01-01 00:00:00.",
    "2024-01-01 00:00:00.1234",
    "2024-01-01",
    "2024-01-01T00:00:00+01",
  ]) {
    expect(instant(text), text).toBe(Number.NaN);
  }
  expect(instant("2024-02-29 23:59:59.5Z")).toBe(Date.UTC(2024, 1, 29, 23, 59, 59, 500));
});

async function read(content: string, of: Schema<unknown>, csv: CsvOptions = {}): Promise<unknown[][]> {
  return inDirectory(async (directory) => {
    await writeFile(join(directory, "x.csv"), content);
    const result = await readWhole(files({ path: directory, format: "csv", schema: of, csv }).source);
    return [allOf(result), result.bad.map(({ code, position, value }) => [code, position, Buffer.from(value ?? []).toString()])];
  });
}

test("columns are found by name in any order; others are left out; those that are not there stand for no value", async () => {
  const of = schema({
    id: int32().from("ID"),
    level: int8().default(3),
    none: string().nullable(),
    gone: int32().optional(),
    old: string().alias("former"),
  });
  const [rows] = await read("former,unused,ID\nx,y,1\n,,2\n", of);
  expect(rows).toEqual([
    { id: 1, level: 3, none: null, gone: undefined, old: "x" },
    { id: 2, level: 3, none: null, gone: undefined, old: "" },
  ]);
});

test("without a header columns are the fields in order; the null text is null where it is not quoted", async () => {
  const of = schema({ id: int32(), name: string().nullable() });
  const [rows] = await read('1,NULL\n2,"NULL"\n3,\n4,""\n', of, { header: false, nullText: "NULL" });
  expect(rows).toEqual([
    { id: 1, name: null },
    { id: 2, name: "NULL" },
    { id: 3, name: null },
    { id: 4, name: "" },
  ]);
});

test("bad records are told with their place and left out, and do not leak into the row that takes their place", async () => {
  const of = schema({
    n: int32().nullable(),
    s: string().nullable(),
    color: enumeration("red", "blue").nullable(),
    l: list(int53()).nullable(),
  });
  const lines = [
    "n,s,color,l",
    "1,a,red,[1]",
    "x,,,",
    "2,b",
    "3,c,red,[3],5",
    '4,"d"x,red,',
    "5,e,green,",
    "6,f,red,[",
    "7,g,blue,[7]",
    ",,,",
    '8,"h',
  ];
  const [rows, bad] = await read(lines.join("\n"), of);
  expect(rows).toEqual([
    { n: 1, s: "a", color: "red", l: [1] },
    { n: 7, s: "g", color: "blue", l: [7] },
    { n: null, s: null, color: null, l: null },
  ]);
  const place = (index: number): number => lines.slice(0, index).join("\n").length + 1;
  const misfit = (index: number): unknown[] => ["RECORD_MISFIT", place(index), lines[index]];
  const broken = (index: number): unknown[] => ["RECORD_UNPARSABLE", place(index), lines[index]];
  expect(bad).toEqual([misfit(2), broken(3), broken(4), broken(5), misfit(6), misfit(7), broken(10)]);
});

test("values of every kind that are none are refused", async () => {
  const cases: readonly (readonly [string, Schema<unknown>, unknown])[] = [
    ["128", schema({ v: int8() }), undefined],
    ["-128", schema({ v: int8() }), -128],
    ["1.0", schema({ v: int32() }), undefined],
    ["9007199254740992", schema({ v: int53() }), undefined],
    ["9223372036854775807", schema({ v: int64() }), 2n ** 63n - 1n],
    ["9223372036854775808", schema({ v: int64() }), undefined],
    ["0x10", schema({ v: float64() }), undefined],
    [" 1", schema({ v: float64() }), undefined],
    ["-Infinity", schema({ v: float64() }), -Infinity],
    ["1e3", schema({ v: float64() }), 1000],
    ["yes", schema({ v: boolean() }), undefined],
    ["TRUE", schema({ v: boolean() }), true],
    ["1.005", schema({ v: decimal(9, 2) }), undefined],
    ["2020-02-30", schema({ v: date() }), undefined],
    ["2020-03-01", schema({ v: date() }), 18_322],
    ["2020-01-01T00:00:00+01:00", schema({ v: timestamp() }), Date.UTC(2019, 11, 31, 23)],
    ["2020-01-01", schema({ v: timestamp() }), Date.UTC(2020, 0, 1)],
    ["noon", schema({ v: timestamp() }), undefined],
    ["AQI=", schema({ v: bytes() }), Uint8Array.of(1, 2)],
  ];
  for (const [text, of, value] of cases) {
    const [rows, bad] = await read(`v\n${text}\n`, of);
    if (value === undefined) expect([rows, (bad as unknown[][])[0]?.[0]], text).toEqual([[], "RECORD_MISFIT"]);
    else expect([(rows as { v: unknown }[])[0]?.v, bad], text).toEqual([value, []]);
  }
});
