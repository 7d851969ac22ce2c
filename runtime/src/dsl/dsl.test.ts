// The DSL: what it refuses, what the plan says, and small jobs of every kind run to their end.
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { type MemorySource, memorySink, memorySource } from "../connectors/memory/index.ts";
import { state } from "../core/handles/declarations.ts";
import { int32, int53, int64, string, timestamp } from "../core/schema/field.ts";
import { type RowType, schema } from "../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../core/time/watermark-strategy.ts";
import { avg, count, max, sum } from "../operators/aggregate/call.ts";
import { planFingerprint, planMermaid, planOf } from "../plan/plan.ts";
import { type JobHarness, testJob } from "../testing/job-harness.ts";
import type { Flow } from "./flow.ts";
import { job } from "./job.ts";
import type { Stream } from "./stream.ts";
import { cumulate, session, sliding, tumbling } from "./windows.ts";

const Bid = schema({ auction: int32(), bidder: string(), price: int64(), at: timestamp() });
type Bid = RowType<typeof Bid>;
const Auction = schema({ id: int32(), seller: string(), at: timestamp() });

const bids = (flow: Flow): Stream<Bid> => flow.source("bids", memorySource(Bid), { time: "at", watermarks: boundedOutOfOrderness(0) });
const build = (describe: (flow: Flow) => void): ReturnType<ReturnType<typeof job>["build"]> => job("test", describe).build();

let harness: JobHarness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

async function start(describe: (flow: Flow) => void, parallelism = 2): Promise<JobHarness> {
  harness = await testJob(job("test", describe), { parallelism });
  return harness;
}

const bid = (bidder: string, price: number, at: number, auction = 1): object => ({ auction, bidder, price: BigInt(price), at });

describe("a plan is refused", () => {
  test.each<[string, string, (flow: Flow) => void]>([
    ["PLAN_EMPTY", "without a source", () => {}],
    ["PLAN_DANGLING", "with an operator that nobody reads", (flow) => void bids(flow).filter(() => true)],
    ["PLAN_UID_TWICE", "with one uid for two", (flow) => (bids(flow).to("out", memorySink()), bids(flow).to("out", memorySink()))],
    ["PLAN_UID_INVALID", "with a uid that is no name", (flow) => bids(flow).to("a b", memorySink())],
    [
      "PLAN_SINK_MODE",
      "when updates meet a sink of inserts",
      (flow) =>
        bids(flow)
          .keyBy("bidder")
          .aggregate({ n: count() })
          .to("out", memorySink({ accepts: "append" })),
    ],
    [
      "PLAN_SINK_MODE",
      "when upserts meet a sink that needs retractions",
      (flow) => bids(flow).keyBy("bidder").aggregate({ n: count() }, { upsert: true }).to("out", memorySink()),
    ],
    [
      "PLAN_JOIN_UPSERT",
      "when upserts meet a join that needs retractions",
      (flow) => {
        const counts = bids(flow).keyBy("bidder").aggregate({ n: count() }, { upsert: true }).keyBy("bidder");
        counts.join(counts, { rightPrefix: "r_" }).to("out", memorySink());
      },
    ],
    ["PARAMETER_MISSING", "without a parameter it needs", (flow) => void flow.parameter("topic")],
    [
      "WINDOW_INVALID",
      "with a window of no size",
      (flow) => bids(flow).keyBy("bidder").window(tumbling(0)).aggregate({ n: count() }).to("out", memorySink()),
    ],
  ])("%s %s", (code, _why, describe) => {
    expect(() => build(describe)).toThrowError(expect.objectContaining({ code }));
  });

  test("JOB_NAME for a name that no cluster would take", () => {
    expect(() => job("My Job", () => {})).toThrowError(expect.objectContaining({ code: "PLAN_JOB_NAME" }));
  });
});

describe("the compiler", () => {
  test("knows the rows of every step", () => {
    build((flow) => {
      const windowed = bids(flow)
        .keyBy("bidder")
        .window(tumbling("1 s"))
        .aggregate({ n: count(), total: sum("price"), mean: avg("price") });
      expectTypeOf<typeof windowed extends Stream<infer Row, infer _Sides> ? Row : never>().toExtend<{
        readonly bidder: string;
        readonly windowStart: number;
        readonly windowEnd: number;
        readonly n: number;
        readonly total: bigint;
        readonly mean: number;
      }>();
      windowed.side("late").to("late", memorySink());
      windowed.to("out", memorySink());
    });
  });

  test("refuses what does not fit", () => {
    const check = (flow: Flow): void => {
      const stream = bids(flow);
      const keyed = stream.keyBy("bidder");
      // @ts-expect-error a field that is not there
      stream.keyBy("seller");
      // @ts-expect-error a sum over text
      keyed.aggregate({ total: sum("bidder") });
      // @ts-expect-error an aggregate over a field that is not there
      keyed.aggregate({ best: max("prize") });
      // @ts-expect-error an aggregate without a key
      stream.aggregate({ n: count() });
      // @ts-expect-error event time from text
      flow.source("x", memorySource(Bid), { time: "bidder" });
      // @ts-expect-error a row that lacks a field of its schema
      stream.map(Auction, (row) => ({ id: row.auction, at: row.at }));
      const split = stream.split({ dear: (row) => row.price > 5n });
      // @ts-expect-error a side output that is not there
      split.side("cheap");
    };
    expectTypeOf(check).toBeFunction();
  });
});

describe("a plan", () => {
  const describeJob = (flow: Flow): void => {
    const split = bids(flow).split({ dear: (row) => row.price > 5n }, { uid: "by-price" });
    split.keyBy("bidder").window(sliding("10 s", "5 s")).aggregate({ n: count() }, { uid: "counts" }).to("out", memorySink());
    split.side("dear").to("dear", memorySink());
  };

  test("is plain JSON, the same for the same job", () => {
    const plan = planOf(build(describeJob));
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(planFingerprint(planOf(build(describeJob)))).toBe(planFingerprint(plan));
    expect(planFingerprint(planOf(build((flow) => bids(flow).to("out", memorySink()))))).not.toBe(planFingerprint(plan));
    expect(plan.nodes.map((node) => node.uid)).toEqual(["bids", "by-price", "counts", "out", "dear"]);
  });

  test("is drawn with every operator and every edge", () => {
    const drawing = planMermaid(planOf(build(describeJob)));
    for (const text of ["flowchart LR", "by-price", "counts", "hash bidder", "dear"]) expect(drawing).toContain(text);
    expect(drawing.match(/-->/g)).toHaveLength(4);
  });
});

describe("a job", () => {
  test("maps, filters, computes fields, renames, splits and unites", async () => {
    const Named = schema({ who: string(), cents: int53() });
    const t = await start((flow) => {
      const all = bids(flow).withFields({ cents: int53() }, (row) => ({ cents: Number(row.price) * 100 }));
      const dear = all.filter((row) => row.cents >= 500);
      const split = all.split({ cheap: (row) => row.cents < 500 });
      split.to("rest", memorySink());
      dear
        .union(split.side("cheap"))
        .map(Named, (row) => ({ who: row.bidder, cents: row.cents }))
        .rename({ name: "who" })
        .to("out", memorySink());
    }, 1);
    t.push("bids", bid("a", 1, 0), bid("b", 5, 1)).end();
    await t.run();
    expect([...t.rows("out")].sort((a, b) => Number(a["cents"]) - Number(b["cents"]))).toEqual([
      { name: "a", cents: 100 },
      { name: "b", cents: 500 },
    ]);
    expect(t.rows("rest").map((row) => row["bidder"])).toEqual(["b"]);
  });

  test.each([
    [
      "tumbling",
      tumbling("10 s"),
      [
        [0, 2],
        [10_000, 1],
        [20_000, 1],
      ],
    ],
    [
      "cumulate",
      cumulate("20 s", "10 s"),
      [
        [0, 2],
        [0, 3],
        [20_000, 1],
        [20_000, 1],
      ],
    ],
    [
      "session",
      session("5 s"),
      [
        [1000, 2],
        [12_000, 1],
        [21_000, 1],
      ],
    ],
  ] as const)("counts in %s windows", async (_name, window, expected) => {
    const t = await start((flow) => {
      bids(flow).keyBy("bidder").window(window).aggregate({ n: count() }, { uid: "w" }).to("out", memorySink());
    });
    t.push("bids", bid("a", 1, 1000), bid("a", 1, 5000), bid("a", 1, 12_000), bid("a", 1, 21_000)).end();
    await t.run();
    expect(t.rows("out").map((row) => [row["windowStart"], row["n"]])).toEqual(expected);
  });

  test("with watermarks by row counts a row as late by the rows before it alone", async () => {
    const t = await start((flow) => {
      const counted = flow
        .source("bids", memorySource(Bid), { time: "at", watermarks: boundedOutOfOrderness(0, { everyRow: true }) })
        .keyBy("bidder")
        .window(tumbling("10 s"))
        .aggregate({ n: count() }, { uid: "w" });
      counted.to("out", memorySink());
      counted.side("late").to("late", memorySink());
    });
    // All in one batch: with watermarks by batch none of them would be late. The third closes the first window.
    t.push(
      "bids",
      bid("a", 1, 1000),
      bid("a", 2, 9999),
      bid("a", 3, 10_000),
      bid("a", 4, 9000),
      bid("a", 5, 12_000),
      bid("a", 6, 9500),
    ).end();
    await t.run();
    expect(t.rows("out").map((row) => [row["windowStart"], row["n"]])).toEqual([
      [0, 2],
      [10_000, 2],
    ]);
    expect(t.rows("late").map((row) => row["price"])).toEqual([4n, 6n]);
  });

  test("joins by interval, by window and with a table", async () => {
    const t = await start((flow) => {
      const auctions = flow.source("auctions", memorySource(Auction), { time: "at", watermarks: boundedOutOfOrderness(0) });
      const byAuction = bids(flow).keyBy("auction");
      byAuction
        .joinInterval(auctions.keyBy("id"), { lower: -10_000, upper: 0, rightPrefix: "auction_" })
        .select("bidder", "auction_seller")
        .to("interval", memorySink());
      byAuction
        .joinTable(auctions.keyBy("id"), { type: "left", rightPrefix: "auction_" })
        .select("bidder", "auction_seller")
        .to("table", memorySink());
      byAuction
        .joinWindow(auctions.keyBy("id"), tumbling("10 s"), { rightPrefix: "auction_" })
        .select("bidder", "auction_seller")
        .to("window", memorySink());
    });
    t.push("auctions", { id: 1, seller: "s1", at: 1000 }, { id: 1, seller: "s2", at: 6000 });
    t.push("bids", bid("early", 1, 500), bid("first", 1, 2000), bid("second", 1, 7000), bid("late", 1, 14_000)).end();
    await t.run();
    const pairs = (sink: string): readonly string[] =>
      t
        .rows(sink)
        .map((row) => `${row["bidder"]} ${row["auction_seller"]}`)
        .sort();
    expect(pairs("interval")).toEqual(["first s1", "late s2", "second s1", "second s2"]);
    expect(pairs("table")).toEqual(["early null", "first s1", "late s2", "second s2"]);
    expect(pairs("window")).toEqual(["early s1", "early s2", "first s1", "first s2", "second s1", "second s2"]);
  });

  test("keeps the best two, the first of each, and a table of the latest", async () => {
    const t = await start((flow) => {
      const keyed = bids(flow).keyBy("auction");
      keyed.topN(2, { orderBy: [{ field: "price", descending: true }], uid: "best" }).to("top", memorySink());
      keyed.dedupe({ uid: "firsts" }).to("first", memorySink());
      bids2(flow).keyBy("bidder").toTable({ uid: "table-of" }).to("latest", memorySink());
    });
    t.push("bids", bid("a", 3, 1), bid("b", 9, 2), bid("c", 5, 3))
      .push("more", bid("a", 3, 1), bid("a", 4, 2))
      .end();
    await t.run();
    const after = (sink: string): readonly unknown[] => {
      const rows: string[] = [];
      for (const { row, kind } of t.take(sink)) {
        const text = `${row["bidder"]} ${row["price"]}`;
        if (kind === 0 || kind === 2) rows.push(text);
        else rows.splice(rows.indexOf(text), 1);
      }
      return rows.sort();
    };
    expect(after("top")).toEqual(["b 9", "c 5"]);
    expect(after("first")).toEqual(["a 3"]);
    expect(after("latest")).toEqual(["a 4"]);
  });

  test("processes rows with state and timers per key", async () => {
    const Gap = schema({ bidder: string(), seen: int32(), since: timestamp() });
    const t = await start((flow) => {
      bids(flow)
        .keyBy("bidder")
        .process(
          {
            onRow(row, { state: { seen }, timers }) {
              seen.set((seen.get() ?? 0) + 1);
              timers.onEventTime(row.at + 5000);
            },
            onTimer({ timeMs }, { emit, key, state: { seen } }) {
              emit({ bidder: key.bidder, seen: seen.get() ?? 0, since: timeMs - 5000 });
            },
          },
          { uid: "gaps", output: Gap, state: { seen: state.value(int32()) } },
        )
        .to("out", memorySink());
    });
    t.push("bids", bid("a", 1, 1000), bid("b", 1, 2000), bid("b", 1, 7500));
    await t.run();
    expect(t.rows("out")).toEqual([
      { bidder: "a", seen: 1, since: 1000 },
      { bidder: "b", seen: 2, since: 2000 },
    ]);
    t.push("bids", bid("a", 1, 8000)).end();
    await t.run();
    expect(t.rows("out").toSorted((x, y) => Number(x["since"]) - Number(y["since"]))).toEqual([
      { bidder: "b", seen: 2, since: 7500 },
      { bidder: "a", seen: 2, since: 8000 },
    ]);
  });

  test("asks an asynchronous function and keeps the order", async () => {
    const t = await start((flow) => {
      bids(flow)
        .asyncMap(schema({ who: string() }), async (row) => ({ who: await Promise.resolve(row.bidder.toUpperCase()) }), { uid: "ask" })
        .to("out", memorySink());
    }, 1);
    t.push("bids", bid("a", 1, 0), bid("b", 1, 1), bid("c", 1, 2)).end();
    await t.run();
    expect(t.rows("out")).toEqual([{ who: "A" }, { who: "B" }, { who: "C" }]);
  });

  test("lets rules that are broadcast decide about rows", async () => {
    const Rule = schema({ name: string(), least: int64(), at: timestamp() });
    const t = await start((flow) => {
      const rules = flow.source("rules", memorySource(Rule), { time: "at" });
      bids(flow)
        .broadcast(
          rules,
          {
            onRow: (row, context, { rules: known }) => {
              for (const [name, least] of known.entries()) if (row.price >= least) context.emit({ name, bidder: row.bidder });
            },
            onBroadcast: (rule, { rules: known }) => known.set(rule.name, rule.least),
          },
          { uid: "alerts", output: schema({ name: string(), bidder: string() }), maps: { rules: state.map(string(), int64()) } },
        )
        .to("out", memorySink());
    });
    t.push("rules", { name: "dear", least: 5n, at: 0 });
    await t.run();
    t.push("bids", bid("a", 4, 1), bid("b", 9, 2));
    await t.run();
    expect(t.rows("out")).toEqual([{ name: "dear", bidder: "b" }]);
  });

  test("sends rows whose function throws to the dead letters and goes on", async () => {
    const t = await start((flow) => {
      bids(flow)
        .map(
          Bid,
          (row) => {
            if (row.price === 13n) throw new Error("unlucky");
            return row;
          },
          { uid: "check" },
        )
        .to("out", memorySink());
    }, 1);
    t.push("bids", bid("a", 1, 0), bid("b", 13, 1), bid("c", 2, 2)).end();
    await t.run();
    expect(t.rows("out").map((row) => row["bidder"])).toEqual(["a", "c"]);
    expect(t.deadLetters()).toMatchObject([{ uid: "check", code: "FUNCTION_FAILED" }]);
    expect(t.deadLetters()[0]?.reason).toContain("unlucky");
  });
});

const bids2 = (flow: Flow): Stream<Bid> => flow.source("more", memorySource(Bid), { time: "at", watermarks: boundedOutOfOrderness(0) });
expectTypeOf<MemorySource<Bid>>().toHaveProperty("source");
