// What an application is given that is not as it must be: each one clear error that names it, nothing lost, and it goes on after the mend.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { batchOf, fetchFrom, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type Job, job } from "../../dsl/job.ts";
import { count } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";

const bootstrapServers = "127.0.0.1:1";
const Order = schema({ user: string(), amount: int53() });
const limit = { timeout: 20_000, interval: 20 };
let kafka: MemoryKafka;
let client: KafkaClient;
const apps: EmbeddedApp[] = [];

beforeEach(async () => {
  kafka = new MemoryKafka();
  client = kafka.client();
  await topic("orders", 3);
  await topic("users", 2);
  await topic("out", 2);
});
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close(1000);
});

const topic = (name: string, partitions: number): Promise<void> =>
  client.createTopics([{ name, partitions, replicationFactor: 1, configs: {} }]);
const upserts = (name: string) => kafkaSink({ bootstrapServers, topic: name, format: json(), key: "user", mode: "upsert" as const });
const source = (name: string) => kafkaSource({ bootstrapServers, topic: name, format: json(Order) });
/** Counts orders per user. */
const counting = (input = "orders", output = "out"): Job =>
  job("app", (flow) => {
    flow.source("in", source(input)).keyBy("user").aggregate({ n: count() }, { uid: "store", upsert: true }).to("out", upserts(output));
  });

function make(of: Job, config: EmbeddedConfig = {}): EmbeddedApp {
  const app = new EmbeddedApp(of, { sessionTimeoutMs: 1000, commitIntervalMs: 20, ...config }, { openClient: () => kafka.client() });
  apps.push(app);
  return app;
}
async function start(of: Job, config: EmbeddedConfig = {}): Promise<EmbeddedApp> {
  const app = make(of, config);
  await app.start();
  return app;
}
async function send(name: string, partition: number, ...users: readonly string[]): Promise<void> {
  const rows = users.map((user, index) => JSON.stringify({ user, amount: index }));
  expect(await produceTo(client, name, partition, batchOf(rows))).toBe(0);
}
async function outputs(name = "out"): Promise<readonly { readonly user: string; readonly n: number }[]> {
  const all: string[] = [];
  for (const partition of [0, 1]) all.push(...(await fetchFrom(client, name, { partition }, "read_committed")).values);
  return all.map((value) => JSON.parse(value) as { user: string; n: number });
}
const countsIn = async (name: string): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries((await outputs(name)).map(({ user, n }) => [user, n]));

const counts = (): Promise<Readonly<Record<string, number>>> => countsIn("out");

test("topics of other widths than each other need no preparation: a join repartitions both", async () => {
  await start(
    job("app", (flow) => {
      const orders = flow.source("orders", source("orders")).keyBy("user").toTable({ uid: "orders-table" });
      const users = flow.source("users", source("users")).keyBy("user").toTable({ uid: "users-table" });
      orders.keyBy("user").join(users.keyBy("user"), { uid: "both", rightPrefix: "right_" }).select("user").to("out", upserts("out"));
    }),
  );
  const names = Array.from({ length: 12 }, (_, index) => `u${index}`);
  for (const [index, user] of names.entries()) {
    await send("orders", index % 3, user);
    await send("users", index % 2, user);
  }
  await expect.poll(async () => (await outputs()).map(({ user }) => user).toSorted(), limit).toEqual(names.toSorted());
});

describe("a topic that is missing", () => {
  test.each<[what: string, input: string, output: string, config: EmbeddedConfig]>([
    ["late", "late", "out", {}],
    ["late", "orders", "late", {}],
    ["late", "orders", "out", { deadLetterTopic: "late" }],
  ])("is named, and once it is there the application runs (%#)", async (name, input, output, config) => {
    await send("orders", 0, "a", "b");
    const first = make(counting(input, output), config);
    // An input or the dead letters at the start, an output by the task that writes it.
    await expect(first.start().then(() => first.done)).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING", subject: `topic ${name}` });
    await expect.poll(() => first.state, limit).toBe("closed");
    await topic(name, 2);
    if (input === name) await send(name, 1, "a", "b");
    await start(counting(input, output), config);
    await expect.poll(() => countsIn(output), limit).toEqual({ a: 1, b: 1 });
  });
});

test("an input that has got more partitions is told by both numbers, and another id goes on from the beginning", async () => {
  const first = await start(counting());
  await send("orders", 0, "a", "b", "a");
  await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
  await first.close();
  // Five where three were: what the application keeps is spread over three.
  await client.deleteTopics(["orders"]);
  await topic("orders", 5);
  await expect(make(counting()).start()).rejects.toMatchObject({
    code: "EMBEDDED_TOPIC_PARTITIONS",
    message: expect.stringMatching(/has 3 partitions where the application has 5 tasks/),
  });
  expect(kafka.topics.has("app-store-changelog")).toBe(true);
  await topic("out-2", 2);
  await send("orders", 4, "a", "c");
  await start(counting("orders", "out-2"), { applicationId: "app-2" });
  await expect.poll(() => countsIn("out-2"), limit).toEqual({ a: 1, c: 1 });
});

describe("a store that is another one under the same changelog", () => {
  const lists = (): Job =>
    job("app", (flow) => {
      const latest = flow.source("in", source("orders")).keyBy("user").toTable({ uid: "store" });
      latest.to("out", upserts("out"));
    });

  test("is refused with its name, and the old one goes on with all that it had", async () => {
    const first = await start(counting());
    await send("orders", 0, "a", "b", "a");
    await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
    await first.close();
    const second = await start(lists());
    await expect(second.done).rejects.toMatchObject({ message: expect.stringContaining("store") });
    await expect(second.done).rejects.toMatchObject({
      code: expect.stringMatching(/^[A-Z]+(_[A-Z]+)+$/),
      next: expect.stringMatching(/\w/),
    });
    await expect.poll(() => second.state, limit).toBe("closed");
    await start(counting());
    await send("orders", 1, "a");
    await expect.poll(counts, limit).toEqual({ a: 3, b: 1 });
  });
});
