// Every example job runs, over a small input, to a result worked out by hand.
import type { Job, Schema } from "millrace";
import { type JobHarness, testJob } from "millrace/testing";
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import usual from "../../docs/examples/connectors/usual.ts";
import sales from "../../docs/examples/first-job/sales.ts";
import flightsTwo from "../../docs/examples/flights/flights-v2.ts";
import flights from "../../docs/examples/flights/flights.ts";
import clickstream from "../../docs/examples/clickstream/clickstream.ts";
import devices from "../../docs/examples/functions/devices.ts";
import hotBidders from "../../docs/examples/hot-bidders/hot-bidders.ts";
import orders from "../../docs/examples/joins/orders.ts";
import spending from "../../docs/examples/shapes/spending.ts";
import visitsOne from "../../docs/examples/upgrades/visits-v1.ts";
import visitsTwo from "../../docs/examples/upgrades/visits-v2.ts";
import type { OperatorFactory } from "../../runtime/src/core/operator/operator.ts";
import { OperatorHarness } from "../../runtime/src/testing/operator-harness.ts";
import wordCount from "../../docs/examples/word-count/word-count.ts";
import readings from "../../docs/examples/windows/readings.ts";

// The jobs that a test below runs; the last test finds the ones that are missing here.
const jobs: ReadonlyMap<string, Job> = new Map([
  ["clickstream/clickstream.ts", clickstream],
  ["connectors/usual.ts", usual],
  ["first-job/sales.ts", sales],
  ["flights/flights.ts", flights],
  ["flights/flights-v2.ts", flightsTwo],
  ["functions/devices.ts", devices],
  ["hot-bidders/hot-bidders.ts", hotBidders],
  ["joins/orders.ts", orders],
  ["shapes/spending.ts", spending],
  ["upgrades/visits-v1.ts", visitsOne],
  ["upgrades/visits-v2.ts", visitsTwo],
  ["windows/readings.ts", readings],
  ["word-count/word-count.ts", wordCount],
]);

const parameters = { brokers: "replaced:9092", input: "replaced", output: "replaced" };
const minute = 60_000;
const hour = 60 * minute;
let harness: JobHarness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

async function open(job: Job): Promise<JobHarness> {
  harness = await testJob(job, { parameters, parallelism: 2 });
  return harness;
}

/** Changes as text: `+I Porto 3`, in a stable order within one `take`. */
function changes(t: JobHarness, sink: string, ...fields: readonly string[]): readonly string[] {
  const signs = ["+I", "-U", "+U", "-D"];
  return t.take(sink).map(({ row, kind }) => [signs[kind], ...fields.map((field) => String(row[field]))].join(" "));
}

test("first-job: sales per shop and minute", async () => {
  const t = await open(sales);
  const sale = (shop: string, cents: unknown, at: string): object => ({ shop, cents, at: `2026-05-04T09:${at}Z` });
  t.push("sales", sale("Porto", 1250, "00:03"), sale("Lisboa", 400, "00:20"), sale("Porto", -300, "00:41"), sale("Porto", 899, "00:58"));
  t.push("sales", sale("Porto", "a lot", "00:59"), sale("Lisboa", 250, "01:02"));
  await t.end().run();
  const first = Date.parse("2026-05-04T09:00:00Z");
  expect(changes(t, "terminal", "windowStart", "shop", "sales", "revenue", "largest").toSorted()).toEqual([
    `+I ${first} Lisboa 1 400 400`,
    `+I ${first} Porto 2 2149 1250`,
    `+I ${first + minute} Lisboa 1 250 250`,
  ]);
  expect(t.deadLetters().map(({ code }) => code)).toEqual(["RECORD_MISFIT"]);
});

test("windows: late rows change a result, then come too late; sessions end by a gap; early results", async () => {
  const t = await open(readings);
  const reading = (sensor: string, celsius: number, at: number): object => ({ sensor, celsius, at });
  t.push("readings", reading("a", 20, 0), reading("a", 22, 30_000), reading("b", 5, 50_000));
  t.push("readings", reading("a", 10, 71_000));
  await t.run();
  expect(changes(t, "minutes-out", "sensor", "windowStart", "readings", "mean").toSorted()).toEqual(["+I a 0 2 21", "+I b 0 1 5"]);
  expect(changes(t, "hours-out", "sensor", "readings")).toEqual(["+I a 2"]);
  // The watermark is at 61 s: the first minute has ended, but is kept for 30 s more.
  t.push("readings", reading("a", 24, 40_000));
  await t.run();
  expect(changes(t, "minutes-out", "sensor", "windowStart", "readings", "mean")).toEqual(["-U a 0 2 21", "+U a 0 3 22"]);
  expect(changes(t, "hours-out", "sensor", "readings")).toEqual(["-U a 2", "+U a 4"]);
  t.push("readings", reading("b", 6, 100_001));
  await t.run();
  t.push("readings", reading("a", 99, 59_000));
  await t.run();
  expect(changes(t, "late-out", "sensor", "celsius")).toEqual(["+I a 99"]);
  await t.end().run();
  // 71 s + 2 min: everything of `a` is one session, also the reading that came too late for its minute.
  expect(changes(t, "sessions-out", "sensor", "windowStart", "readings", "highest").toSorted()).toEqual(["+I a 0 5 99", "+I b 50000 2 6"]);
  // 99 came too late for its minute here, too; windows give their rows to the function once.
  expect(changes(t, "spreads-out", "sensor", "windowStart", "spread").toSorted()).toEqual([
    "+I a 0 2",
    `+I a ${minute} 0`,
    "+I b 0 0",
    `+I b ${minute} 0`,
  ]);
  const all = changes(t, "all-out", "windowStart", "highest");
  // Windows of two minutes, each minute; the first had ended before 99 came, at -60 s.
  expect(all).toEqual([`+I -${minute} 22`, "+I 0 99", `+I ${minute} 10`]);
});

test("functions: silence by a timer, an answer from outside, rules that change", async () => {
  const t = await open(devices);
  t.push("rules", { name: "low", below: 0.2, at: 0 });
  await t.run();
  const beat = (device: string, at: number, battery = 0.9): object => ({ device, battery, at });
  t.push("beats", beat("a", 0), beat("b", 1000, 0.1), beat("a", 30_000), beat("b", 70_000, 0.15));
  await t.run();
  expect(changes(t, "warnings-out", "rule", "device", "battery").toSorted()).toEqual(["+I low b 0.1", "+I low b 0.15"]);
  // b's next beat came before event time had reached the end of its minute; a's timer was moved to 90 s.
  t.push("rules", { name: "low", below: null, at: 1 });
  await t.run();
  t.push("beats", beat("c", 96_000, 0.01));
  await t.run();
  expect(changes(t, "warnings-out", "rule", "device", "battery")).toEqual([]);
  expect(changes(t, "silences", "device", "since", "beats")).toEqual(["+I a 30000 2"]);
  await t.end().run();
  expect(changes(t, "silences", "device", "since", "beats").toSorted()).toEqual(["+I b 70000 2", "+I c 96000 1"]);
  expect(changes(t, "owners-out", "device", "owner").toSorted()).toEqual(
    ["a", "b", "c"].map((device) => `+I ${device} owner-of-${device}`),
  );
});

test("joins: payments in time, rates of the time, customers of the moment, the best two", async () => {
  const t = await open(orders);
  const order = (id: string, customer: string, currency: string, amount: number, at: number): object => ({
    order: id,
    customer,
    currency,
    amount,
    at,
  });
  t.push("customers", { customer: "ann", country: "PT", changed: 0 });
  t.push("rates", { currency: "USD", euros: 0.5, at: 0 }, { currency: "USD", euros: 2, at: 10_000 }, { currency: "EUR", euros: 1, at: 0 });
  await t.run();
  t.push("orders", order("o1", "ann", "USD", 10, 5000), order("o2", "bob", "USD", 10, 10_000), order("o3", "cat", "EUR", 7, 6000));
  t.push("payments", { order: "o1", method: "card", paidAt: 5000 + 15 * minute }, { order: "o2", method: "cash", paidAt: 9999 });
  await t.end().run();
  // o2 was paid before it was ordered.
  expect(changes(t, "paid-out", "order", "amount", "payment_method").toSorted()).toEqual([
    "+I o1 10 card",
    "+I o2 10 null",
    "+I o3 7 null",
  ]);
  expect(changes(t, "countries-out", "change", "order", "customer_country")).toEqual(["+I insert o1 PT"]);
  expect(changes(t, "euros-out", "customer", "euros").toSorted()).toEqual(["+I ann 5", "+I bob 20", "+I cat 7"]);
  expect(changes(t, "located-out", "order", "customer_country").toSorted()).toEqual(["+I o1 PT", "+I o2 null", "+I o3 null"]);
  const table = new Map<string, string>();
  for (const change of changes(t, "best-out", "place", "customer", "euros")) {
    const [sign, place = "", ...rest] = change.split(" ");
    if (sign === "+I" || sign === "+U") table.set(place, rest.join(" "));
  }
  expect(Object.fromEntries(table)).toEqual({ 1: "bob 20", 2: "cat 7" });
});

test("upgrades: both versions count visits", async () => {
  const visits = ["home", "cart"].map((page, at) => ({ visitor: "v", page, at }));
  const one = await open(visitsOne);
  one.push("visits", ...visits);
  await one.end().run();
  expect(changes(one, "terminal", "visitor", "visits")).toEqual(["+I v 1", "+I v 2"]);
  await one.close();
  const two = await open(visitsTwo);
  two.push("visits", ...visits);
  await two.end().run();
  expect(changes(two, "terminal", "visitor", "visits", "from")).toEqual(["+I v 1 (none)", "+I v 2 home"]);
});

test("upgrades: version 2 goes on with the state of version 1", async () => {
  const count = (job: Job): { readonly factory: OperatorFactory; readonly inputs: readonly Schema[]; readonly uid: string } => {
    const node = job.build(parameters).nodes.find(({ uid }) => uid === "count");
    if (node?.body.kind !== "operator") throw new Error("the job has no operator count");
    return { factory: node.body.create, inputs: node.inputs.map(({ from }) => from.schema), uid: "count" };
  };
  const visit = (visitor: string, page: string): { readonly row: object } => ({ row: { visitor, page, at: 0 } });
  const one = await OperatorHarness.open(count(visitsOne));
  const snapshot = one.push([visit("ann", "home"), visit("ann", "cart")]).snapshot();
  await one.close();
  const two = await OperatorHarness.open({ ...count(visitsTwo), snapshot });
  two.push([visit("ann", "help"), visit("ben", "home"), visit("ann", "home")]);
  expect(two.take().map(({ row }) => row)).toEqual([
    { visitor: "ann", visits: 3, from: "(unknown)" },
    { visitor: "ben", visits: 1, from: "(none)" },
    { visitor: "ann", visits: 4, from: "help" },
  ]);
  await two.close();
});

test("connectors: dear trades, an archive of both sources", async () => {
  const t = await open(usual);
  t.push("trades", { symbol: "A", price: 99.5, at: 1 }, { symbol: "B", price: 100, at: 2 });
  t.push("history", { symbol: "C", price: 500, at: 0 });
  await t.end().run();
  expect(changes(t, "dear", "symbol", "price")).toEqual(["+I B 100"]);
  expect(changes(t, "archive", "symbol").toSorted()).toEqual(["+I A", "+I B", "+I C"]);
});

test("hot-bidders: bids per bidder in ten seconds", async () => {
  const t = await open(hotBidders);
  const bid = (bidder: string, price: number, at: number): object => ({ bidder, auction: 1, price, at });
  t.push("bids", bid("a", 5, 0), bid("b", 9, 3000), bid("a", 7, 9999), bid("a", 1, 10_000));
  await t.end().run();
  expect(changes(t, "results", "windowStart", "bidder", "bids", "highest").toSorted()).toEqual([
    "+I 0 a 2 7",
    "+I 0 b 1 9",
    "+I 10000 a 1 1",
  ]);
});

test("shapes: what each customer spends in ten seconds", async () => {
  const t = await open(spending);
  const payment = (customer: string, cents: number, at: number): object => ({ customer, cents, at });
  t.push("payments", payment("a", 500, 0), payment("b", 90, 3000), payment("a", 7, 9999), payment("a", 1, 10_000));
  await t.end().run();
  expect(changes(t, "totals", "windowStart", "customer", "payments", "cents").toSorted()).toEqual([
    "+I 0 a 2 507",
    "+I 0 b 1 90",
    "+I 10000 a 1 1",
  ]);
});

test.each([
  [flights, "undefined"],
  [flightsTwo, "300"],
])("flights: delays of the last hour, every quarter of an hour", async (job, distance) => {
  const t = await open(job);
  const flight = (origin: string, delay: number, scheduled: number): object => ({
    origin,
    destination: "X",
    delay,
    distance: 150,
    scheduled,
  });
  t.push("flights", flight("OPO", 10, 0), flight("OPO", 30, 10 * minute), flight("OPO", 0, 5 * hour), flight("LIS", 1, 0));
  await t.end().run();
  const rows = changes(t, "hourly-files", "windowEnd", "origin", "flights", "meanDelay", "worstDelay", "distance");
  expect(rows.filter((row) => row.startsWith(`+I ${hour} OPO`))).toEqual([`+I ${hour} OPO 2 20 30 ${distance}`]);
  // Each flight is in four windows; the two of the same quarter are in the same four. The last is late for its own by five hours.
  expect(rows).toHaveLength(8);
  expect(changes(t, "late-files", "origin")).toEqual(["+I LIS"]);
});

test("clickstream: views per region, each click with the region of its time", async () => {
  const t = await open(clickstream);
  const profile = (user: string, region: string, since: number): object => ({ user, region, since });
  t.push("profiles", profile("a", "north", 0), profile("b", "east", 0), profile("a", "south", 30_000));
  const click = (user: string, at: number): object => ({ user, page: "/", at });
  t.push("clicks", click("a", 1000), click("b", 2000), click("a", 31_000), click("a", 61_000), click("nobody", 5000));
  await t.end().run();
  expect(changes(t, "views", "windowStart", "region", "views").toSorted()).toEqual([
    "+I 0 east 1",
    "+I 0 north 1",
    "+I 0 south 1",
    "+I 60000 south 1",
  ]);
});

test("word-count: how often each word was said", async () => {
  const t = await open(wordCount);
  t.push("lines", { text: "to be or not" }, { text: "to Be" });
  await t.end().run();
  const last = new Map(t.take("counts").map(({ row }) => [row["word"], row["times"]]));
  expect(last).toEqual(
    new Map([
      ["to", 2],
      ["be", 2],
      ["or", 1],
      ["not", 1],
    ]),
  );
});

// DataFrame programs run in frames.test.ts.
test("every example job is run above", () => {
  const root = fileURLToPath(new URL("../../docs/examples/", import.meta.url));
  const found = globSync("*/*.ts", { cwd: root }).filter(
    (path) => !/(\.test|\/service|\/pod|\/query)\.ts$/.test(path) && path !== "connectors/post-sink.ts" && !path.startsWith("frames/"),
  );
  expect([...jobs.keys()].toSorted()).toEqual(found.toSorted());
});
