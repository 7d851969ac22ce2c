// Records that cannot be read or processed go to the dead-letter topic as they were, once, with the reason in their headers.
import { afterEach, expect, test } from "vitest";
import { batchOf, fetchFrom, produceTo } from "../../../connectors/kafka/client/kafka-client.suite.ts";
import { MemoryKafka } from "../../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { RecordBatchReader } from "../../../connectors/kafka/wire/record-batch-reader.ts";
import { RecordBlock } from "../../../connectors/kafka/wire/record-block.ts";
import { int53, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { job } from "../../../dsl/job.ts";
import { json } from "../../../serde/index.ts";
import { EmbeddedApp } from "../app.ts";

const bootstrapServers = "127.0.0.1:1";
const Reading = schema({ sensor: string(), value: int53() });
const kafka = new MemoryKafka();
const client = kafka.client();
let app: EmbeddedApp | undefined;
afterEach(() => app?.close(1000));

const readings = job("app", (flow) => {
  flow
    .source("in", kafkaSource({ bootstrapServers, topic: "in", format: json(Reading) }))
    .map(
      Reading,
      (reading) => {
        if (reading.value < 0) throw new Error(`${reading.value} is below zero`);
        return { sensor: reading.sensor, value: reading.value };
      },
      { uid: "checked" },
    )
    .to("out", kafkaSink({ bootstrapServers, topic: "out", format: json() }));
});

interface Letter {
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function letters(partition: number): Promise<readonly Letter[]> {
  const request = { topic: "letters", partition, offset: 0, leaderEpoch: -1, lastFetchedEpoch: -1, maxBytes: 1 << 20 };
  const answer = await client.fetch(1, {
    isolation: "read_committed",
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1 << 24,
    partitions: [request],
  });
  const [fetched] = answer.partitions;
  if (fetched === undefined) return [];
  const reader = new RecordBatchReader("letters", { readCommitted: true });
  const block = new RecordBlock(1000);
  reader.open(answer.bytes, fetched.recordsStart, fetched.recordsEnd, 0, fetched.aborted);
  const found: Letter[] = [];
  while (reader.readInto(block, 1000) > 0) {
    for (let i = 0; i < block.count; i++) {
      const headers = (block.headersOf?.(i) ?? []).map(([key, value]) => [key, Buffer.from(value ?? []).toString()]);
      found.push({
        value: Buffer.from(block.bytes).toString("utf8", block.valueStart[i], block.valueEnd[i]),
        headers: Object.fromEntries(headers) as Letter["headers"],
      });
    }
  }
  return found;
}

test("a record that is no row keeps its bytes and its place; a row that a function fails on is there as a row", async () => {
  await client.createTopics(["in", "out", "letters"].map((name) => ({ name, partitions: 2, replicationFactor: 1, configs: {} })));
  app = new EmbeddedApp(
    readings,
    { sessionTimeoutMs: 1000, commitIntervalMs: 20, deadLetterTopic: "letters" },
    { openClient: () => kafka.client() },
  );
  await app.start();
  const good = (value: number): string => JSON.stringify({ sensor: "a", value });
  expect(await produceTo(client, "in", 1, batchOf([good(1), "no json", good(-5), good(2)]))).toBe(0);
  const limit = { timeout: 60_000, interval: 20 };
  await expect.poll(async () => (await letters(1)).length, limit).toBe(2);
  const [unread, failed] = await letters(1);
  expect(unread).toMatchObject({
    value: "no json",
    headers: {
      "__streams.errors.topic": "in",
      "__streams.errors.partition": "1",
      "__streams.errors.offset": "1",
      "__millrace.errors.uid": "in",
      "__millrace.errors.task": "app/0_1",
    },
  });
  expect(unread?.headers["__streams.errors.exception"]).toMatch(/^[A-Z_]+$/);
  expect(JSON.parse(failed?.value ?? "")).toEqual({ sensor: "a", value: -5 });
  expect(failed?.headers).toMatchObject({
    "__streams.errors.message": expect.stringContaining("-5 is below zero") as string,
    "__millrace.errors.uid": "checked",
  });
  expect(await letters(0)).toEqual([]);
  const rows = [0, 1].map(async (partition) => (await fetchFrom(client, "out", { partition }, "read_committed")).values);
  expect(
    (await Promise.all(rows))
      .flat()
      .map((row) => (JSON.parse(row) as { value: number }).value)
      .toSorted(),
  ).toEqual([1, 2]);
});

test("a topic that does not exist is named before anything runs", async () => {
  app = new EmbeddedApp(readings, { sessionTimeoutMs: 1000, deadLetterTopic: "nowhere" }, { openClient: () => kafka.client() });
  await expect(app.start()).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING", subject: "topic nowhere" });
});
