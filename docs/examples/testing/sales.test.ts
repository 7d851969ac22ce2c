// A test of a job: rows in, event time moved by them, rows out, and the dead letters.
import { testJob } from "millrace/testing";
import { expect, test } from "vitest";
import sales from "../first-job/sales.ts";

test("sales are summed per shop and minute", async () => {
  const t = await testJob(sales, { parameters: { input: "replaced" }, parallelism: 2 });
  try {
    t.push("sales", { shop: "Porto", cents: 1250, at: "2026-05-04T09:00:03Z" });
    t.push("sales", { shop: "Porto", cents: 899, at: "2026-05-04T09:00:58Z" });
    await t.run();
    expect(t.rows("terminal")).toEqual([]); // the watermark is at 09:00:53

    t.push("sales", { shop: "Lisboa", cents: 250, at: "2026-05-04T09:01:05Z" });
    await t.run();
    const windowStart = Date.parse("2026-05-04T09:00:00Z");
    expect(t.rows("terminal")).toEqual([
      { shop: "Porto", windowStart, windowEnd: windowStart + 60_000, sales: 2, revenue: 2149, largest: 1250 },
    ]);

    t.pushRecords("sales", { value: '{"shop":"Porto","cents":"a lot","at":"2026-05-04T09:01:06Z"}' });
    await t.end().run();
    expect(t.deadLetters().map(({ code }) => code)).toEqual(["RECORD_MISFIT"]);
    expect(t.take("terminal").map(({ row }) => row["shop"])).toEqual(["Lisboa"]);
  } finally {
    await t.close();
  }
});
