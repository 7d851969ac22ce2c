// Methods of streams beyond the everyday ones, as whole jobs: late sides and grace of joins, unique keys, references, history, functions.
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { type Random, randomCases } from "../../../test/reference/random.ts";
import { memorySink, memorySource } from "../connectors/memory/index.ts";
import { int32, list, string, timestamp } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { boundedOutOfOrderness, monotonic } from "../core/time/watermark-strategy.ts";
import { avg, count, countDistinct, max, sum } from "../operators/aggregate/call.ts";
import { type JobHarness, type TestOutput, testJob } from "../testing/job-harness.ts";
import type { Flow } from "./flow.ts";
import { job } from "./job.ts";
import type { Stream } from "./stream.ts";
import { cumulate, globalWindow, session, sliding, tumbling } from "./windows.ts";

const Order = schema({ id: int32(), customer: int32(), at: timestamp() });
type Order = { readonly id: number; readonly customer: number; readonly at: number };
const Customer = schema({ customer: int32(), country: string(), changed: timestamp() });
type Customer = { readonly customer: number; readonly country: string; readonly changed: number };

const exactly = boundedOutOfOrderness(0, { everyRow: true });
const orders = (flow: Flow): Stream<Order> => flow.source("orders", memorySource(Order), { time: "at", watermarks: exactly });
const customers = (flow: Flow): Stream<Customer> =>
  flow.source("customers", memorySource(Customer), { time: "changed", watermarks: exactly });

let harness: JobHarness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

/** What a changelog comes to, as sorted text; throws where a row is taken back that was not there. */
function table(changes: readonly TestOutput[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { row, kind } of changes) {
    const text = JSON.stringify(row);
    const left = (counts.get(text) ?? 0) + (kind === 1 || kind === 3 ? -1 : 1);
    if (left < 0) throw new Error(`${text} is taken back before it was given`);
    counts.set(text, left);
  }
  return [...counts].flatMap(([text, times]) => Array<string>(times).fill(text)).sort();
}

describe("joins", () => {
  test("a window join waits for its grace, and late rows of each side are side outputs", async () => {
    harness = await testJob(
      job("joins", (flow) => {
        const joined = orders(flow)
          .keyBy("customer")
          .joinWindow(customers(flow).keyBy("customer"), tumbling(100), { uid: "pairs", grace: 50, rightPrefix: "c_" });
        expectTypeOf(joined.side("lateLeft")).toEqualTypeOf<Stream<Order>>();
        expectTypeOf(joined.side("lateRight")).toEqualTypeOf<Stream<Customer>>();
        joined.to("out", memorySink());
        joined.side("lateLeft").to("late-orders", memorySink());
        joined.side("lateRight").to("late-customers", memorySink());
      }),
    );
    const t = harness;
    const customer = { customer: 1, country: "PT", changed: 20 };
    t.push("customers", customer, { ...customer, customer: 9, changed: 140 }).push("orders", { id: 1, customer: 1, at: 140 });
    await t.run();
    // The window [0, 100) waits until 149.
    t.push("orders", { id: 2, customer: 1, at: 30 });
    await t.run();
    expect(t.rows("out")).toEqual([]);
    t.push("orders", { id: 3, customer: 1, at: 160 }).push("customers", { ...customer, customer: 9, changed: 160 });
    await t.run();
    expect(t.rows("out")).toEqual([{ id: 2, customer: 1, at: 30, c_customer: 1, c_country: "PT", c_changed: 20 }]);
    t.push("orders", { id: 4, customer: 1, at: 31 }).push("customers", { ...customer, changed: 32 });
    await t.run();
    expect(t.rows("late-orders")).toEqual([{ id: 4, customer: 1, at: 31 }]);
    expect(t.rows("late-customers")).toEqual([{ ...customer, changed: 32 }]);
  });

  test("an interval join and a temporal join give late rows to side outputs", async () => {
    harness = await testJob(
      job("joins", (flow) => {
        const [left, right] = [orders(flow).keyBy("customer"), customers(flow).keyBy("customer")];
        const near = left.joinInterval(right, { uid: "near", lower: -10, upper: 10, rightPrefix: "c_" });
        near.to("near-out", memorySink());
        near.side("lateLeft").to("near-orders", memorySink());
        near.side("lateRight").to("near-customers", memorySink());
        const valid = left.joinTable(right, { uid: "valid", rightPrefix: "c_" });
        valid.to("valid-out", memorySink());
        valid.side("lateLeft").to("valid-orders", memorySink());
      }),
    );
    const t = harness;
    t.push("orders", { id: 1, customer: 1, at: 100 }).push("customers", { customer: 1, country: "PT", changed: 100 });
    await t.run();
    t.push("orders", { id: 2, customer: 1, at: 50 }).push("customers", { customer: 1, country: "ES", changed: 50 });
    await t.run();
    const late = [{ id: 2, customer: 1, at: 50 }];
    expect(t.rows("near-orders")).toEqual(late);
    expect(t.rows("valid-orders")).toEqual(late);
    expect(t.rows("near-customers")).toEqual([{ customer: 1, country: "ES", changed: 50 }]);
    expect(t.rows("near-out").map(({ id }) => id)).toEqual([1]);
  });

  test("a side that upserts joins by its unique key, and is refused where its rows could not be found", async () => {
    const build = (rightUnique?: readonly ("customer" | "orders")[]) =>
      job("joins", (flow) => {
        const counts = flow
          .source("counted", memorySource(Order), { time: "at", watermarks: monotonic() })
          .keyBy("customer")
          .aggregate({ orders: count() }, { uid: "counts", upsert: true });
        customers(flow)
          .keyBy("customer")
          .join(counts.keyBy("customer"), { uid: "join", rightPrefix: "n_", ...(rightUnique === undefined ? {} : { rightUnique }) })
          .select("country", "n_orders")
          .to("out", memorySink());
      });
    expect(() => build().build()).toThrowError(expect.objectContaining({ code: "PLAN_JOIN_UPSERT" }));
    expect(() => build(["orders"]).build()).toThrowError(expect.objectContaining({ code: "PLAN_JOIN_UPSERT" }));
    harness = await testJob(build(["customer"]));
    const t = harness;
    t.push("customers", { customer: 1, country: "PT", changed: 0 }, { customer: 2, country: "ES", changed: 0 });
    for (const [id, customer] of [1, 2, 1, 1].entries()) {
      t.push("counted", { id, customer, at: id });
      await t.run();
    }
    expect(table(t.take("out"))).toEqual(
      [
        { country: "ES", n_orders: 1 },
        { country: "PT", n_orders: 3 },
      ].map((row) => JSON.stringify(row)),
    );
  });

  test("references lead to the latest rows, whatever changes on either side and at any parallelism", async () => {
    await randomCases("reference joins", 25, async (random: Random) => {
      const type = random.int(0, 1) === 0 ? "inner" : "left";
      const t = await testJob(
        job("references", (flow) => {
          orders(flow)
            .keyBy("id")
            .toTable({ uid: "orders-table" })
            .keyBy("customer")
            .joinReference(customers(flow).keyBy("customer"), { uid: "refer", type, primary: ["id"], rightPrefix: "c_" })
            .select("id", "customer", "c_country")
            .to("out", memorySink());
        }),
        { parallelism: random.int(1, 4) },
      );
      try {
        const latestOrders = new Map<number, Order>();
        const latestCustomers = new Map<number, Customer>();
        const changes: TestOutput[] = [];
        for (let step = 0; step < 30; step++) {
          if (random.int(0, 2) > 0) {
            const order = { id: random.int(0, 5), customer: random.int(0, 4), at: step };
            latestOrders.set(order.id, order);
            t.push("orders", order);
          } else {
            const customer = { customer: random.int(0, 4), country: `c${random.int(0, 3)}`, changed: step };
            latestCustomers.set(customer.customer, customer);
            t.push("customers", customer);
          }
          if (random.int(0, 3) === 0) await t.run();
          changes.push(...t.take("out"));
        }
        await t.run();
        changes.push(...t.take("out"));
        const expected = [...latestOrders.values()].flatMap(({ id, customer }) => {
          const found = latestCustomers.get(customer);
          if (found === undefined && type === "inner") return [];
          return [JSON.stringify({ id, customer, c_country: found?.country ?? null })];
        });
        expect(table(changes)).toEqual(expected.sort());
      } finally {
        await t.close();
      }
    });
  });
});

describe("tables", () => {
  test("history gives each version its time, and a late change divides the version that it falls into", async () => {
    harness = await testJob(
      job("versions", (flow) => {
        const versions = flow
          .source("customers", memorySource(Customer), { time: "changed", watermarks: boundedOutOfOrderness(1000) })
          .keyBy("customer")
          .history({ uid: "versions", validFrom: "since" });
        const shown = versions.select("country", "since", "validTo");
        expectTypeOf(shown).toEqualTypeOf<
          Stream<Pick<Customer & { readonly since: number } & { readonly validTo: number | null }, "country" | "since" | "validTo">>
        >();
        shown.to("out", memorySink());
        versions.side("late").to("late", memorySink());
      }),
    );
    const t = harness;
    const version = (country: string, changed: number): object => ({ customer: 1, country, changed });
    t.push("customers", version("PT", 100), version("ES", 300), version("FR", 200));
    await t.run();
    expect(table(t.take("out"))).toEqual(
      [
        { country: "ES", since: 300, validTo: null },
        { country: "FR", since: 200, validTo: 300 },
        { country: "PT", since: 100, validTo: 200 },
      ].map((row) => JSON.stringify(row)),
    );
  });

  test("toStream makes rows of changes, all or those that were asked for", async () => {
    harness = await testJob(
      job("changes", (flow) => {
        const counts = orders(flow).keyBy("customer").aggregate({ orders: count() }, { uid: "counts" });
        const all = counts.toStream({ kind: "change" });
        all
          .filter((row) => {
            expectTypeOf(row.change).toEqualTypeOf<"insert" | "update-before" | "update-after" | "delete">();
            return true;
          })
          .to("all", memorySink({ accepts: "append" }));
        counts.toStream({ kinds: ["insert", "update-after"] }).to("latest", memorySink({ accepts: "append" }));
      }),
    );
    const t = harness;
    for (const id of [1, 2]) {
      t.push("orders", { id, customer: 7, at: id });
      await t.run();
    }
    expect(t.rows("all")).toEqual([
      { customer: 7, orders: 1, change: "insert" },
      { customer: 7, orders: 1, change: "update-before" },
      { customer: 7, orders: 2, change: "update-after" },
    ]);
    expect(t.take("latest").map(({ row, kind }) => [row["orders"], kind])).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });
});

describe("functions", () => {
  const Ids = schema({ customer: int32(), ids: list(int32()) });

  test("a window function sees all rows of its window, also of merged sessions; late rows are a side output", async () => {
    harness = await testJob(
      job("windows", (flow) => {
        const sessions = orders(flow)
          .keyBy("customer")
          .window(session(50))
          .process(({ key }, rows, emit) => emit({ customer: key.customer, ids: [...rows].map(({ id }) => id) }), {
            uid: "sessions",
            output: Ids,
          });
        sessions.to("out", memorySink());
        sessions.side("late").to("late", memorySink());
      }),
      { parallelism: 2 },
    );
    const t = harness;
    const order = (id: number, at: number): object => ({ id, customer: 1, at });
    t.push("orders", order(1, 100), order(2, 120), order(3, 400), order(4, 130));
    t.end();
    await t.run();
    expect(t.rows("out")).toEqual([
      { customer: 1, ids: [1, 2] },
      { customer: 1, ids: [3] },
    ]);
    expect(t.rows("late")).toEqual([order(4, 130)]);
  });

  test("a function over all rows keeps lists of its instance and hears of watermarks and the end", async () => {
    const Seen = schema({ id: int32() });
    harness = await testJob(
      job("instances", (flow) => {
        orders(flow)
          .process(
            {
              onRow: ({ id, at }, _context, { held }) => held.add({ id, at }),
              onWatermark(timeMs, { emit }, { held }) {
                for (const { id, at } of held) if (at <= timeMs) emit({ id });
                held.set([...held].filter(({ at }) => at > timeMs));
              },
              onEnd: ({ emit }) => emit({ id: -1 }),
            },
            {
              uid: "sorted",
              output: Seen,
              lists: { held: { type: schema({ id: int32(), at: timestamp() }), redistribution: "split" } },
            },
          )
          .to("out", memorySink());
      }),
    );
    const t = harness;
    t.push("orders", { id: 3, customer: 1, at: 100 }, { id: 1, customer: 1, at: 200 }, { id: 2, customer: 1, at: 300 });
    await t.run();
    expect(t.rows("out")).toEqual([{ id: 3 }, { id: 1 }]);
    await t.end().run();
    expect(t.rows("out")).toEqual([{ id: 2 }, { id: -1 }]);
  });
});

describe("localFirst", () => {
  const windows = { tumbling: tumbling(100), sliding: sliding(100, 40), cumulate: cumulate(100, 20) };
  const calls = { n: count(), total: sum("id"), best: max("id"), mean: avg("id"), customers: countDistinct("id") };

  test.each(["batch", "watermark"] as const)("(%s) gives what the aggregate alone gives, in windows and running", async (localFirst) => {
    await randomCases(`local aggregates ${localFirst}`, 12, async (random) => {
      const t = await testJob(
        job("local", (flow) => {
          const source = flow.source("orders", memorySource(Order), { time: "at", watermarks: boundedOutOfOrderness(30) });
          for (const [name, window] of Object.entries(windows)) {
            const keyed = source.keyBy("customer").window(window);
            keyed.aggregate(calls, { uid: `${name}-plain` }).to(`${name}-plain-out`, memorySink());
            keyed.aggregate(calls, { uid: `${name}-local`, localFirst }).to(`${name}-local-out`, memorySink());
          }
          const keyed = source.keyBy("customer");
          keyed.aggregate(calls, { uid: "running-plain" }).to("running-plain-out", memorySink());
          keyed.aggregate(calls, { uid: "running-local", localFirst }).to("running-local-out", memorySink());
        }),
        { parallelism: random.int(1, 3) },
      );
      try {
        const got = new Map<string, TestOutput[]>();
        const names = [...Object.keys(windows), "running"].flatMap((name) => [`${name}-plain-out`, `${name}-local-out`]);
        for (let batch = 0, at = 0; batch < 10; batch++) {
          for (let row = 0; row < 12; row++) {
            at += random.int(0, 12);
            t.push("orders", { id: random.int(0, 9), customer: random.int(0, 3), at: Math.max(0, at - random.int(0, 29)) });
          }
          await t.run();
        }
        await t.end().run();
        for (const name of names) got.set(name, [...t.take(name)]);
        for (const name of [...Object.keys(windows), "running"]) {
          const plain = table(got.get(`${name}-plain-out`) ?? []);
          expect(plain.length).toBeGreaterThan(0);
          expect([name, table(got.get(`${name}-local-out`) ?? [])]).toEqual([name, plain]);
        }
      } finally {
        await t.close();
      }
    });
  });

  test("is refused for windows whose rows cannot be added up before the exchange", () => {
    for (const window of [session(10), globalWindow()]) {
      const built = job("local", (flow) => {
        orders(flow).keyBy("customer").window(window).aggregate({ n: count() }, { uid: "n", localFirst: "batch" }).to("out", memorySink());
      });
      expect(() => built.build()).toThrowError(expect.objectContaining({ code: "WINDOW_INVALID" }));
    }
  });
});

test("an operator that could not follow its input's changes is refused when the job is planned", () => {
  const code = (describeJob: (counts: Stream<{ customer: number; orders: number }>, flow: Flow) => void, upsert = false): string => {
    try {
      job("refused", (flow) => {
        const counts = flow
          .source("counted", memorySource(Order), { time: "at", watermarks: monotonic() })
          .keyBy("customer")
          .aggregate({ orders: count() }, { uid: "counts", upsert });
        describeJob(counts, flow);
      }).build();
      return "none";
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  };
  const out = memorySink();
  expect(code((counts) => counts.keyBy("orders").dedupe({ uid: "x" }).to("out", out))).toBe("PLAN_INPUT_CHANGES");
  expect(
    code((counts) =>
      counts
        .keyBy("orders")
        .reduce((a) => a, { uid: "x" })
        .to("out", out),
    ),
  ).toBe("PLAN_INPUT_CHANGES");
  expect(
    code((counts, flow) =>
      orders(flow).keyBy("customer").joinWindow(counts.keyBy("customer"), tumbling(10), { uid: "x", rightPrefix: "n_" }).to("out", out),
    ),
  ).toBe("PLAN_INPUT_CHANGES");
  expect(code((counts) => counts.keyBy("orders").aggregate({ n: count() }, { uid: "x" }).to("out", out))).toBe("none");
  expect(code((counts) => counts.keyBy("orders").aggregate({ n: count() }, { uid: "x" }).to("out", out), true)).toBe("PLAN_INPUT_UPSERT");
  expect(
    code(
      (counts) => counts.keyBy("customer").toTable({ uid: "t" }).keyBy("orders").aggregate({ n: count() }, { uid: "x" }).to("out", out),
      true,
    ),
  ).toBe("none");
});
