// Keys of batches: equal keys have equal bytes and hashes however they came, and come back from their bytes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { murmur3 } from "../../base/murmur3.ts";
import { Batch, Rows } from "../batch/batch.ts";
import { rowView } from "../batch/row-view.ts";
import { rowWriter } from "../batch/rows-builder.ts";
import { boolean, float64, int32, int53, int64, string } from "../schema/field.ts";
import { Schema, schema } from "../schema/schema.ts";
import { KeyBatch, KeyReader, readKeyInto } from "./key-batch.ts";
import { keyLayout } from "./key-layout.ts";

const wide = schema({ other: int32(), i: int53(), b: int64(), s: string(), f: float64(), flag: boolean(), n: string().nullable() });
const row = fc.record({
  other: fc.integer(),
  i: fc.maxSafeInteger(),
  b: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  s: fc.string({ unit: "binary" }),
  f: fc.double(),
  flag: fc.boolean(),
  n: fc.option(fc.string()),
});
const keys = [["i"], ["b"], ["s"], ["f"], ["n"], ["i", "s"], ["n", "flag", "b"], ["s", "n", "f", "i"]];

function fill(values: readonly object[]): Rows {
  const rows = new Rows(wide, values.length);
  rows.ready.fill(1);
  for (const [index, value] of values.entries()) rowWriter(wide)(rows, index, value);
  rows.size = values.length;
  return rows;
}

function bytesOf(batch: KeyBatch, k: number): Buffer {
  const writer = new ByteWriter();
  batch.writeKey(k, writer);
  return writer.copy();
}

describe.each(keys.map((names) => ({ names })))("a key of $names", ({ names }) => {
  const layout = keyLayout(wide, names);
  const pick = (value: object): object => Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));

  test("hashes its bytes, and comes back from them", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 10 }), (values) => {
        const read = new KeyReader(layout).read(new Batch(fill(values)));
        const target = new Rows(new Schema(layout.schema.spec), values.length);
        target.ready.fill(1);
        const view = rowView(target.schema as Schema<object>);
        const targets = names.map((_, index) => index);
        for (const [k, value] of values.entries()) {
          const bytes = bytesOf(read, k);
          expect(read.hashes[k]).toBe(murmur3(bytes, 0, bytes.length));
          readKeyInto(layout, bytes, 0, bytes.length, target, k, targets);
          view.point(target, k);
          // -0 and 0 are one key.
          const expected = pick(value);
          if ("f" in expected && expected.f === 0) expected.f = 0;
          expect({ ...view }).toEqual(expected);
          const again = new KeyBatch(layout).setFromBytes(bytes, 0, bytes.length);
          expect(again.hashes[0]).toBe(read.hashes[k]);
          expect(bytesOf(again, 0)).toEqual(bytes);
        }
      }),
    );
  });

  test("has the same bytes for equal keys only", () => {
    fc.assert(
      fc.property(row, row, (a, b) => {
        const read = new KeyReader(layout).read(new Batch(fill([a, b, { ...a, other: b.other }])));
        expect(bytesOf(read, 2)).toEqual(bytesOf(read, 0));
        const equal = names.every((name) => {
          const [x, y] = [a[name as keyof typeof a], b[name as keyof typeof b]];
          return x === y || (Number.isNaN(x) && Number.isNaN(y));
        });
        expect(bytesOf(read, 1).equals(bytesOf(read, 0))).toBe(equal);
      }),
    );
  });
});

test("text keys hash the same from byte ranges and from strings", () => {
  const layout = keyLayout(wide, ["s"]);
  const values = ["", "a", "zürich", "日本", "x".repeat(100)];
  const strings = fill(values.map((s) => ({ other: 0, i: 0, b: 0n, s, f: 0, flag: false, n: null })));
  const ranges = fill(values.map(() => ({ other: 0, i: 0, b: 0n, s: "", f: 0, flag: false, n: null })));
  const column = ranges.column(wide.field("s").index);
  column.bytes = Buffer.from(values.join(""));
  let at = 0;
  for (const [index, value] of values.entries()) {
    column.starts[index] = at;
    at += Buffer.byteLength(value);
    column.ends[index] = at;
  }
  const fromStrings = [...new KeyReader(layout).read(new Batch(strings)).hashes.subarray(0, values.length)];
  const fromRanges = [...new KeyReader(layout).read(new Batch(ranges)).hashes.subarray(0, values.length)];
  expect(fromRanges).toEqual(fromStrings);
});
