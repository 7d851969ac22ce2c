// The Kafka sink keeps the sink contract on a real broker, in both deliveries, and leaves no transaction open behind a start.
import { randomUUID } from "node:crypto";
import { afterAll, expect, it } from "vitest";
import { realKafka } from "../../../../../test/support/real.ts";
import type { Delivery } from "../../../core/ports/sink.ts";
import { type SinkRow, type SinkWorld, sinkContract, sinkSuiteSchema } from "../../contract/index.ts";
import { clientOptions } from "../client/client-options.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { WireKafkaClient } from "../client/wire-client.ts";
import { plainJson } from "./json-rows.suite.ts";
import { rawKafkaSink } from "./kafka-sink.ts";
import { readTopic } from "./read-topic.suite.ts";
import { sinkConfig } from "./sink-options.ts";
import type { KafkaSinkConfig } from "./sink-options.ts";

const server = { bootstrapServers: realKafka().bootstrap };
const run = `sink-${randomUUID()}`;
const reading = new WireKafkaClient(clientOptions(server));
let count = 0;
const topics: string[] = [];

afterAll(async () => {
  await reading.deleteTopics(topics);
  await reading.close();
});

async function openTransactions(prefix: string, states: readonly string[]): Promise<readonly string[]> {
  return (await reading.listTransactions(states)).map((each) => each.transactionalId).filter((id) => id.startsWith(prefix));
}

async function world(delivery: Delivery): Promise<SinkWorld> {
  const topic = `${run}-${count++}`;
  topics.push(topic);
  await reading.createTopics([{ name: topic, partitions: 1, replicationFactor: -1, configs: {} }]);
  const open = new Set<KafkaClient>();
  const options = { ...server, topic, format: plainJson(sinkSuiteSchema), lingerMs: 1, delivery, transactionalIdPrefix: topic };
  return {
    sink: () =>
      rawKafkaSink(sinkConfig(options) as KafkaSinkConfig, (client) => {
        const made = new WireKafkaClient(client);
        open.add(made);
        return made;
      }),
    async visible() {
      // The end of a transaction is answered before its markers are in the log.
      await expect.poll(() => openTransactions(`${topic}.`, ["PrepareCommit", "PrepareAbort"]), { timeout: 60_000 }).toEqual([]);
      return (await readTopic(reading, topic)).map((each) => JSON.parse(each.value ?? "null") as SinkRow);
    },
    async crash() {
      for (const client of open) await client.close();
      open.clear();
    },
    dispose: () => Promise.resolve(),
  };
}

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  sinkContract(it, {
    name: delivery,
    open: () => world(delivery),
    randomLives: 20,
    failures: [
      {
        name: "a topic that does not exist",
        code: "KAFKA_TOPIC_MISSING",
        open: async () =>
          rawKafkaSink(
            sinkConfig({ ...server, topic: `${run}-never`, format: plainJson(sinkSuiteSchema), delivery }) as KafkaSinkConfig,
            (client) => new WireKafkaClient(client),
          ),
      },
    ],
  });
}
