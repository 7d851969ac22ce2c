// How far a group is behind: partitions that it has read, that it never has, and topics that are not there.
import { expect, test } from "vitest";
import { groupLag } from "./group-lag.ts";
import type { KafkaClient } from "./kafka-client.ts";
import { MemoryKafka } from "./memory-kafka.ts";

/** Ends and beginnings by partition, offsets by group. */
function clientOf(
  topics: Readonly<Record<string, readonly (readonly [begin: number, end: number, committed: number | undefined])[]>>,
): KafkaClient {
  const all = (topic: string): readonly (readonly [number, number, number | undefined])[] => topics[topic] ?? [];
  return {
    topics: (names: readonly string[]) =>
      Promise.resolve(names.map((name) => ({ name, topicId: name, partitions: all(name).map(() => ({})) }))),
    groupOffsets: (_group: string, asked: readonly { topic: string; partition: number }[]) =>
      Promise.resolve(asked.map((one) => ({ ...one, offset: all(one.topic)[one.partition]?.[2] ?? -1 }))),
    listOffsets: (asked: readonly { topic: string; partition: number; at: string }[]) =>
      Promise.resolve(
        asked.map(({ at, ...one }) => ({ ...one, leaderEpoch: 0, offset: all(one.topic)[one.partition]?.[at === "latest" ? 1 : 0] ?? 0 })),
      ),
  } as unknown as KafkaClient;
}

test.each<[string, Parameters<typeof clientOf>[0], number]>([
  ["what is committed counts to the end", { a: [[0, 100, 40]] }, 60],
  ["what was never read counts from the beginning", { a: [[10, 100, undefined]] }, 90],
  [
    "all partitions of all topics count",
    {
      a: [
        [0, 10, 0],
        [0, 10, 10],
      ],
      b: [[0, 5, undefined]],
    },
    15,
  ],
  ["a topic that was made anew is not behind by less than nothing", { a: [[0, 5, 50]] }, 0],
])("%s", async (_name, topics, lag) => {
  const partitions = Object.values(topics).map((each) => each.length);
  expect(await groupLag(clientOf(topics), "g", Object.keys(topics))).toEqual({
    partitions: partitions.reduce((sum, one) => sum + one, 0),
    mostPartitions: Math.max(...partitions),
    lag,
  });
});

test("a topic that is not there is an error with its name", async () => {
  await expect(groupLag(new MemoryKafka().client(), "g", ["nowhere"])).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING" });
});
