// Changelogs through chains of operators: table, aggregate, join, aggregate again, filter, top-n; what they come to is what SQL says.
import { expect, test, vi } from "vitest";
import {
  type ChainCase,
  chainLine,
  type ChainJoin,
  chainResults,
  type CustomerVersion,
  type OrderVersion,
} from "../../../test/reference/changelog-sql.ts";
import { casesOf, type Random, randomCases } from "../../../test/reference/random.ts";
import { memorySink, memorySource } from "../connectors/memory/index.ts";
import { int32, string } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { count, countDistinct, max, min, sum } from "../operators/aggregate/call.ts";
import { type JobHarness, type TestOutput, testJob } from "../testing/job-harness.ts";
import { type Job, job } from "./job.ts";

// Many small jobs: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const Order = schema({ id: int32(), customer: int32(), product: int32(), amount: int32() });
const Customer = schema({ customer: int32(), country: string() });
const joins: readonly ChainJoin[] = ["inner", "left", "right", "full", "semi", "anti"];

interface SumOf {
  readonly customer: number;
  readonly n: number;
  readonly total: number;
}

function chains(type: ChainJoin): Job {
  return job("chains", (flow) => {
    const orders = flow
      .source("orders", memorySource(Order))
      .keyBy("id")
      .toTable({ uid: "orders-table", isDelete: ({ amount }) => amount < 0 });
    const people = flow.source("customers", memorySource(Customer)).keyBy("customer").toTable({ uid: "customers-table" });
    const sums = orders
      .keyBy("customer")
      .aggregate(
        { n: count(), total: sum("amount"), best: max("amount"), least: min("amount"), products: countDistinct("product") },
        { uid: "sums-of" },
      );
    sums.to("sums", memorySink());
    const Joined = schema({ customer: int32().nullable(), n: int32().nullable(), total: int32().nullable(), country: string().nullable() });
    const joined = sums.keyBy("customer").join(people.keyBy("customer"), {
      uid: "join",
      type,
      output: Joined,
      select: (left: SumOf | null, right: CustomerVersion | null) => ({
        customer: left?.customer ?? null,
        n: left?.n ?? null,
        total: left?.total ?? null,
        country: type === "semi" || type === "anti" ? null : (right?.country ?? null),
      }),
    });
    joined.to("joined", memorySink());
    joined
      .keyBy("country")
      .aggregate({ people: count(), total: sum("total"), most: max("n") }, { uid: "countries-of" })
      .to("countries", memorySink());
    const best = orders
      .filter(({ amount }) => amount % 3 !== 0)
      .keyBy("product")
      .topN(2, { uid: "best-of", orderBy: [{ field: "amount", descending: true }, { field: "id" }], rank: "place" });
    best.to("best", memorySink());
    best
      .keyBy("customer")
      .aggregate({ places: count(), amount: sum("amount") }, { uid: "winners-of" })
      .to("winners", memorySink());
  });
}

const fields: Readonly<Record<string, readonly string[]>> = {
  sums: ["customer", "n", "total", "best", "least", "products"],
  joined: ["customer", "n", "total", "country"],
  countries: ["country", "people", "total", "most"],
  best: ["product", "place", "id", "amount"],
  winners: ["customer", "places", "amount"],
};

/** Adds the changes to what stands; a row that is taken back must be there, as it is. */
function follow(standing: Map<string, number>, sink: string, changes: readonly TestOutput[]): void {
  for (const { row, kind } of changes) {
    const line = chainLine((fields[sink] as readonly string[]).map((name) => row[name]));
    const left = (standing.get(line) ?? 0) + (kind === 1 || kind === 3 ? -1 : 1);
    if (left < -1) throw new Error(`${sink}: ${line} is taken back twice`);
    if (left === 0) standing.delete(line);
    else standing.set(line, left);
  }
}

async function runCase(random: Random, id: number): Promise<{ readonly input: ChainCase; readonly got: Map<string, string[]> }> {
  const join = joins[id % joins.length] as ChainJoin;
  const orders: OrderVersion[] = [];
  const customers: CustomerVersion[] = [];
  const t: JobHarness = await testJob(chains(join), { parallelism: random.int(1, 3) });
  const standing = new Map(Object.keys(fields).map((sink) => [sink, new Map<string, number>()]));
  const settle = async (): Promise<void> => {
    await t.run();
    for (const [sink, rows] of standing) follow(rows, sink, t.take(sink));
  };
  try {
    const steps = random.int(5, 40);
    for (let step = 0; step < steps; step++) {
      if (random.chance(0.7)) {
        const amount = random.chance(0.2) ? -1 : random.int(0, 20);
        const order = { id: random.int(0, 7), customer: random.int(0, 4), product: random.int(0, 2), amount };
        orders.push(order);
        t.push("orders", order);
      } else {
        const customer = { customer: random.int(0, 4), country: `c${random.int(0, 2)}` };
        customers.push(customer);
        t.push("customers", customer);
      }
      if (random.chance(0.4)) await settle();
    }
    await settle();
    const got = new Map<string, string[]>();
    for (const [sink, rows] of standing) {
      const negative = [...rows].filter(([, times]) => times < 0);
      if (negative.length > 0) throw new Error(`${sink}: ${negative[0]?.[0]} is taken back and never given`);
      got.set(sink, [...rows].flatMap(([line, times]) => Array<string>(times).fill(line)).sort());
    }
    return { input: { id, join, orders, customers }, got };
  } finally {
    await t.close();
  }
}

test("what chains of changes come to is what SQL says of the last versions", async () => {
  const cases: ChainCase[] = [];
  const results: Map<string, string[]>[] = [];
  await randomCases("changelog chains", 120, async (random, index) => {
    const { input, got } = await runCase(random, index);
    cases.push(input);
    results.push(got);
  });
  const expected = await chainResults(cases);
  let compared = 0;
  for (const [index, got] of results.entries()) {
    for (const [sink, lines] of got) {
      compared += lines.length;
      expect([index, cases[index]?.join, sink, lines]).toEqual([index, cases[index]?.join, sink, expected.get(`${sink} ${index}`) ?? []]);
    }
  }
  expect(compared).toBeGreaterThan(casesOf(1000));
});
