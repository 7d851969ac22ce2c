// The Kafka source keeps the source contract on a real broker.
import { randomUUID } from "node:crypto";
import { afterAll, expect, it } from "vitest";
import { realKafka } from "../../../../../test/support/real.ts";
import { sinkSuiteSchema, type SourceWorld, sourceContract } from "../../contract/index.ts";
import { clientOptions } from "../client/client-options.ts";
import { batchOf, produceTo } from "../client/kafka-client.suite.ts";
import { WireKafkaClient } from "../client/wire-client.ts";
import { kafkaSource } from "./kafka-source.ts";
import { plainJson } from "../sink/json-rows.suite.ts";

const server = { bootstrapServers: realKafka().bootstrap };
const format = plainJson(sinkSuiteSchema);
const run = `source-${randomUUID()}`;
const client = new WireKafkaClient(clientOptions(server));
let count = 0;
const topics: string[] = [];
const values = (partition: number, size: number, from = 0): string[] => Array.from({ length: size }, (_, i) => `p${partition}-${from + i}`);

afterAll(async () => {
  await client.deleteTopics(topics);
  await client.close();
});

async function world(bounded: boolean): Promise<SourceWorld> {
  const topic = `${run}-${count++}`;
  topics.push(topic);
  await client.createTopics([{ name: topic, partitions: 3, replicationFactor: -1, configs: {} }]);
  const records = new Map<string, string[]>();
  for (let partition = 0; partition < 3; partition++) {
    const list = values(partition, 5 + partition * 7);
    records.set(`${topic}-${partition}`, list);
    for (let at = 0; at < list.length; at += 4) await produceTo(client, topic, partition, batchOf(list.slice(at, at + 4)));
  }
  const options = { ...server, topic, format, groupId: `${topic}-readers` };
  const { source } = kafkaSource(bounded ? { ...options, bounded } : { ...options, discoveryIntervalMs: 100 });
  if (bounded) return { source, records, dispose: () => Promise.resolve() };
  return {
    source,
    records,
    async addSplit() {
      await client.createPartitions(topic, 4);
      await expect.poll(async () => (await client.topics([topic]))[0]?.partitions.length).toBe(4);
      await produceTo(client, topic, 3, batchOf(values(3, 6)));
      return { id: `${topic}-3`, records: values(3, 6) };
    },
    async addRecords(splitId) {
      const partition = Number(splitId.slice(-1));
      await produceTo(client, topic, partition, batchOf(values(partition, 3, 100)));
      return values(partition, 3, 100);
    },
    dispose: () => Promise.resolve(),
  };
}

for (const bounded of [true, false]) {
  sourceContract(it, {
    name: bounded ? "bounded" : "continuous",
    open: () => world(bounded),
    failures: [
      {
        name: "a topic that does not exist",
        code: "KAFKA_TOPIC_MISSING",
        open: async () => kafkaSource({ ...server, topic: `${run}-never`, format }).source,
      },
      {
        name: "a broker that is not there",
        code: "KAFKA_BROKER_UNREACHABLE",
        open: async () => kafkaSource({ bootstrapServers: "127.0.0.1:1", retryTimeoutMs: 200, topic: "t", format }).source,
      },
    ],
  });
}
