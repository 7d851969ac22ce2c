// How far a consumer group is behind its topics. What it has never read counts from the beginning, as its first start will.
import type { KafkaClient } from "./kafka-client.ts";

export interface GroupLag {
  /** Of all topics together. */
  readonly partitions: number;
  /** The most that one topic has. */
  readonly mostPartitions: number;
  readonly lag: number;
}

export async function groupLag(client: KafkaClient, group: string, topics: readonly string[]): Promise<GroupLag> {
  const infos = await client.topics(topics);
  const partitions = infos.flatMap(({ name, partitions: all }) => all.map((_info, partition) => ({ topic: name, partition })));
  const key = ({ topic, partition }: { readonly topic: string; readonly partition: number }): string => `${topic} ${partition}`;
  const [committed, ends] = await Promise.all([
    client.groupOffsets(group, partitions),
    client.listOffsets(
      partitions.map((one) => ({ ...one, at: "latest" as const })),
      "read_committed",
    ),
  ]);
  const read = new Map(committed.filter(({ offset }) => offset >= 0).map((one) => [key(one), one.offset]));
  const unread = partitions.filter((one) => !read.has(key(one)));
  const begins =
    unread.length === 0
      ? []
      : await client.listOffsets(
          unread.map((one) => ({ ...one, at: "earliest" as const })),
          "read_committed",
        );
  for (const one of begins) read.set(key(one), one.offset);
  const lag = ends.reduce((sum, end) => sum + Math.max(0, end.offset - (read.get(key(end)) ?? end.offset)), 0);
  return { partitions: partitions.length, mostPartitions: Math.max(0, ...infos.map(({ partitions: all }) => all.length)), lag };
}
