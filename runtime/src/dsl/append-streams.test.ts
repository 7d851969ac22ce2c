// What stays append-only: windows over all rows, and joins of inserts, which need no sink of changes.
import { afterEach, expect, expectTypeOf, test } from "vitest";
import { memorySink, memorySource } from "../connectors/memory/index.ts";
import { int32, string, timestamp } from "../core/schema/field.ts";
import { type RowType, schema } from "../core/schema/schema.ts";
import { monotonic } from "../core/time/watermark-strategy.ts";
import { count, max } from "../operators/aggregate/call.ts";
import type { JoinType } from "../operators/join/join-output.ts";
import { planOf } from "../plan/plan.ts";
import { type JobHarness, testJob } from "../testing/job-harness.ts";
import type { Flow } from "./flow.ts";
import { job } from "./job.ts";
import type { Stream } from "./stream.ts";
import { tumbling } from "./windows.ts";

const Bid = schema({ auction: int32(), price: int32(), at: timestamp() });
type Bid = RowType<typeof Bid>;
const Auction = schema({ id: int32(), seller: string(), opened: timestamp() });
type Auction = RowType<typeof Auction>;

const bids = (flow: Flow): Stream<Bid> => flow.source("bids", memorySource(Bid), { time: "at", watermarks: monotonic() });
const auctions = (flow: Flow): Stream<Auction> =>
  flow.source("auctions", memorySource(Auction), { time: "opened", watermarks: monotonic() });

let harness: JobHarness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

test("a window over all rows has one result, whatever the parallelism", async () => {
  harness = await testJob(
    job("all", (flow) => {
      const highest = bids(flow)
        .keyBy("auction")
        .window(tumbling("1 s"))
        .aggregate({ highest: max("price") }, { uid: "of-auctions" })
        .window(tumbling("1 s"))
        .aggregate({ highest: max("highest"), auctions: count() }, { uid: "of-all" });
      expectTypeOf<typeof highest extends Stream<infer Row, infer _Sides> ? keyof Row : never>().toEqualTypeOf<
        "windowStart" | "windowEnd" | "highest" | "auctions"
      >();
      highest.to("out", memorySink({ accepts: "append" }));
    }),
    { parallelism: 3 },
  );
  const rows = Array.from({ length: 40 }, (_, index) => ({ auction: index % 7, price: (index * 17) % 40, at: index * 50 }));
  harness.push("bids", ...rows).end();
  await harness.run();
  const expected = [0, 1000].map((windowStart) => {
    const own = rows.filter(({ at }) => at >= windowStart && at < windowStart + 1000);
    const highest = Math.max(...own.map(({ price }) => price));
    return { windowStart, windowEnd: windowStart + 1000, highest, auctions: 7 };
  });
  expect(harness.rows("out")).toEqual(expected);
});

test("a join of inserts gives inserts where neither side stands alone", () => {
  const changelogOf = (type: JoinType, change: boolean): string => {
    const built = job("joins", (flow) => {
      const left = bids(flow).keyBy("auction");
      const right = auctions(flow).keyBy("id");
      left.join(change ? right.toTable().keyBy("id") : right, { type, uid: "join" }).to("out", memorySink());
    }).build();
    return built.nodes.find((node) => node.uid === "join")?.changelog ?? "none";
  };
  for (const type of ["inner", "semi"] as const) expect([type, changelogOf(type, false)]).toEqual([type, "append"]);
  for (const type of ["left", "right", "full", "anti"] as const) expect([type, changelogOf(type, false)]).toEqual([type, "retract"]);
  for (const type of ["inner", "semi"] as const) expect([type, changelogOf(type, true)]).toEqual([type, "retract"]);
});

test.each(["inner", "semi"] as const)("a join (%s) of inserts in any order gives each row once, as an insert", async (type) => {
  const rowsOf = async (auctionsFirst: boolean): Promise<readonly string[]> => {
    const t = await testJob(
      job("join", (flow) => {
        bids(flow)
          .keyBy("auction")
          .join(auctions(flow).keyBy("id"), { type, uid: "join" })
          .select("auction", "price")
          .to("out", memorySink({ accepts: "append" }));
      }),
      { parallelism: 2 },
    );
    harness = t;
    const steps = [
      () => t.push("bids", ...[3, 1, 4, 1, 5].map((price, index) => ({ auction: index % 3, price, at: index }))),
      () => t.push("auctions", { id: 0, seller: "a", opened: 1 }, { id: 2, seller: "b", opened: 2 }, { id: 2, seller: "c", opened: 3 }),
    ];
    for (const step of auctionsFirst ? steps.reverse() : steps) {
      step();
      await t.run();
    }
    t.end();
    await t.run();
    const written = t.take("out");
    expect(written.map(({ kind }) => kind)).toEqual(written.map(() => 0));
    await t.close();
    return written.map(({ row }) => `${String(row["auction"])} ${String(row["price"])}`).sort();
  };
  // Bids 0, 3 and 2 have an auction; auction 2 is there twice.
  const expected = type === "inner" ? ["0 1", "0 3", "2 4", "2 4"] : ["0 1", "0 3", "2 4"];
  expect(await rowsOf(false)).toEqual(expected);
  expect(await rowsOf(true)).toEqual(expected);
  harness = undefined;
});

test("the plan says that the group of all rows is on one instance", () => {
  const plan = planOf(
    job("plan", (flow) => {
      bids(flow).window(tumbling("1 s")).aggregate({ n: count() }, { uid: "all" }).to("out", memorySink());
    }).build(),
  );
  expect(plan.nodes.find((node) => node.uid === "all")).toMatchObject({ parallelism: 1 });
});
