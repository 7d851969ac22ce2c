// Producing and fetching through the death of brokers: nothing lost, nothing twice, nothing out of order.
import { afterAll, beforeAll, expect, it } from "vitest";
import { type KafkaCluster, startKafkaCluster } from "../../../../test/support/real.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { sinkSuiteSchema } from "../contract/index.ts";
import { contractContext } from "../contract/suite.ts";
import { clientOptions } from "./client/client-options.ts";
import { WireKafkaClient } from "./client/wire-client.ts";
import { BufferBudget } from "./sink/buffer-budget.ts";
import { plainJson } from "./sink/json-rows.suite.ts";
import { RecordProducer } from "./sink/record-producer.ts";
import { kafkaSource } from "./source/kafka-source.ts";
import { noHeaders } from "./wire/record-batch-builder.ts";

const partitions = 6;
let cluster: KafkaCluster;

beforeAll(async () => {
  cluster = await startKafkaCluster(`death-${process.pid}`);
}, 180_000);
afterAll(async () => {
  await cluster.down();
});

const pause = (forMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, forMs));

/** Appends numbers 0, 1, 2, ... to each partition until `until` settles; returns how many each got. */
async function produceUntil(producer: RecordProducer, budget: BufferBudget, topic: string, until: Promise<void>): Promise<number> {
  const queues = Array.from({ length: partitions }, (_, partition) => producer.queue(topic, partition));
  const state = { stopped: false };
  void until.then(() => {
    state.stopped = true;
  });
  let next = 0;
  while (!state.stopped) {
    await budget.ready();
    for (let i = 0; i < 100; i++, next++) {
      const value = Buffer.from(String(next));
      for (const queue of queues) producer.append(queue, 1, value, -1, -1, value, 0, value.length, noHeaders);
    }
    producer.poke();
    await pause(2);
  }
  await producer.flush();
  return next;
}

it("keeps every record once and in order while brokers die and come back", async () => {
  const server = { bootstrapServers: cluster.bootstrap, requestTimeoutMs: 5000 };
  const client = new WireKafkaClient(clientOptions(server));
  const topic = "numbers";
  await client.createTopics([{ name: topic, partitions, replicationFactor: 3, configs: { "min.insync.replicas": "2" } }]);
  const budget = new BufferBudget(1 << 20);
  const options = {
    compression: "lz4",
    batchBytes: 4096,
    requestBytes: 1 << 20,
    lingerMs: 1,
    deliveryTimeoutMs: 120_000,
    requestTimeoutMs: 5000,
  } as const;
  const producer = new RecordProducer(null, options, { client, clock: systemClock, log: silentLog, random: Math.random, budget });
  producer.start(await client.initProducerId(null, 60_000));
  const deaths = (async () => {
    for (const broker of [1, 2]) {
      await pause(2000);
      await cluster.kill(broker);
      await pause(3000);
      await cluster.revive();
    }
    await pause(2000);
  })();
  const { source } = kafkaSource({ ...server, topic, format: plainJson(sinkSuiteSchema) });
  const enumerator = await source.openEnumerator(contractContext());
  const reader = await source.openReader(contractContext());
  reader.assign(await enumerator.discover(new Set()));
  const produced = produceUntil(producer, budget, topic, deaths);
  const expected = { count: Number.POSITIVE_INFINITY };
  void produced.then((count) => {
    expected.count = count;
  });
  const next = new Map<string, number>();
  const isDone = (): boolean => next.size === partitions && [...next.values()].every((count) => count >= expected.count);
  while (!isDone()) {
    const block = reader.poll(1000);
    if (block?.kind !== "raw") {
      await Promise.race([reader.ready(), pause(100)]);
      continue;
    }
    const { records } = block;
    let at = next.get(records.splitId) ?? 0;
    for (let i = 0; i < records.count; i++, at++) {
      const value = Number(Buffer.from(records.bytes.subarray(records.valueStart[i], records.valueEnd[i])).toString());
      if (value !== at) throw new Error(`${records.splitId}: ${value} came where ${at} was due`);
    }
    next.set(records.splitId, at);
  }
  const count = await produced;
  expect(count).toBeGreaterThan(10_000);
  expect([...next.values()]).toEqual(Array.from({ length: partitions }, () => count));
  await Promise.all([reader.close(), enumerator.close(), producer.close()]);
  await client.close();
});
