// Parquet files that DuckDB wrote, read back: every type against the values that DuckDB itself prints.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { rowToJson } from "../../../core/codec/json-value.ts";
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
import { type Schema, schema } from "../../../core/schema/schema.ts";
import { sourceContract } from "../../contract/index.ts";
import { files } from "../index.ts";
import { allOf, inDirectory, readWhole } from "../source/files-fixture.suite.ts";

async function duck(sql: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const everything = `SELECT
  i::INT AS n, i % 3 = 0 AS flag, (i % 100)::TINYINT AS tiny, i::SMALLINT AS small, (i::BIGINT % 1000 * 9007199254740993)::BIGINT AS large, i * 7 AS safe,
  (i / 3)::FLOAT AS single, i / 7 AS double, (i * 1.25)::DECIMAL(9, 2) AS money, (i * 12345678901234567890.5)::DECIMAL(38, 4) AS huge,
  'text ' || i || ' \u00e9' AS text, ['red', 'green', 'blue'][i % 3 + 1] AS color, encode('bytes' || i) AS raw, DATE '2020-02-27' + i::INT AS day,
  TIMESTAMP_MS '2020-01-01 00:00:00.123' + to_milliseconds(i) AS ms, TIMESTAMP '1969-12-31 23:59:59.999999' + to_microseconds(i) AS us,
  TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS ns, TIMESTAMPTZ '2021-01-01 00:00:00+02' AS zoned,
  [i, NULL, i + 1] AS numbers, {'a': i, 'b': 'x' || i} AS pair, MAP {'k' || i: i, 'other': NULL} AS entries, [['p', 'q'], []] AS nested
  FROM range(5000) t(i)`;

const everySchema = schema({
  n: int32(),
  flag: boolean(),
  tiny: int8(),
  small: int16(),
  large: int64(),
  safe: int53(),
  single: float32(),
  double: float64(),
  money: decimal(9, 2),
  huge: decimal(38, 4),
  text: string(),
  color: enumeration("red", "green", "blue"),
  raw: bytes(),
  day: date(),
  ms: timestamp({ text: "iso" }),
  us: timestamp({ unit: "us", text: "iso" }),
  ns: timestampNanos(),
  zoned: timestamp({ text: "iso" }),
  numbers: list(int53().nullable()),
  pair: struct({ a: int53(), b: string() }),
  entries: mapOf(int53().nullable()),
  nested: list(list(string())),
});

// The same rows as JSON in this project's forms, by DuckDB.
const everyJson = `SELECT to_json({
  n: n, flag: flag, tiny: tiny, small: small, large: CASE WHEN abs(large) > 9007199254740991 THEN to_json(large::VARCHAR) ELSE to_json(large) END,
  safe: safe, single: single, double: double, money: money::VARCHAR, huge: huge::VARCHAR, text: text, color: color, raw: base64(raw), day: day::VARCHAR,
  ms: strftime(ms, '%Y-%m-%dT%H:%M:%S.%gZ'), us: strftime(us, '%Y-%m-%dT%H:%M:%S.%fZ'), ns: epoch_ns(ns)::VARCHAR,
  zoned: strftime(zoned AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ'), numbers: numbers, pair: pair, entries: entries, nested: nested })`;

const asJson = (of: Schema<unknown>, rows: readonly unknown[]): unknown[] =>
  rows.map((row) => rowToJson(of.spec, row as Record<string, unknown>));

for (const codec of ["snappy", "zstd", "gzip", "brotli", "uncompressed"]) {
  test(`every type is read as DuckDB reads it, ${codec}`, () =>
    inDirectory(async (directory) => {
      const path = join(directory, "x.parquet");
      await duck(`COPY (${everything}) TO '${path}' (FORMAT parquet, CODEC '${codec}', ROW_GROUP_SIZE 2048)`);
      const { source } = files({ path, format: "parquet", schema: everySchema });
      const result = await readWhole(source, 700);
      expect(result.bad).toEqual([]);
      const expected = (await duck(`${everyJson} FROM '${path}'`)).map(([text]) => JSON.parse(text as string) as unknown);
      const got = asJson(everySchema, allOf(result)) as Record<string, unknown>[];
      expect(got.length).toBe(5000);
      // A single-precision number has other digits as a double than DuckDB prints.
      const rounded = (row: unknown): unknown => ({ ...(row as object), single: Math.fround((row as { single: number }).single) });
      expect(got).toEqual(expected.map(rounded));
    }));
}

const small = schema({ id: int53(), name: string().nullable() });

sourceContract(test, {
  name: "parquet",
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), "millrace-parquet-"));
    const records = new Map<string, readonly string[]>();
    for (const [split, file] of ["a.parquet", "b.parquet"].entries()) {
      const path = join(directory, file);
      const select = `SELECT i AS id, CASE WHEN i % 4 = 1 THEN NULL ELSE 'name ' || i END AS name FROM range(${6 + split}) t(i)`;
      await duck(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
      records.set(
        path,
        (await duck(`SELECT '{"id":' || id || ',"name":' || coalesce('"' || name || '"', 'null') || '}' FROM '${path}'`)).map(
          ([text]) => text as string,
        ),
      );
    }
    const { source } = files({ path: directory, format: "parquet", schema: small });
    return { source, records, dispose: () => rm(directory, { recursive: true }) };
  },
});

test("reading goes on within and between row groups", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.parquet");
    await duck(`COPY (SELECT i AS id, 'n' || i AS name FROM range(10000) t(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
    const { source } = files({ path, format: "parquet", schema: small });
    for (const at of [0, 1, 2047, 2048, 2049, 6000, 9999, 10_000]) {
      const reader = await source.openReader({
        jobName: "t",
        uid: "u",
        subtask: 0,
        clock: { now: () => 0, after: () => () => {} },
        log: console as never,
      });
      reader.assign([{ id: path, position: { at } }]);
      const ids: number[] = [];
      while (reader.takeFinished().length === 0) {
        const batch = reader.poll(900);
        if (batch === null) await reader.ready();
        else if (batch.kind === "rows") {
          expect(batch.firstPosition).toBe(at + ids.length);
          ids.push(...(batch.rows.column(0).numbers.subarray(0, batch.rows.size) as unknown as number[]));
        }
      }
      expect(ids).toEqual(Array.from({ length: 10_000 - at }, (_, i) => at + i));
      await reader.close();
    }
  }));

test("missing columns are null, missing or their default; aliases and outside names are found", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.parquet");
    await duck(`COPY (SELECT 1 AS old_id, 2 AS "weird name") TO '${path}' (FORMAT parquet)`);
    const wanted = schema({
      id: int32().alias("old_id"),
      weird: int32().from("weird name"),
      none: string().nullable(),
      gone: string().optional(),
      level: int32().default(7),
    });
    const result = await readWhole(files({ path, format: "parquet", schema: wanted }).source);
    expect(allOf(result)).toEqual([{ id: 1, weird: 2, none: null, gone: undefined, level: 7 }]);
  }));

test("values that do not fit are bad records, columns that cannot fit stop the job", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.parquet");
    await duck(`COPY (SELECT * FROM (VALUES (1, 'a', TIMESTAMP '2020-01-01 00:00:00.001'), (300, 'b', NULL),
      (3, NULL, TIMESTAMP '2020-01-01 00:00:00'), (4, 'd', TIMESTAMP '2020-01-01 00:00:00.000001'), (5, 'e', NULL)) v(n, s, "at"))
      TO '${path}' (FORMAT parquet)`);
    const wanted = schema({ n: int8(), s: string(), at: timestamp().nullable() });
    const result = await readWhole(files({ path, format: "parquet", schema: wanted }).source);
    expect(allOf(result)).toEqual([
      { n: 1, s: "a", at: Date.UTC(2020, 0, 1) + 1 },
      { n: 5, s: "e", at: null },
    ]);
    expect(result.bad.map(({ code, position }) => [code, position])).toEqual([1, 2, 3].map((position) => ["RECORD_MISFIT", position]));
    const refused = async (of: Schema<unknown>): Promise<void> => {
      await expect(readWhole(files({ path, format: "parquet", schema: of }).source)).rejects.toMatchObject({ code: "FILES_SCHEMA_MISFIT" });
    };
    await refused(schema({ n: string() }));
    await refused(schema({ s: int32() }));
    await refused(schema({ at: int64() }));
    await refused(schema({ n: decimal(9, 2) }));
    await refused(schema({ n: list(int32()) }));
    await refused(schema({ absent: int32() }));
  }));

test("what is no whole Parquet file is FILES_CORRUPT", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "x.parquet");
    const read = (): Promise<unknown> => readWhole(files({ path, format: "parquet", schema: small }).source);
    await writeFile(path, "this is not Parquet");
    await expect(read()).rejects.toMatchObject({ code: "FILES_CORRUPT" });
    await writeFile(path, "");
    await expect(read()).rejects.toMatchObject({ code: "FILES_CORRUPT" });
    await duck(`COPY (SELECT i AS id, 'n' || i AS name FROM range(10000) t(i)) TO '${path}' (FORMAT parquet)`);
    await truncate(path, 5000);
    await expect(read()).rejects.toMatchObject({ code: "FILES_CORRUPT" });
  }));
