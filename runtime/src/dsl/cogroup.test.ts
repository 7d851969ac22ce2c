// Cogroup: rows of several streams meet in one aggregate or window by their key, and keys that differ are refused.
import { expect, expectTypeOf, test } from "vitest";
import { memorySink, memorySource } from "../connectors/memory/index.ts";
import { int32, int53, string, timestamp } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../core/time/watermark-strategy.ts";
import { count, max, sum } from "../operators/aggregate/call.ts";
import { testJob } from "../testing/job-harness.ts";
import { cogroup } from "./cogroup.ts";
import { job } from "./job.ts";
import { tumbling } from "./windows.ts";

const Click = schema({ user: string(), page: string(), at: timestamp() });
const Order = schema({ amount: int53(), user: string(), at: timestamp() });
const time = { time: "at", watermarks: boundedOutOfOrderness(0) } as const;

test("one aggregate, and one window, over the rows of two streams on two instances", async () => {
  const t = await testJob(
    job("cogroup", (flow) => {
      const clicks = flow.source("clicks", memorySource(Click), time).keyBy("user");
      const orders = flow.source("orders", memorySource(Order), time).keyBy("user");
      const both = cogroup({ clicks, orders });
      const calls = { clicks: count("clicks_page"), spent: sum("orders_amount"), largest: max("orders_amount") } as const;
      const running = both.aggregate(calls, { uid: "running" });
      running
        .filter((row) => {
          expectTypeOf(row.user).toEqualTypeOf<string>();
          expectTypeOf(row.spent).toEqualTypeOf<number | null>();
          return true;
        })
        .to("running-out", memorySink());
      both
        .window(tumbling(1000))
        .aggregate({ clicks: count("clicks_page"), spent: sum("orders_amount") }, { uid: "windows" })
        .to("out", memorySink());
    }),
    { parallelism: 2 },
  );
  try {
    const click = (user: string, at: number): object => ({ user, page: `p${at}`, at });
    const order = (user: string, amount: number, at: number): object => ({ user, amount, at });
    t.push("clicks", click("a", 100), click("a", 200), click("b", 300), click("a", 1500));
    t.push("orders", order("a", 5, 150), order("a", 7, 1600), order("c", 1, 400));
    await t.end().run();
    const textOf = (row: unknown): string => JSON.stringify(Object.entries(row as object).toSorted());
    const byUser = (rows: readonly unknown[]): readonly unknown[] => rows.toSorted((x, y) => (textOf(x) < textOf(y) ? -1 : 1));
    expect(byUser(t.rows("out"))).toEqual(
      byUser([
        { user: "a", windowStart: 0, windowEnd: 1000, clicks: 2, spent: 5 },
        { user: "b", windowStart: 0, windowEnd: 1000, clicks: 1, spent: null },
        { user: "c", windowStart: 0, windowEnd: 1000, clicks: 0, spent: 1 },
        { user: "a", windowStart: 1000, windowEnd: 2000, clicks: 1, spent: 7 },
      ]),
    );
    const latest = new Map(t.take("running-out").map(({ row }) => [row["user"], row]));
    expect(byUser([...latest.values()])).toEqual(
      byUser([
        { user: "a", clicks: 3, spent: 12, largest: 7 },
        { user: "b", clicks: 1, spent: null, largest: null },
        { user: "c", clicks: 0, spent: 1, largest: 1 },
      ]),
    );
  } finally {
    await t.close();
  }
});

test("keys of other names or types, and no stream at all, are refused when the job is planned", () => {
  const Other = schema({ user: int32(), at: timestamp() });
  const built = (other: "type" | "name" | "none"): (() => unknown) => {
    return () =>
      job("cogroup", (flow) => {
        const clicks = flow.source("clicks", memorySource(Click), time);
        const others = flow.source("others", memorySource(Other), time);
        if (other === "none") cogroup({});
        else cogroup({ clicks: other === "name" ? clicks.keyBy("page") : clicks.keyBy("user"), others: others.keyBy("user") });
      }).build();
  };
  for (const other of ["type", "name", "none"] as const)
    expect(built(other)).toThrowError(expect.objectContaining({ code: "PLAN_COGROUP_KEY" }));
});
