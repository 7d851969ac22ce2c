// The parts that operators share: the order of rows, which row is meant, copies that are kept, keys as text, shells over columns.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import {
  any,
  boolean,
  bytes,
  decimal,
  enumeration,
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
import { type Schema, schema } from "../../core/schema/schema.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { checkJoinKeys } from "../join/join-keys.ts";
import { joinFields } from "../join/join-fields.ts";
import { toTable } from "../table/to-table.ts";
import { seed } from "../../../../test/reference/operator-scenarios.ts";
import { KeyText } from "./key-text.ts";
import { RowIdentity } from "./row-identity.ts";
import { RowOrder } from "./row-order.ts";
import { allColumns, RowShells } from "./row-shell.ts";
import { storedSchema } from "./stored-rows.ts";

function rowsOf(of: Schema, values: readonly unknown[]): Rows {
  const rows = new Rows(of, Math.max(1, values.length));
  const write = rowWriter(of);
  values.forEach((value, row) => write(rows, row, value));
  rows.ready.fill(1);
  rows.size = values.length;
  return rows;
}

describe("the order of rows", () => {
  const sorted = (
    field: Parameters<typeof schema>[0][string],
    values: readonly unknown[],
    order: { descending?: boolean; nulls?: "first" | "last" } = {},
  ): unknown[] => {
    const of = schema({ x: field });
    const rows = rowsOf(
      of,
      values.map((x) => ({ x })),
    );
    const by = new RowOrder(of, [{ field: "x", ...order }]);
    return values
      .map((_, row) => row)
      .toSorted((a, b) => by.compare(rows, a, rows, b))
      .map((row) => values[row]);
  };

  test("of each type, nulls and NaN included", () => {
    expect(sorted(float64(), [3, Number.NaN, -1, Infinity, -0, -Infinity])).toEqual([-Infinity, -1, -0, 3, Infinity, Number.NaN]);
    expect(sorted(boolean(), [true, false, true])).toEqual([false, true, true]);
    expect(sorted(string(), ["b", "", "😀", "\uffee", "a", "B", "aa"])).toEqual(["", "B", "a", "aa", "b", "\uffee", "😀"]);
    expect(sorted(enumeration("z", "a"), ["z", "a"])).toEqual(["a", "z"]);
    const decimals = ["2", "-10.5", "10"].map((text) => Decimal.parse(text).rescale(1));
    expect(sorted(decimal(5, 1), decimals).map(String)).toEqual(["-10.5", "2.0", "10.0"]);
    const buffers = [Uint8Array.of(200), Uint8Array.of(1, 2), Uint8Array.of(1)];
    expect(sorted(bytes(), buffers)).toEqual([buffers[2], buffers[1], buffers[0]]);
    expect(sorted(int53().nullable(), [2, null, 1])).toEqual([1, 2, null]);
    expect(sorted(int53().nullable(), [2, null, 1], { descending: true })).toEqual([null, 2, 1]);
    expect(sorted(int53().nullable(), [2, null, 1], { nulls: "first" })).toEqual([null, 1, 2]);
    expect(sorted(int53().nullable(), [2, null, 1], { descending: true, nulls: "last" })).toEqual([2, 1, null]);
  });

  test(`of 64-bit integers is exact (seed ${seed})`, () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).chain((n) => fc.constantFrom(n, n / 1000n, 2n ** 62n + (n % 3n))),
          { maxLength: 20 },
        ),
        (values) => {
          expect(sorted(int64(), values)).toEqual(values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
        },
      ),
      { numRuns: 100, seed },
    );
  });

  test("several fields, the first first; a list has none", () => {
    const of = schema({ a: int32(), b: string(), c: list(int32()) });
    const rows = rowsOf(of, [
      { a: 1, b: "x", c: [] },
      { a: 2, b: "a", c: [] },
      { a: 1, b: "y", c: [] },
    ]);
    const by = new RowOrder(of, [{ field: "a", descending: true }, { field: "b" }]);
    expect([0, 1, 2].toSorted((a, b) => by.compare(rows, a, rows, b))).toEqual([1, 0, 2]);
    expect(() => new RowOrder(of, [{ field: "c" }])).toThrow(expect.objectContaining({ code: "ORDER_UNSUPPORTED" }));
  });
});

test("a row is the one that is meant when all of its values are equal, nested ones too", () => {
  const of = schema({ a: int53().nullable(), s: struct({ x: string(), l: list(int64()) }), m: mapOf(float64()), y: any() });
  const row = { a: 1, s: { x: "é", l: [1n, 2n ** 60n] }, m: new Map([["k", 1.5]]), y: { z: [1, null] } };
  const others = [
    { ...row },
    { ...row, a: null },
    { ...row, s: { x: "é", l: [1n, 2n ** 60n + 1n] } },
    { ...row, m: new Map([["k", 2]]) },
    { ...row, y: { z: [1] } },
  ];
  const rows = rowsOf(of, others);
  const identity = new RowIdentity(of);
  identity.look(rowsOf(of, [row]), 0);
  const hash = identity.hash();
  expect(others.map((_, at) => identity.matches(rows, at))).toEqual([true, false, false, false, false]);
  identity.look(rows, 0);
  expect(identity.hash()).toBe(hash);
});

test("what is kept does not change when the buffer that it came from is used again", async () => {
  const of = schema({ k: string(), raw: bytes() });
  const harness = await OperatorHarness.open({ factory: toTable({ input: of, key: keyLayout(of, ["k"]) }), inputs: [of] });
  const buffer = Uint8Array.of(1, 2, 3);
  harness.push([{ row: { k: "a", raw: buffer } }]);
  buffer.fill(9);
  harness.push([{ row: { k: "a", raw: Uint8Array.of(4) } }]);
  const before = harness.take().find(({ kind }) => kind === "updateBefore");
  expect(before?.row["raw"]).toEqual(Uint8Array.of(1, 2, 3));
  await harness.close();
});

test(`keys as text are equal where the keys are (seed ${seed})`, () => {
  const of = schema({ i: int64(), s: string(), n: int32().nullable() });
  const value = fc.record({
    i: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    s: fc.string({ unit: "grapheme", maxLength: 4 }),
    n: fc.option(fc.integer(), { nil: null }),
  });
  fc.assert(
    fc.property(fc.array(value, { minLength: 2, maxLength: 6 }), (values) => {
      const batch = new Batch(rowsOf(of, [...values, ...values]));
      for (const fields of [["i"], ["s"], ["n"], ["s", "n"], ["i", "s"]]) {
        const keys = new KeyText(keyLayout(of, fields));
        keys.read(batch);
        const texts = [...values, ...values].map(
          (row, k) => [keys.at(k), fields.map((field) => String(row[field as "s"])).join("\u0000")] as const,
        );
        for (const [textA, a] of texts) for (const [textB, b] of texts) expect(textA === textB).toBe(a === b);
      }
    }),
    { numRuns: 60, seed },
  );
  const [text, integer] = [new KeyText(keyLayout(of, ["s"])), new KeyText(keyLayout(of, ["i"]))];
  const batch = new Batch(rowsOf(of, [{ i: -5n, s: "žluťoučký", n: 1 }]));
  text.read(batch);
  integer.read(batch);
  expect([text.at(0), integer.at(0)]).toEqual(["žluťoučký", "-5"]);
});

test("a view on a shell follows its source from batch to batch, between several sources too", () => {
  const of = schema({ a: int53(), b: string() });
  const shells = new RowShells(of, allColumns(of));
  const view = rowView(of);
  const [one, two] = [rowsOf(of, [{ a: 1, b: "x" }]), rowsOf(of, [{ a: 2, b: "y" }])];
  const read = (rows: Rows): unknown => {
    view.point(shells.over(rows), 0);
    return { ...view };
  };
  expect([read(one), read(two), read(one)]).toEqual([
    { a: 1, b: "x" },
    { a: 2, b: "y" },
    { a: 1, b: "x" },
  ]);
  one.reset();
  rowWriter(of)(one, 0, { a: 3, b: "z" });
  one.ready.fill(1);
  one.size = 1;
  expect(read(one)).toEqual({ a: 3, b: "z" });
});

test("notes beside a row's fields never take their names", () => {
  const of = schema({ $time: int53(), v: int53() });
  expect(storedSchema(of, { time: float64() }).fields.map((field) => field.name)).toEqual(["$time", "v", "$$time"]);
});

describe("the sides of a join", () => {
  const key = (field: Parameters<typeof schema>[0][string]): ReturnType<typeof keyLayout> => keyLayout(schema({ k: field }), ["k"]);
  const comparable = (a: Parameters<typeof schema>[0][string], b: Parameters<typeof schema>[0][string]): boolean => {
    try {
      checkJoinKeys(key(a), key(b));
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "JOIN_KEY_MISMATCH" });
      return false;
    }
  };

  test("have keys whose equal values have equal bytes", () => {
    expect(comparable(int32(), int64())).toBe(true);
    expect(comparable(string(), enumeration("a"))).toBe(true);
    expect(comparable(string(), string().nullable())).toBe(false);
    expect(comparable(int64(), string())).toBe(false);
    expect(comparable(int64(), float64())).toBe(false);
    expect(comparable(timestamp(), timestamp({ unit: "s" }))).toBe(false);
    expect(comparable(decimal(5, 1), decimal(9, 1))).toBe(true);
    expect(comparable(decimal(5, 1), decimal(5, 2))).toBe(false);
  });

  test("give all fields, nullable where the side may be absent; a name that is there twice is refused", () => {
    const left = schema({ k: string(), v: int53() });
    const right = schema({ k: string(), w: int53() });
    const { output, fields } = joinFields(left, right, "full", { leftPrefix: "l_", rightPrefix: "r_", window: { start: "s", end: "e" } });
    expect(output.fields.map(({ name, spec }) => [name, spec.nullable])).toEqual([
      ["l_k", true],
      ["l_v", true],
      ["r_k", true],
      ["r_w", true],
      ["s", false],
      ["e", false],
    ]);
    expect(fields.map(({ side, from, to }) => `${side}.${from}>${to}`)).toEqual([
      "left.k>l_k",
      "left.v>l_v",
      "right.k>r_k",
      "right.w>r_w",
      "window.start>s",
      "window.end>e",
    ]);
    expect(joinFields(left, right, "semi").output.fields.map(({ name }) => name)).toEqual(["k", "v"]);
    expect(() => joinFields(left, right, "inner")).toThrow(expect.objectContaining({ code: "JOIN_FIELD", subject: 'field "k"' }));
  });
});
