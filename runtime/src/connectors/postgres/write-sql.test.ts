// What the Postgres sink says to the server, and how values are written for it.
import { expect, test } from "vitest";
import { bytes, date, decimal, int64, list, string, timestamp } from "../../core/schema/field.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { insertSql, quoteTable } from "./write-sql.ts";
import { textOf } from "./text-values.ts";

const columns = [
  { name: "word", type: "text" },
  { name: "n", type: "bigint" },
];

test("rows are added in their order, or replace those with their key", () => {
  expect(insertSql("words", columns, [])).toBe(
    'INSERT INTO "words" ("word", "n") SELECT c0::text, c1::bigint FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS r(c0, c1, position) ORDER BY position',
  );
  expect(insertSql("s.words", columns, ["word"])).toMatch(/DISTINCT ON \(c0\).*ON CONFLICT \("word"\) DO UPDATE SET "n" = excluded."n"$/);
  expect(insertSql("words", columns, ["word", "n"])).toMatch(/ON CONFLICT \("word", "n"\) DO NOTHING$/);
});

test("names are quoted, whatever is in them", () => {
  expect(quoteTable('a"b.c')).toBe('"a""b"."c"');
});

test("values are written exactly", () => {
  expect(textOf(int64().spec, 2n ** 63n - 1n)).toBe("9223372036854775807");
  expect(textOf(decimal(10, 2).spec, new Decimal(-105n, 2))).toBe("-1.05");
  expect(textOf(timestamp().spec, 1_700_000_000_123)).toBe("2023-11-14T22:13:20.123000Z");
  expect(textOf(timestamp().spec, -1)).toBe("1969-12-31T23:59:59.999000Z");
  expect(textOf(bytes().spec, Uint8Array.of(1, 255))).toBe("\\x01ff");
  expect(textOf(list(int64()).spec, [1n, 2n])).toBe('["1","2"]');
  expect(textOf(date().spec, 0)).toBe("1970-01-01");
  expect(textOf(string().nullable().spec, null)).toBeNull();
});
