// The Kafka sink keeps the sink contract on the Kafka in memory, in both deliveries.
import { describe, expect, it } from "vitest";
import { type SinkRow, type SinkWorld, sinkContract, sinkSuiteSchema } from "../../contract/index.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import type { Delivery } from "../../../core/ports/sink.ts";
import { plainJson } from "./json-rows.suite.ts";
import { rawKafkaSink } from "./kafka-sink.ts";
import { readTopic } from "./read-topic.suite.ts";
import { sinkConfig } from "./sink-options.ts";
import type { KafkaSinkConfig, KafkaSinkOptions } from "./sink-options.ts";

const server = { bootstrapServers: "memory:1", format: plainJson(sinkSuiteSchema), lingerMs: 1 };

function config(options: Partial<KafkaSinkOptions<SinkRow>>): KafkaSinkConfig {
  return sinkConfig({ ...server, topic: "out", ...options }) as KafkaSinkConfig;
}

async function world(delivery: Delivery): Promise<SinkWorld> {
  const kafka = new MemoryKafka();
  const reading = kafka.client();
  await reading.createTopics([{ name: "out", partitions: 1, replicationFactor: 1, configs: {} }]);
  const open = new Set<KafkaClient>();
  return {
    sink: () =>
      rawKafkaSink(config({ delivery }), () => {
        const client = kafka.client();
        open.add(client);
        return client;
      }),
    visible: async () => (await readTopic(reading, "out")).map((each) => JSON.parse(each.value ?? "null") as SinkRow),
    async crash() {
      for (const client of open) await client.close();
      open.clear();
    },
    async dispose() {
      const hanging = await reading.listTransactions(["Ongoing"]);
      // A process that was killed may leave one open; one that closed may not, and none outlives the next start.
      expect(hanging.length).toBeLessThanOrEqual(6);
    },
  };
}

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  sinkContract(it, {
    name: delivery,
    open: () => world(delivery),
    randomLives: 40,
    failures: [
      {
        name: "a topic that does not exist",
        code: "KAFKA_TOPIC_MISSING",
        open: async () => rawKafkaSink(config({ delivery }), () => new MemoryKafka().client()),
      },
    ],
  });
}

describe("options of a sink", () => {
  it("that make no sense are refused by name", () => {
    const bad: readonly (readonly [string, object])[] = [
      ["topic", { topic: "no spaces" }],
      ["compression", { compression: "brotli" }],
      ["mode", { mode: "upsert" }],
      ["mode", { mode: "retract", key: "id" }],
      ["delivery", { delivery: "at-most-once" }],
      ["lingerMs", { lingerMs: -1 }],
      ["transactionTimeoutMs", { transactionTimeoutMs: 1 }],
    ];
    for (const [option, options] of bad) expect(() => config(options), option).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    expect(() => config({ key: "nope" })).toThrow(expect.objectContaining({ code: "SCHEMA_FIELD_UNKNOWN" }));
    expect(() => config({ lingerMS: 1 } as object)).toThrow(expect.objectContaining({ code: "OPTION_UNKNOWN" }));
  });

  it("are printed without secrets and functions", () => {
    const sink = rawKafkaSink(
      config({ topic: () => "t", key: "id", sasl: { mechanism: "PLAIN", username: "u", password: "SECRET" } }),
      () => new MemoryKafka().client(),
    );
    expect(sink.options).toEqual({
      bootstrapServers: "memory:1",
      sasl: { mechanism: "PLAIN", username: "u" },
      topic: "by row",
      format: "plain-json",
      delivery: "at-least-once",
      mode: "append",
      key: "id",
    });
  });
});
