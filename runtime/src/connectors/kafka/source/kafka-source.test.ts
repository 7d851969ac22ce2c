// The Kafka source keeps the source contract, on the Kafka in memory: starts, ends, new partitions, positions.
import { describe, expect, it } from "vitest";
import type { SourceSplit } from "../../../core/ports/source.ts";
import { type SourceWorld, sourceContract } from "../../contract/index.ts";
import { contractContext } from "../../contract/suite.ts";
import { batchOf, produceTo } from "../client/kafka-client.suite.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { rawKafkaSource } from "./kafka-source.ts";
import { sourceConfig } from "./source-options.ts";
import type { KafkaSourceOptions } from "./source-options.ts";

const server = { bootstrapServers: "memory:1" };
const values = (partition: number, count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `p${partition}-${from + i}`);

async function world(bounded: boolean): Promise<SourceWorld> {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  await client.createTopics([{ name: "bids", partitions: 3, replicationFactor: 1, configs: {} }]);
  const records = new Map<string, string[]>();
  for (let partition = 0; partition < 3; partition++) {
    const list = values(partition, 5 + partition * 7);
    records.set(`bids-${partition}`, list);
    for (let at = 0; at < list.length; at += 4) await produceTo(client, "bids", partition, batchOf(list.slice(at, at + 4)));
  }
  const config = sourceConfig({
    ...server,
    topic: "bids",
    bounded,
    groupId: "readers",
    discoveryIntervalMs: bounded ? undefined : 50,
  } as KafkaSourceOptions);
  return {
    source: rawKafkaSource(config, () => kafka.client()),
    records,
    dispose: () => Promise.resolve(),
    ...(bounded
      ? {}
      : {
          async addSplit() {
            await client.createPartitions("bids", 4);
            await produceTo(client, "bids", 3, batchOf(values(3, 6)));
            return { id: "bids-3", records: values(3, 6) };
          },
          async addRecords(splitId: string) {
            const partition = Number(splitId.slice(-1));
            const added = values(partition, 3, 100);
            await produceTo(client, "bids", partition, batchOf(added));
            return added;
          },
        }),
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
        open: async () => rawKafkaSource(sourceConfig({ ...server, topic: "never" }), () => new MemoryKafka().client()),
      },
    ],
  });
}

describe("where a source begins", () => {
  async function starts(
    options: Omit<KafkaSourceOptions, "bootstrapServers" | "topic">,
    known: ReadonlySet<string> = new Set(),
  ): Promise<unknown> {
    const kafka = new MemoryKafka();
    const client = kafka.client();
    await client.createTopics([{ name: "t", partitions: 3, replicationFactor: 1, configs: {} }]);
    await produceTo(client, "t", 0, batchOf(values(0, 10), undefined, 5000));
    await produceTo(client, "t", 1, batchOf(values(1, 4), undefined, 9000));
    await client.deleteRecords("t", 1, 2);
    await client.commitGroupOffsets("g", [{ topic: "t", partition: 0, offset: 7, leaderEpoch: -1, metadata: "" }]);
    const source = rawKafkaSource(sourceConfig({ ...server, topic: "t", ...options }), () => kafka.client());
    const enumerator = await source.openEnumerator(contractContext());
    const splits = (await enumerator.discover(known)) as readonly SourceSplit[];
    await enumerator.close();
    return splits.map(({ id, position }) => {
      const { offset, endOffset } = position as { offset: number; endOffset?: number };
      return [id, offset, ...(endOffset === undefined ? [] : [endOffset])];
    });
  }

  it("is as the options say, per partition", async () => {
    expect(await starts({})).toEqual([
      ["t-0", 0],
      ["t-1", 2],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: "latest" })).toEqual([
      ["t-0", 10],
      ["t-1", 4],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: "group", groupId: "g" })).toEqual([
      ["t-0", 7],
      ["t-1", 2],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: "group", groupId: "g", otherwise: "latest" })).toEqual([
      ["t-0", 7],
      ["t-1", 4],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: { timestampMs: 5004 } })).toEqual([
      ["t-0", 4],
      ["t-1", 2],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: { timestampMs: 9001 } })).toEqual([
      ["t-0", 10],
      ["t-1", 2],
      ["t-2", 0],
    ]);
    expect(await starts({ startFrom: { offsets: { "t-0": 3 } } })).toEqual([
      ["t-0", 3],
      ["t-1", 2],
      ["t-2", 0],
    ]);
  });

  it("is the beginning for partitions that came later", async () => {
    expect(await starts({ startFrom: "latest" }, new Set(["t-0"]))).toEqual([
      ["t-1", 2],
      ["t-2", 0],
    ]);
  });

  it("has its end with it when it is bounded", async () => {
    expect(await starts({ bounded: true })).toEqual([
      ["t-0", 0, 10],
      ["t-1", 2, 4],
      ["t-2", 0, 0],
    ]);
    expect(await starts({ bounded: { offsets: { "t-0": 6 } } })).toEqual([
      ["t-0", 0, 6],
      ["t-1", 2, 4],
      ["t-2", 0, 0],
    ]);
  });

  it("cannot be anything else", () => {
    const bad: readonly object[] = [
      { startFrom: "group" },
      { startFrom: "somewhere" },
      { startFrom: { offsets: { "t-0": -1 } } },
      { topic: "no spaces please" },
      { topic: [] },
      { isolation: "serializable" },
      { maxBufferedBytes: 1 },
      { discoveryIntervalMs: 0 },
    ];
    for (const each of bad)
      expect(() => sourceConfig({ ...server, topic: "t", ...each })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    expect(() => sourceConfig({ ...server, topic: "t", statFrom: "earliest" } as KafkaSourceOptions)).toThrow(
      expect.objectContaining({ code: "OPTION_UNKNOWN" }),
    );
  });
});

it("tells the group where completed checkpoints are", async () => {
  const kafka = new MemoryKafka();
  await kafka.client().createTopics([{ name: "t", partitions: 1, replicationFactor: 1, configs: {} }]);
  await produceTo(kafka.client(), "t", 0, batchOf(values(0, 5)));
  const source = rawKafkaSource(sourceConfig({ ...server, topic: "t", groupId: "g" }), () => kafka.client());
  const reader = await source.openReader(contractContext());
  reader.assign([{ id: "t-0", position: { offset: 1, leaderEpoch: -1, topicId: "" } }]);
  while (reader.poll(2) === null) await reader.ready();
  await reader.checkpointCompleted?.(reader.snapshot());
  expect(await kafka.client().groupOffsets("g")).toMatchObject([{ topic: "t", partition: 0, offset: 3 }]);
  await reader.close();
});

it("refuses a position that is not its own", async () => {
  const source = rawKafkaSource(sourceConfig({ ...server, topic: "t" }), () => new MemoryKafka().client());
  const reader = await source.openReader(contractContext());
  for (const split of [
    { id: "t", position: { offset: 1 } },
    { id: "t-0", position: 7 },
    { id: "t-0", position: { offset: -1 } },
    { id: "t-0", position: null },
  ]) {
    expect(() => reader.assign([split])).toThrow(expect.objectContaining({ code: "POSITION_INVALID" }));
  }
  await reader.close();
});
