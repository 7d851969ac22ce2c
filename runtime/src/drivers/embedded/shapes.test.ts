// The same dataflow gives the same rows in an application of two processes over three partitions as in one thread: joins, windows, branches.
import { afterEach, expect, test } from "vitest";
import { batchOf, fetchFrom, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import type { Flow } from "../../dsl/flow.ts";
import { job } from "../../dsl/job.ts";
import type { Stream } from "../../dsl/stream.ts";
import { session, sliding, tumbling } from "../../dsl/windows.ts";
import { count, max, sum } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/index.ts";
import { testJob } from "../../testing/job-harness.ts";
import { EmbeddedApp } from "./app.ts";

const bootstrapServers = "127.0.0.1:1";
const partitions = 3;
const Click = schema({ user: string(), page: int53(), at: timestamp() });
const View = schema({ user: string(), item: int53(), at: timestamp() });
const Long = schema({ user: string(), page: int53() });
interface Sides {
  readonly clicks: Stream<{ user: string; page: number; at: number }>;
  readonly views: Stream<{ user: string; item: number; at: number }>;
}

const cases: Readonly<Record<string, (sides: Sides) => Stream<never>>> = {
  "windows per key": ({ clicks }) =>
    clicks
      .keyBy("user")
      .window(tumbling("1 s"))
      .aggregate({ n: count(), last: max("page") }, { uid: "op" }) as unknown as Stream<never>,
  "sliding windows, and windows over their results": ({ clicks }) =>
    clicks
      .keyBy("user")
      .window(sliding("2 s", "1 s"))
      .aggregate({ n: count() }, { uid: "op" })
      .keyBy("n")
      .window(tumbling("5 s"))
      .aggregate({ users: count() }, { uid: "again" }) as unknown as Stream<never>,
  sessions: ({ clicks }) =>
    clicks.keyBy("user").window(session("700 ms")).aggregate({ n: count() }, { uid: "op" }) as unknown as Stream<never>,
  "a window over all rows": ({ clicks }) =>
    clicks.window(tumbling("1 s")).aggregate({ n: count(), pages: sum("page") }, { uid: "op" }) as unknown as Stream<never>,
  "a window join": ({ clicks, views }) =>
    clicks.keyBy("user").joinWindow(views.keyBy("user"), tumbling("500 ms"), { uid: "op", rightPrefix: "v_" }) as unknown as Stream<never>,
  "an interval join, with rows that match nothing": ({ clicks, views }) =>
    clicks.keyBy("user").joinInterval(views.keyBy("user"), {
      uid: "op",
      type: "left",
      lower: -100,
      upper: "100 ms",
      rightPrefix: "v_",
    }) as unknown as Stream<never>,
  "a join with the version of a table at each row's time": ({ clicks, views }) =>
    clicks.keyBy("user").joinTable(views.keyBy("user"), { uid: "op", rightPrefix: "v_" }) as unknown as Stream<never>,
  "a branch that meets the rest again behind a key": ({ clicks }) => {
    const counts = clicks.keyBy("user").window(tumbling("1 s")).aggregate({ page: count() }, { uid: "op" }).select("user", "page");
    return counts.union(clicks.filter((click) => click.page % 5 === 0).select("user", "page")) as unknown as Stream<never>;
  },
  "calls that take a while": ({ clicks }) =>
    clicks.asyncMap(Long, (click) => new Promise((resolve) => setTimeout(() => resolve({ user: click.user, page: click.page * 2 }), 1)), {
      uid: "op",
    }) as unknown as Stream<never>,
};

function jobOf(name: string, make: (sides: Sides) => Stream<never>) {
  return job(name, (flow: Flow) => {
    const watermarks = boundedOutOfOrderness("200 ms");
    const clicks = flow.source("clicks", kafkaSource({ bootstrapServers, topic: "clicks", format: json(Click) }), {
      time: "at",
      watermarks,
    });
    const views = flow.source("views", kafkaSource({ bootstrapServers, topic: "views", format: json(View) }), { time: "at", watermarks });
    const made = make({ clicks, views } as unknown as Sides);
    made.to("out", kafkaSink({ bootstrapServers, topic: "out", format: json() }));
    // Both sources are read in every case.
    views.to("seen", kafkaSink({ bootstrapServers, topic: "seen", format: json() }));
    clicks.to("seen-too", kafkaSink({ bootstrapServers, topic: "seen", format: json() }));
  });
}

const clicks = Array.from({ length: 300 }, (_, index) => ({
  user: `u${(index * 7) % 11}`,
  page: index,
  at: 10_000 + index * 37 - ((index * 53) % 150),
}));
const views = Array.from({ length: 200 }, (_, index) => ({
  user: `u${(index * 5) % 13}`,
  item: index,
  at: 10_000 + index * 55 - ((index * 29) % 150),
}));
// They close every window of the rows before them.
const closing = (rows: readonly object[], many: number) =>
  Array.from({ length: many }, () => ({ ...rows.at(-1), user: "end", at: 3_600_000 }));

const apps: EmbeddedApp[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close(2000);
});

test.each(Object.entries(cases))("%s", async (_name, make) => {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  await client.createTopics(["clicks", "views", "out", "seen"].map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
  for (const [topic, rows] of [
    ["clicks", clicks],
    ["views", views],
  ] as const) {
    const all = [...rows, ...closing(rows, partitions)];
    for (let partition = 0; partition < partitions; partition++) {
      const own = all.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
      expect(await produceTo(client, topic, partition, batchOf(own))).toBe(0);
    }
  }
  const dataflow = jobOf("shapes", make);

  const harness = await testJob(dataflow, {});
  harness.push("clicks", ...clicks, ...closing(clicks, partitions));
  harness.push("views", ...views, ...closing(views, partitions));
  await harness.run();
  for (let wait = 0; wait < 50; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    await harness.run();
  }
  const text = (row: Readonly<Record<string, unknown>>): string => JSON.stringify(Object.entries(row).toSorted());
  const expected = harness
    .take("out")
    .map(({ row }) => text(row))
    .toSorted();
  await harness.close();
  expect(expected.length).toBeGreaterThan(10);

  for (let member = 0; member < 2; member++) {
    const app = new EmbeddedApp(dataflow, { sessionTimeoutMs: 2000, commitIntervalMs: 20 }, { openClient: () => kafka.client() });
    apps.push(app);
    await app.start();
  }
  const seen = async (): Promise<readonly string[]> => {
    const rows: string[] = [];
    for (let partition = 0; partition < partitions; partition++)
      rows.push(...(await fetchFrom(client, "out", { partition }, "read_committed")).values);
    return rows.map((row) => text(JSON.parse(row) as Record<string, unknown>)).toSorted();
  };
  await expect.poll(async () => (await seen()).length, { timeout: 60_000, interval: 50 }).toBeGreaterThanOrEqual(expected.length);
  expect(await seen()).toEqual(expected);
});
