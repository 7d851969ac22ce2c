// Topics of the Kafka benchmarks: made, filled with bids, read whole.
import { clientOptions } from "../../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../../runtime/src/connectors/kafka/client/wire-client.ts";
import type { Isolation } from "../../../runtime/src/connectors/kafka/wire/offset-apis.ts";
import { RecordBatchReader } from "../../../runtime/src/connectors/kafka/wire/record-batch-reader.ts";
import { RecordBlock } from "../../../runtime/src/connectors/kafka/wire/record-block.ts";
import { produceBlock } from "../../support/produce.ts";
import { type BidBlock, generateBids } from "../bids.ts";

export const partitionCount = 4;

export function openClient(bootstrap: string): WireKafkaClient {
  return new WireKafkaClient(clientOptions({ bootstrapServers: bootstrap, clientId: "millrace-bench" }));
}

/** A topic whose records carry the broker's clock, so that every engine's output is timed by the same one. */
export async function createOutputTopic(client: WireKafkaClient, name: string): Promise<void> {
  await client.createTopics([
    {
      name,
      partitions: partitionCount,
      replicationFactor: 1,
      configs: { "message.timestamp.type": "LogAppendTime", "retention.ms": "-1" },
    },
  ]);
}

/** How many records a topic's partitions have in all; 0 when there is no such topic. */
export async function recordsIn(client: WireKafkaClient, topic: string): Promise<number> {
  try {
    const ends = await endsOf(client, topic);
    return ends.reduce((sum, end) => sum + end, 0);
  } catch {
    return 0;
  }
}

async function endsOf(client: WireKafkaClient, topic: string, isolation: Isolation = "read_uncommitted"): Promise<readonly number[]> {
  const [info] = await client.topics([topic]);
  const partitions = (info?.partitions ?? []).map(({ partition }) => ({ topic, partition, at: "latest" as const }));
  const listed = await client.listOffsets(partitions, isolation);
  return listed.map((each) => each.offset);
}

export type OnValue = (bytes: Buffer, start: number, end: number, timestampMs: number) => void;

/** Hands every record's value to `onValue`, partition by partition, in order. */
export async function readTopic(
  client: WireKafkaClient,
  topic: string,
  onValue: OnValue,
  isolation: Isolation = "read_uncommitted",
): Promise<void> {
  const ends = await endsOf(client, topic, isolation);
  const block = new RecordBlock(8192);
  for (let partition = 0; partition < ends.length; partition++) {
    const end = ends[partition] as number;
    const reader = new RecordBatchReader(`${topic}-${partition}`, { readCommitted: isolation === "read_committed" });
    for (let offset = 0; offset < end; offset = reader.nextOffset) {
      const leaderId = client.leaderOf(topic, partition)?.leaderId ?? -1;
      const maxBytes = 8 * 1024 * 1024;
      const answer = await client.fetch(leaderId, {
        isolation,
        maxWaitMs: 500,
        minBytes: 1,
        maxBytes,
        partitions: [{ topic, partition, offset, leaderEpoch: -1, lastFetchedEpoch: -1, maxBytes }],
      });
      const [got] = answer.partitions;
      if (got === undefined || got.errorCode !== 0) throw new Error(`fetch of ${topic}-${partition} at ${offset}: error ${got?.errorCode}`);
      reader.open(answer.bytes, got.recordsStart, got.recordsEnd, offset, got.aborted);
      while (reader.readInto(block, block.capacity) > 0) {
        for (let i = 0; i < block.count; i++)
          onValue(block.bytes, block.valueStart[i] as number, block.valueEnd[i] as number, block.timestampMs[i] as number);
      }
      reader.clear();
      answer.release();
    }
  }
}

/** Makes `bids` and `bids-wide` of `records` bids each, where they are not there in that size. */
export async function fillInputTopics(client: WireKafkaClient, records: number): Promise<void> {
  for (const [topic, auctions] of [
    ["bids", 10_000],
    ["bids-wide", 2_000_000],
  ] as const) {
    if ((await recordsIn(client, topic)) === records) continue;
    await client.deleteTopics([topic]).catch(() => undefined);
    await untilGone(client, topic);
    await client.createTopics([{ name: topic, partitions: partitionCount, replicationFactor: 1, configs: { "retention.ms": "-1" } }]);
    // A leader that was elected a moment ago may not know it yet; it does once it tells where the topic ends.
    await endsOf(client, topic);
    const chunk = 500_000;
    for (let made = 0; made < records; made += chunk) {
      const block: BidBlock = generateBids({ count: Math.min(chunk, records - made), auctions, seed: 42 + made, from: made });
      await produceBlock(client, topic, partitionCount, block);
    }
    const filled = await recordsIn(client, topic);
    if (filled !== records) throw new Error(`${topic} has ${filled} records after it was filled, not ${records}`);
  }
}

async function untilGone(client: WireKafkaClient, topic: string): Promise<void> {
  while ((await recordsIn(client, topic)) > 0) await new Promise((resolve) => setTimeout(resolve, 200));
}
