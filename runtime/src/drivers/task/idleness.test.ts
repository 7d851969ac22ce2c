// Idle inputs across two stages: nobody goes ahead of an instance that was idle and still holds rows.
import { afterEach, expect, test } from "vitest";
import { memorySink, memorySource } from "../../connectors/memory/index.ts";
import { int32, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import { job } from "../../dsl/job.ts";
import { tumbling } from "../../dsl/windows.ts";
import { count, countDistinct, sum } from "../../operators/aggregate/call.ts";
import { type JobHarness, testJob } from "../../testing/job-harness.ts";

const Reading = schema({ sensor: int32(), at: timestamp() });

let harness: JobHarness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

// Windows per sensor, and windows over their results: the second stage must not be ahead of any instance of the first.
async function start(): Promise<JobHarness> {
  harness = await testJob(
    job("idle", (flow) => {
      const totals = flow
        .source("readings", memorySource(Reading), { time: "at", watermarks: boundedOutOfOrderness(0, { idleAfter: 1000 }) })
        .keyBy("sensor")
        .window(tumbling(100))
        .aggregate({ readings: count() }, { uid: "sensors" })
        .window(tumbling(100))
        .aggregate({ sensors: count(), readings: sum("readings") }, { uid: "all" });
      totals.to("out", memorySink());
      totals.side("late").to("late", memorySink());
    }),
    { parallelism: 3 },
  );
  return harness;
}

const readings = (fromMs: number): readonly object[] =>
  Array.from({ length: 16 }, (_, index) => ({ sensor: index % 8, at: fromMs + index }));
const total = (windowStart: number): object => ({ windowStart, windowEnd: windowStart + 100, sensors: 8, readings: 16 });

test("after a pause of all inputs the first watermark closes windows in order of the stages", async () => {
  const t = await start();
  t.push("readings", ...readings(0));
  await t.run();
  await t.advance(5000);
  t.push("readings", ...readings(200));
  await t.run();
  expect(t.rows("out")).toEqual([total(0)]);
  await t.advance(5000);
  t.push("readings", ...readings(400)).end();
  await t.run();
  expect(t.rows("out")).toEqual([total(200), total(400)]);
  expect(t.rows("late")).toEqual([]);
});

test("instances of a source that end one after another close windows in order of the stages", async () => {
  const t = await start();
  t.push("readings", ...readings(0)).end();
  await t.run();
  expect(t.rows("out")).toEqual([total(0)]);
  expect(t.rows("late")).toEqual([]);
});

test("an input that has given all its rows is waited for until what they led to is there", async () => {
  harness = await testJob(
    job("short", (flow) => {
      const counts = (uid: string) =>
        flow
          .source(uid, memorySource(Reading), { time: "at", watermarks: boundedOutOfOrderness(0) })
          .keyBy("sensor")
          .window(tumbling(100))
          .aggregate({ readings: count() }, { uid: `${uid}-windows` })
          .select("readings");
      const totals = counts("short")
        .union(counts("long"))
        .window(tumbling(100))
        .aggregate({ sensors: count(), readings: sum("readings") }, { uid: "all" });
      totals.to("out", memorySink());
      totals.side("late").to("late", memorySink());
    }),
    { parallelism: 2 },
  );
  const t = harness;
  t.push("short", ...readings(0)).push("long", ...readings(0), ...readings(500));
  await t.end("short").run();
  expect(t.rows("out")).toEqual([{ ...total(0), sensors: 16, readings: 32 }]);
  await t.end().run();
  expect(t.rows("out")).toEqual([total(500)]);
  expect(t.rows("late")).toEqual([]);
});

test("an input that is idle is waited for while asynchronous calls for its rows are under way", async () => {
  const answers: (() => void)[] = [];
  harness = await testJob(
    job("asked", (flow) => {
      const slow = flow
        .source("slow", memorySource(Reading), { time: "at", watermarks: boundedOutOfOrderness(0, { idleAfter: 1000 }) })
        .asyncMap(Reading, (row) => new Promise<typeof row>((resolve) => answers.push(() => resolve(row))), { uid: "ask" });
      const totals = flow
        .source("fast", memorySource(Reading), { time: "at", watermarks: boundedOutOfOrderness(0) })
        .union(slow)
        .window(tumbling(100))
        .aggregate({ sensors: countDistinct("sensor"), readings: count() }, { uid: "all" });
      totals.to("out", memorySink());
      totals.side("late").to("late", memorySink());
    }),
  );
  const t = harness;
  t.push("slow", { sensor: 9, at: 5 });
  const asked = t.run();
  await expect.poll(() => answers.length).toBe(1);
  // Idle for long, and the other input is far ahead by now.
  t.clock.advance(5000);
  t.push("fast", ...readings(0), ...readings(500));
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  answers[0]?.();
  await asked;
  expect(t.rows("late")).toEqual([]);
  expect(t.rows("out")).toEqual([{ ...total(0), sensors: 9, readings: 17 }]);
  // Nothing is under way any more, so its idleness counts.
  t.push("fast", ...readings(900));
  await t.run();
  expect(t.rows("out")).toEqual([total(500)]);
});
