// What an application gives while its input is silent: what goes by the clock goes on, and event time stands still until a row moves it.
import { afterEach, expect, test } from "vitest";
import { batchOf, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { readTopic } from "../../connectors/kafka/sink/read-topic.suite.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";

import { job } from "../../dsl/job.ts";
import { tumbling } from "../../dsl/windows.ts";
import { count } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";

const bootstrapServers = "127.0.0.1:1";
const Click = schema({ user: string(), at: timestamp() });
const kafka = new MemoryKafka();
const client = kafka.client();
const limit = { timeout: 60_000, interval: 20 };
let app: EmbeddedApp | undefined;
afterEach(() => app?.close(1000));

const clicks = job("idle", (flow) => {
  const byUser = flow
    .source("in", kafkaSource({ bootstrapServers, topic: "in", format: json(Click) }), {
      time: "at",
      watermarks: boundedOutOfOrderness(0, { idleAfter: 20 }),
    })
    .keyBy("user");
  const early = { uid: "early", trigger: { kind: "early", everyMs: 50 }, firing: "upsert" } as const;
  const upserts = kafkaSink({ bootstrapServers, topic: "early", format: json(), key: "user", mode: "upsert" });
  byUser.window(tumbling("10 s")).aggregate({ n: count() }, early).to("early-out", upserts);
  byUser
    .aggregate({ n: count() }, { uid: "running", upsert: true, suppress: { limit: "50 ms" } })
    .to("running-out", kafkaSink({ bootstrapServers, topic: "running", format: json(), key: "user", mode: "upsert" }));
  byUser
    .window(tumbling("10 s"))
    .aggregate({ n: count() }, { uid: "whole" })
    .to("whole-out", kafkaSink({ bootstrapServers, topic: "whole", format: json() }));
});

test("a running count is given by the clock while nothing comes, and a window ends only when a later row comes", async () => {
  const topics = ["in", "early", "running", "whole"].map((name) => ({ name, partitions: 2, replicationFactor: 1, configs: {} }));
  await client.createTopics(topics);
  app = new EmbeddedApp(clicks, { sessionTimeoutMs: 1000, commitIntervalMs: 20 }, { openClient: () => kafka.client() });
  await app.start();
  const counts = async (topic: string): Promise<readonly number[]> =>
    (await readTopic(client, topic)).map(({ value }) => (JSON.parse(value ?? "{}") as { readonly n: number }).n);
  const click = (at: number): Buffer => batchOf([JSON.stringify({ user: "a", at })]);
  // The other partition has no row at all.
  expect(await produceTo(client, "in", 0, click(1000))).toBe(0);
  expect(await produceTo(client, "in", 0, click(2000))).toBe(0);
  await expect.poll(async () => (await counts("early")).at(-1), limit).toBe(2);
  // Event time stands at the last row: only the clock can give out what that row changed.
  await expect.poll(async () => (await counts("running")).at(-1), limit).toBe(2);
  expect(await counts("whole")).toEqual([]);
  expect(await produceTo(client, "in", 0, click(15_000))).toBe(0);
  await expect.poll(() => counts("whole"), limit).toEqual([2]);
});
