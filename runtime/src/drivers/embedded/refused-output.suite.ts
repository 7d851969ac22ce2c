// Output that its topic does not take, for every implementation of the Kafka port: a failure, or a dead letter while all other output goes on.
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { batchOf, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { readTopic, type SeenRecord } from "../../connectors/kafka/sink/read-topic.suite.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { job } from "../../dsl/job.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";

const Note = schema({ key: string(), text: string() });
const bootstrapServers = "127.0.0.1:1";
const limit = { timeout: 60_000, interval: 100 };
// The records are of 2001: a broker would delete them by their age.
const keepAll = { "retention.ms": "-1" };
const smallest = 2000;
const lettersTake = 8000;

const headersOf = ({ headers }: SeenRecord): Readonly<Record<string, string>> =>
  Object.fromEntries(headers.map(([name, value]) => [name, Buffer.from(value ?? []).toString()]));

export function refusedOutputSuite(implementation: string, connect: () => KafkaClient, sessionTimeoutMs: number): void {
  describe(`output that a topic does not take, ${implementation}`, () => {
    const open: EmbeddedApp[] = [];
    const clients: KafkaClient[] = [];
    afterEach(async () => {
      for (const app of open.splice(0)) await app.close(5000);
      for (const client of clients.splice(0)) await client.close();
    });

    const setUp = async () => {
      const name = `refused-${randomUUID()}`;
      const topics = { in: `${name}-in`, out: `${name}-out`, latest: `${name}-latest`, letters: `${name}-letters` };
      const client = connect();
      clients.push(client);
      const configs: Readonly<Record<keyof typeof topics, Readonly<Record<string, string>>>> = {
        in: keepAll,
        out: { ...keepAll, "max.message.bytes": String(smallest) },
        latest: { "cleanup.policy": "compact" },
        letters: { "max.message.bytes": String(lettersTake) },
      };
      await client.createTopics(
        (["in", "out", "latest", "letters"] as const).map((each) => ({
          ...{ name: topics[each], partitions: 1, replicationFactor: -1, configs: configs[each] },
        })),
      );
      await client.topics(Object.values(topics));
      const notes = job(name, (flow) => {
        const all = flow.source("in", kafkaSource({ bootstrapServers, topic: topics.in, format: json(Note) }));
        all.to("out", kafkaSink({ bootstrapServers, topic: topics.out, format: json() }));
        // By row: its partitions are looked up when the first row is there.
        all.to(
          "latest",
          kafkaSink({ bootstrapServers, topic: () => topics.latest, format: json(Note), key: (row) => (row.key === "" ? null : row.key) }),
        );
      });
      return {
        topics,
        client,
        read: (topic: keyof typeof topics) => readTopic(client, topics[topic]),
        start: async (config: EmbeddedConfig): Promise<EmbeddedApp> => {
          const own = { sessionTimeoutMs, commitIntervalMs: 50, deadLetterTopic: topics.letters, ...config };
          const app = new EmbeddedApp(notes, own, { openClient: connect });
          open.push(app);
          await app.start();
          return app;
        },
      };
    };

    const note = (key: string, bytes: number): string => JSON.stringify({ key, text: "x".repeat(bytes) });
    const small = (from: number, count: number): readonly string[] => Array.from({ length: count }, (_, i) => note(`k${from + i}`, 100));
    const valuesOf = (records: readonly SeenRecord[]): readonly (string | null)[] => records.map(({ value }) => value);

    it("dead letters: each once with its reason, and everything else is where it belongs, once", async () => {
      const { client, topics, read, start } = await setUp();
      const large = note("large", 3000);
      const huge = note("huge", 20_000);
      // Many small ones: together they are larger than the topic takes of one batch.
      const values = [...small(0, 50), large, note("", 10), ...small(50, 50), huge, ...small(100, 5)];
      expect(await produceTo(client, topics.in, 0, batchOf(values))).toBe(0);
      const first = await start({ onRefusedRecord: "dead-letter" });
      const taken = values.filter((value) => value !== large && value !== huge);
      const keyed = values.filter((value) => !value.includes('"key":""'));
      await expect.poll(async () => valuesOf(await read("out")), limit).toEqual(taken);
      await expect.poll(async () => valuesOf(await read("latest")), limit).toEqual(keyed);
      const letters = await read("letters");
      expect(letters.length).toBe(3);
      const ofLarge = letters.find(({ value }) => value === large);
      const ofHuge = letters.find(({ value }) => value === null);
      const keyless = letters.find(({ value }) => value === note("", 10));
      expect(ofLarge && headersOf(ofLarge)).toMatchObject({
        "__streams.errors.exception": "KAFKA_RECORD_TOO_LARGE",
        "__streams.errors.message": expect.stringContaining(`${topics.out} no more than ${smallest}`) as string,
        "__millrace.errors.uid": "out",
      });
      // Too large for the topic of letters too: the letter says that there was one.
      expect(ofHuge && headersOf(ofHuge)["__millrace.errors.omitted.value.bytes"]).toBe(String(huge.length));
      expect(keyless && headersOf(keyless)).toMatchObject({
        "__streams.errors.exception": "KAFKA_RECORD_REFUSED",
        "__millrace.errors.uid": "latest",
      });
      // Its offsets are committed with the letters: who goes on writes none again.
      await first.close(5000);
      await start({ onRefusedRecord: "dead-letter" });
      expect(await produceTo(client, topics.in, 0, batchOf(["a", "b"].map((key) => note(key, 1))))).toBe(0);
      await expect.poll(async () => (await read("out")).length, limit).toBe(taken.length + 2);
      expect((await read("letters")).length).toBe(3);
    });

    it("by default the task fails and nothing of its transaction is seen; told to put it aside, it goes on and nothing is lost", async () => {
      const { client, topics, read, start } = await setUp();
      const large = note("large", 3000);
      const values = [...small(0, 3), large, ...small(3, 3)];
      expect(await produceTo(client, topics.in, 0, batchOf(values))).toBe(0);
      const app = await start({});
      await expect(app.done).rejects.toMatchObject({ code: "KAFKA_RECORD_TOO_LARGE", subject: `topic ${topics.out}, partition 0` });
      await app.close(5000);
      expect(await read("out")).toEqual([]);
      await start({ onRefusedRecord: "dead-letter" });
      await expect.poll(async () => valuesOf(await read("out")), limit).toEqual(values.filter((value) => value !== large));
      await expect.poll(async () => valuesOf(await read("letters")), limit).toEqual([large]);
    });
  });
}
