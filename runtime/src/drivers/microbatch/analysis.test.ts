// The analysis of queries: types of computed columns, SQL as operations, functions of one's own, and every refusal with its code.
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { values } from "../../connectors/memory/index.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { decimal, int32, int53, int64, list, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import { analyze } from "../../dataframe/analysis/analyzer.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import {
  avg,
  call,
  coalesce,
  col,
  collectList,
  count,
  expr,
  lit,
  max,
  maxBy,
  percentile,
  sum,
  udf,
  when,
  window,
} from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { runBatchQuery } from "./batch-query.ts";
import { Kernel } from "./kernel/kernel.ts";

const Sale = schema({
  id: int53(),
  big: int64(),
  shop: string(),
  price: decimal(10, 2),
  pieces: int32(),
  at: timestamp(),
  tags: list(string()),
  note: string().nullable(),
});
type Sale = RowType<typeof Sale>;
const sale = (id: number, more: Partial<Sale> = {}): Sale => ({
  id,
  big: BigInt(id),
  shop: "north",
  price: new Decimal(1050n, 2),
  pieces: 2,
  at: id * 1000,
  tags: [],
  note: null,
  ...more,
});

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open();
});
afterAll(() => kernel.close());

function sales(...rows: readonly Sale[]): { readonly session: Session; readonly frame: DataFrame<Sale> } {
  const session = new Session();
  return { session, frame: session.read(values(Sale, rows), { name: "sales" }) };
}

async function collect<Row>(frame: DataFrame<Row>): Promise<readonly Row[]> {
  let rows: readonly Row[] = [];
  await runBatchQuery(
    frame.write({
      kind: "foreachBatch",
      fn: (batch) => {
        rows = batch.rows();
      },
    }),
  );
  return rows;
}

const types = async (frame: DataFrame<unknown>): Promise<Record<string, string>> => {
  const { schema: made } = await analyze(frame.relation, kernel);
  return Object.fromEntries(made.fields.map(({ name, spec }) => [name, `${spec.type.kind}${spec.nullable ? "?" : ""}`]));
};

describe("types", () => {
  test("of columns follow from what they are computed of", async () => {
    const { frame } = sales();
    const made = frame.select((c) => ({
      id: c.id,
      next: c.id.plus(1),
      big: c.big.plus(1),
      worth: c.price.times(3),
      half: c.id.dividedBy(2),
      dear: c.price.gt(100),
      known: c.note.isNotNull(),
      note: c.note,
      said: coalesce(c.note, "nothing"),
      later: c.at.plusInterval("1 hour"),
      word: when(c.pieces.gt(1), "many").otherwise("one"),
      maybe: when(c.pieces.gt(1), "many"),
      first: call<string>("list_extract", c.tags, 1),
    }));
    expect(await types(made)).toEqual({
      id: "int64",
      next: "int64",
      big: "int64",
      worth: "decimal",
      half: "float64?",
      dear: "boolean",
      known: "boolean",
      note: "string?",
      said: "string",
      later: "timestamp",
      word: "string",
      maybe: "string?",
      first: "string?",
    });
  });

  test("of TypeScript follow too", () => {
    const { frame } = sales();
    const made = frame
      .groupBy((c) => ({ w: window(c.at, "1 h"), shop: c.shop }))
      .agg((c) => ({ n: count(), best: max(c.price), mean: avg(c.pieces) }));
    expectTypeOf<typeof made extends DataFrame<infer Row> ? Row : never>().toEqualTypeOf<{
      readonly shop: string;
      readonly w_start: number;
      readonly w_end: number;
      readonly n: number;
      readonly best: Decimal;
      readonly mean: number;
    }>();
    // @ts-expect-error: there is no such column
    frame.select("nothing");
    // @ts-expect-error: a text is no condition
    frame.filter((c) => c.shop);
  });

  test("are exact: 64-bit integers and decimals are not rounded", async () => {
    const { frame } = sales(sale(1, { big: 2n ** 62n, price: new Decimal(1n, 2) }));
    const rows = await collect(frame.select((c) => ({ big: c.big.plus(1), price: c.price.times(3) })));
    expect(rows[0]?.big).toBe(2n ** 62n + 1n);
    expect(String(rows[0]?.price)).toBe("0.03");
  });
});

describe("operations", () => {
  test("explode gives a row per element, and with outer keeps rows without any", async () => {
    const { frame } = sales(sale(1, { tags: ["x", "y"] }), sale(2));
    expect(
      await collect(
        frame
          .select("id", "tags")
          .explode("tag", (c) => c.tags)
          .select("id", "tag"),
      ),
    ).toEqual([
      { id: 1, tag: "x" },
      { id: 1, tag: "y" },
    ]);
    const outer = await collect(
      frame
        .select("id", "tags")
        .explode("tag", (c) => c.tags, { outer: true })
        .select("id", "tag"),
    );
    expect(outer).toContainEqual({ id: 2, tag: null });
  });

  test("pivot gives a column per value", async () => {
    const { frame } = sales(sale(1), sale(2, { shop: "south" }), sale(3, { shop: "south", pieces: 5 }));
    const rows = await collect(
      frame
        .groupBy("note")
        .pivot("shop", ["north", "south"])
        .agg((c) => sum(c.pieces)),
    );
    expect(rows).toEqual([{ note: null, north: 2, south: 7 }]);
  });

  test("withColumn, rename, drop, distinct, union, orderBy and limit do what they say", async () => {
    const { frame } = sales(sale(3), sale(1), sale(2));
    const small = frame.select("id", "shop");
    const rows = await collect(
      small
        .union(small)
        .distinct()
        .withColumn("twice", (c) => c.id.times(2))
        .withColumnRenamed("shop", "place")
        .drop("place")
        .orderBy({ by: "id", descending: true })
        .limit(2),
    );
    expect(rows).toEqual([
      { id: 3, twice: 6 },
      { id: 2, twice: 4 },
    ]);
  });

  test("functions of one's own see whole columns", async () => {
    const shout = udf("shout", string(), (shops: readonly string[], ids: readonly number[]) =>
      shops.map((shop, i) => `${shop.toUpperCase()} ${ids[i]}`),
    );
    const { frame } = sales(sale(1), sale(2, { shop: "south" }));
    const rows = await collect(frame.filter((c) => c.id.gt(1)).select((c) => ({ said: shout(c.shop, c.id.plus(10)) })));
    expect(rows).toEqual([{ said: "SOUTH 12" }]);
  });

  test("a function that returns too few results is refused", async () => {
    const short = udf("short", string(), (shops: readonly string[]) => shops.slice(1));
    const { frame } = sales(sale(1));
    await expect(collect(frame.select((c) => ({ said: short(c.shop) })))).rejects.toMatchObject({ code: "FUNCTION_FAILED" });
  });

  test("aggregates compute what they are called, and may be computed with", async () => {
    const { frame } = sales(sale(1, { pieces: 1 }), sale(2, { pieces: 3, note: "n" }));
    const rows = await collect(
      frame.agg((c) => ({
        n: count(),
        notes: count(c.note),
        mean: sum(c.pieces).dividedBy(count()),
        latest: maxBy(c.id, c.at),
        half: percentile(c.pieces, 0),
        all: collectList(c.pieces),
        some: count().filter(c.pieces.gt(2)),
      })),
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ n: 2, notes: 1, mean: 2, latest: 2, some: 1 });
    expect([...(rows[0]?.all ?? [])].sort()).toEqual([1, 3]);
    expect(rows[0]?.half).toBeCloseTo(1, 1);
  });

  test("an aggregate without groups over nothing has one row", async () => {
    expect(await collect(sales().frame.agg(() => ({ n: count() })))).toEqual([{ n: 0 }]);
  });
});

describe("SQL", () => {
  test("over views does what the operations do", async () => {
    const { session, frame } = sales(sale(1), sale(2, { shop: "south", pieces: 7 }), sale(3, { shop: "south" }));
    session.createView("sales", frame);
    session.createView(
      "shops",
      session.read(values(schema({ shop: string(), city: string() }), [{ shop: "south", city: "Ulm" }]), { name: "shops" }),
    );
    const rows = await collect(
      session.sql(
        "SELECT s.shop, h.city, sum(s.pieces) AS pieces, count(DISTINCT s.id) AS sales FROM sales s JOIN shops h ON s.shop = h.shop WHERE s.id IN (1, 2, 3) GROUP BY s.shop, h.city ORDER BY pieces DESC LIMIT 5",
      ),
    );
    expect(rows).toEqual([{ shop: "south", city: "Ulm", pieces: 9, sales: 2 }]);
  });

  test("groups by windows", async () => {
    const { session, frame } = sales(sale(1), sale(2), sale(11));
    session.createView("sales", frame);
    const rows = await collect(
      session.sql("SELECT window_start, count(*) AS n FROM sales GROUP BY window(\"at\", '10 seconds') ORDER BY window_start"),
    );
    expect(rows).toEqual([
      { window_start: 0, n: 2 },
      { window_start: 10_000, n: 1 },
    ]);
  });

  test("in selectExpr and filter knows lambdas, cases, casts and stars", async () => {
    const { frame } = sales(sale(1, { tags: ["a", "b"] }));
    const rows = await collect(
      frame
        .filter("pieces BETWEEN 1 AND 3 AND note IS NULL")
        .selectExpr(
          "id",
          "CASE WHEN pieces > 1 THEN 'many' ELSE 'one' END AS word",
          "list_transform(tags, t -> upper(t)) AS tags",
          "CAST(pieces AS VARCHAR) || '!' AS said",
        ),
    );
    expect(rows).toEqual([{ id: 1, word: "many", tags: ["A", "B"], said: "2!" }]);
  });
});

describe("a query that cannot be", () => {
  const { session, frame } = sales();
  session.createView("sales", frame);
  const cases: readonly (readonly [string, string, () => DataFrame<unknown>])[] = [
    [
      "an unknown column",
      "DATAFRAME_COLUMN_UNKNOWN",
      () => frame.select((c) => ({ x: (c as unknown as Record<string, typeof c.id>)["nothing"] as typeof c.id })),
    ],
    ["an unknown column in SQL", "DATAFRAME_COLUMN_UNKNOWN", () => frame.filter("nothing > 1")],
    ["a column twice", "DATAFRAME_COLUMN_TAKEN", () => frame.selectExpr("id", "pieces AS id")],
    ["columns whose names differ in case only", "DATAFRAME_COLUMN_TAKEN", () => frame.selectExpr("id", "pieces AS ID")],
    ["types that do not fit", "DATAFRAME_SQL", () => frame.filter((c) => (c.tags as unknown as typeof c.id).plus(1).gt(3))],
    ["an unknown function", "DATAFRAME_SQL", () => frame.select(() => ({ x: call("no_such_function", lit(1)) }))],
    ["SQL that does not parse", "DATAFRAME_SQL", () => frame.filter("id >")],
    [
      "a column that is not grouped",
      "DATAFRAME_NOT_GROUPED",
      () => frame.groupBy("shop").agg((c) => ({ n: count(), price: c.price as never })),
    ],
    ["an aggregate in filter", "DATAFRAME_MISPLACED", () => frame.filter(() => count().gt(1))],
    ["an aggregate in select", "DATAFRAME_MISPLACED", () => frame.select(() => ({ n: count() }))],
    ["an aggregate of an aggregate", "DATAFRAME_MISPLACED", () => frame.agg(() => ({ n: sum(count()) }))],
    ["a window in select", "DATAFRAME_MISPLACED", () => frame.select((c) => ({ w: window(c.at, "1 s") }))],
    ["a window over a number", "DATAFRAME_TYPE", () => frame.groupBy((c) => ({ w: window(c.id, "1 s") })).agg(() => ({ n: count() }))],
    ["a watermark over a text", "DATAFRAME_TYPE", () => frame.withWatermark("shop", "1 s")],
    ["no aggregate", "AGGREGATE_NONE", () => frame.groupBy("shop").agg(() => ({}))],
    ["a sum of texts", "AGGREGATE_FIELD_TYPE", () => frame.agg((c) => ({ s: sum(c.shop) }))],
    ["sides of a union that differ", "DATAFRAME_UNION", () => frame.select("id").union(frame.select("shop") as never)],
    ["a join with a column on both sides", "DATAFRAME_COLUMN_TAKEN", () => frame.join(frame, ["id"])],
    ["an unknown view", "DATAFRAME_VIEW_UNKNOWN", () => session.sql("SELECT * FROM nothing")],
    ["a query in an expression", "DATAFRAME_SQL_UNSUPPORTED", () => frame.filter("id > (SELECT 1)")],
    ["a window function", "DATAFRAME_SQL_UNSUPPORTED", () => session.sql("SELECT row_number() OVER () AS n FROM sales")],
    ["an explode of a text", "DATAFRAME_TYPE", () => frame.explode("x", () => expr<readonly string[]>("shop"))],
    ["a column of another frame", "DATAFRAME_COLUMN_UNKNOWN", () => frame.select(() => ({ x: col("elsewhere") }))],
  ];

  test.each(cases)("with %s is refused with %s", async (_what, code, make) => {
    await expect(analyze(make().relation, kernel)).rejects.toMatchObject({ code });
  });
});
