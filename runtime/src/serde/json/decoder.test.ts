// The JSON decoder: agreement with JSON.parse over random documents, and what it promises beyond that.
import { describe, expect, it } from "vitest";
import { runSeed } from "../../../../test/reference/random.ts";
import { Rows, noTime } from "../../core/batch/batch.ts";
import { any, boolean, bytes, decimal, float64, int32, int64, list, string, struct, timestamp } from "../../core/schema/field.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { JsonDecoder } from "./decoder.ts";
import { blockOf, checkDecoder, rowAt } from "./decoder-check.suite.ts";

interface Decoded {
  readonly rows: Rows;
  readonly selected: readonly number[];
  readonly bad: readonly (readonly [number, string, string])[];
}

function decode(decoder: JsonDecoder, shape: Schema, documents: readonly string[], rows = new Rows(shape, 4)): Decoded {
  const selection = new Int32Array(documents.length);
  const bad: [number, string, string][] = [];
  const records = blockOf(
    documents.map((document) => Buffer.from(document)),
    1,
    500,
  );
  const count = decoder.decode(records, rows, selection, (index, code, reason) => bad.push([index, code, reason]));
  return { rows, selected: [...selection.subarray(0, count)], bad };
}

const bid = schema({
  auction: int64(),
  price: float64(),
  channel: string(),
  at: timestamp(),
  ok: boolean().optional(),
  note: string().nullable().default("none"),
});

describe("JSON decoder", () => {
  it("agrees with JSON.parse over random schemas and documents", () => {
    const counts = checkDecoder(6000, runSeed(), false);
    // A generator that made nothing but one kind of document would prove little.
    expect(Math.min(counts.good, counts.misfits, counts.unparsable)).toBeGreaterThan(100);
  });

  it("accepts what JSON.parse accepts, for every short text over JSON's own characters", () => {
    const pieces = ["0", "1", "-", ".", "e", "+", '"', "\\", "[", "]", "{", "}", ",", ":", " ", "null", "\u001f", "u"];
    const texts = pieces.flatMap((a) => pieces.flatMap((b) => pieces.flatMap((c) => pieces.map((d) => a + b + c + d))));
    const anything = schema({ a: any(), b: int32() });
    const unknown = schema({ b: int32() });
    for (const shape of [anything, unknown]) {
      const documents = texts.map((text) => `{"a":${text},"b":1}`);
      const { selected } = decode(new JsonDecoder(shape), shape, documents);
      const accepted = documents.flatMap((document, index) => {
        try {
          const parsed = JSON.parse(document) as Record<string, unknown>;
          return parsed["b"] === 1 && "a" in parsed ? [index] : [];
        } catch {
          return [];
        }
      });
      expect(accepted.length).toBeGreaterThan(300);
      expect(selected).toEqual(accepted);
    }
  });

  it("keeps 64-bit integers exact", () => {
    const shape = schema({ id: int64() });
    const values = [0n, -1n, 9007199254740991n, 9007199254740992n, 9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n), 1234567890123456789n];
    const { rows } = decode(
      new JsonDecoder(shape),
      shape,
      values.map((value) => `{"id":${value}}`),
    );
    expect(values.map((_, row) => rowAt(rows, row))).toEqual(values.map((id) => ({ id })));
  });

  it("says which field does not fit, and why", () => {
    const shape = schema({ a: int32(), b: list(struct({ x: decimal(4, 1) })).optional() });
    const { bad, selected } = decode(new JsonDecoder(shape), shape, [
      '{"a":1}',
      '{"a":"1"}',
      '{"a":3000000000}',
      '{"a":1.5}',
      '{"b":[]}',
      '{"a":null}',
      '{"a":1,"b":[{"x":1},{"x":1.25}]}',
      "[1]",
      '{"a":1',
      "\u00ff",
    ]);
    expect(selected).toEqual([0]);
    expect(bad.map(([index, code, reason]) => [index, code, reason.replace(/JSON: .*/, "JSON")])).toEqual([
      [1, "RECORD_MISFIT", 'field "a" is "1", not an integer'],
      [2, "RECORD_MISFIT", 'field "a" is 3000000000, out of range'],
      [3, "RECORD_MISFIT", 'field "a" is 1.5, not an integer'],
      [4, "RECORD_MISFIT", 'field "a" is missing'],
      [5, "RECORD_MISFIT", 'field "a" is null'],
      [6, "RECORD_MISFIT", 'field "b[1].x" is 1.25, with more than 1 digits behind the point'],
      [7, "RECORD_MISFIT", "the record is an array, not an object"],
      [8, "RECORD_UNPARSABLE", "the record is not JSON"],
      [9, "RECORD_UNPARSABLE", "the record is not JSON"],
    ]);
  });

  it("refuses a record without a value", () => {
    const records = { ...blockOf([Buffer.from("{}")]), valueStart: Int32Array.of(-1) };
    const shape = schema({});
    const bad: string[] = [];
    expect(
      new JsonDecoder(shape).decode(records, new Rows(shape, 1), new Int32Array(1), (_index, code, reason) =>
        bad.push(`${code} ${reason}`),
      ),
    ).toBe(0);
    expect(bad).toEqual(["RECORD_UNPARSABLE the record has no value"]);
  });

  it("reads records in any order of keys, with and without optional ones, after thousands of another shape", () => {
    const decoder = new JsonDecoder(bid);
    const documents = Array.from({ length: 3000 }, (_, i) =>
      i % 7 === 0
        ? `{"at":${i},"channel":"c${i}","auction":${i},"price":-0.5,"extra":{"n":[${i}]}}`
        : i % 11 === 0
          ? `{"auction":${i},"price":${i / 4},"channel":"é\\n","at":${i},"note":null}`
          : `{"auction":${i},"price":${i / 4},"channel":"c${i}","at":${i},"ok":true}`,
    );
    for (let round = 0; round < 5; round++) {
      const { rows, selected } = decode(decoder, bid, documents);
      expect(selected.length).toBe(documents.length);
      documents.forEach((document, row) => {
        const { extra: _extra, ...parsed } = JSON.parse(document) as Record<string, unknown>;
        expect(rowAt(rows, row)).toEqual({ note: "none", ...parsed, auction: BigInt(row) });
      });
    }
  });

  it("forgets what a shape left at a row when another one has it", () => {
    const shape = schema({ a: int32(), note: string().default("none"), n: int64().default(2n ** 62n), o: int32().optional(), b: int32() });
    const decoder = new JsonDecoder(shape);
    // The first shape finds `note`, `n` and `o` missing in records of the second before it gives up at `b`.
    const first = '{"a":1,"note":"x","n":1,"o":3,"b":2}';
    const second = '{"a":1,"z":0,"note":"y","n":5,"o":4,"b":2}';
    for (const document of [first, second]) decode(decoder, shape, Array<string>(20).fill(document));
    const { rows } = decode(decoder, shape, [first, second, first, second]);
    expect([0, 1, 2, 3].map((row) => rowAt(rows, row))).toEqual([
      { a: 1, note: "x", n: 1n, o: 3, b: 2 },
      { a: 1, note: "y", n: 5n, o: 4, b: 2 },
      { a: 1, note: "x", n: 1n, o: 3, b: 2 },
      { a: 1, note: "y", n: 5n, o: 4, b: 2 },
    ]);
  });

  it("takes record timestamps, and none where there is none", () => {
    const records = { ...blockOf([Buffer.from("{}"), Buffer.from("{}")]), timestampMs: Float64Array.of(12, Number.NaN) };
    const shape = schema({});
    const rows = new Rows(shape, 1);
    new JsonDecoder(shape).decode(records, rows, new Int32Array(2), () => {});
    expect([...rows.times.subarray(0, 2)]).toEqual([12, noTime]);
    expect(rows.origin).toBe(records);
  });

  it("makes objects when they are asked for, or at once for wanted fields", () => {
    const shape = schema({ tags: list(string()), raw: bytes(), price: decimal(5, 2) });
    const decoder = new JsonDecoder(shape);
    decoder.want([2]);
    const document = '{"tags":["a\\u0041"],"raw":"AP8=","price":1.5}';
    const { rows } = decode(decoder, shape, [document, "{}", document]);
    expect([...rows.ready]).toEqual([0, 0, 1]);
    expect(rows.column(0).objects).toEqual([["aA"], undefined, ["aA"]]);
    // What was read is wanted from then on.
    const again = decode(decoder, shape, [document]);
    expect([...again.rows.ready]).toEqual([1, 0, 1]);
    expect(rowAt(again.rows, 0)).toEqual({ tags: ["aA"], raw: Uint8Array.of(0, 255), price: new Decimal(150n, 2) });
  });

  it("gives each row its own default objects", () => {
    const shape = schema({ tags: list(string()).default(["x"]) });
    const { rows } = decode(new JsonDecoder(shape), shape, ["{}", "{}"]);
    const [first, second] = rows.column(0).objects;
    expect(first).toEqual(["x"]);
    expect(first).not.toBe(second);
  });

  it("refuses two fields that read one key", () => {
    expect(() => new JsonDecoder(schema({ a: int32(), b: int32().alias("a") }))).toThrow(
      /field "b": reads the key "a", and so does field "a"/,
    );
  });

  it("takes 1,000 levels of nesting and no more", () => {
    const shape = schema({ a: int32() });
    const nested = (levels: number): string => `{"a":1,"x":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    const { bad, selected } = decode(new JsonDecoder(shape), shape, [nested(20), nested(40), nested(1000), nested(1001), nested(50_000)]);
    expect(selected).toEqual([0, 1, 2]);
    expect(bad.map(([, , reason]) => reason)).toEqual(Array(2).fill("the record is nested deeper than 1,000 levels"));
  });
});
