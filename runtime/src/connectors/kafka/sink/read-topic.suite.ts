// Reads a topic as a consumer outside sees it: for the tests of the sink.
import type { KafkaClient } from "../client/kafka-client.ts";
import { RecordBatchReader } from "../wire/record-batch-reader.ts";
import { RecordBlock } from "../wire/record-block.ts";
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";

export interface SeenRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: RecordHeaders;
}

/** Every committed record of a topic up to its last stable offset, partition by partition. */
export async function readTopic(client: KafkaClient, topic: string): Promise<readonly SeenRecord[]> {
  const [info] = await client.topics([topic]);
  const seen: SeenRecord[] = [];
  const block = new RecordBlock(1000);
  for (const { partition } of info?.partitions ?? []) {
    const [end] = await client.listOffsets([{ topic, partition, at: "latest" }], "read_committed");
    const reader = new RecordBatchReader(`${topic}-${partition}`, { readCommitted: true });
    for (let offset = 0; offset < (end?.offset ?? 0); offset = reader.nextOffset) {
      const leaderId = client.leaderOf(topic, partition)?.leaderId ?? -1;
      const entry = { topic, partition, offset, leaderEpoch: -1, lastFetchedEpoch: -1, maxBytes: 1 << 20 };
      const answer = await client.fetch(leaderId, {
        isolation: "read_committed",
        maxWaitMs: 100,
        minBytes: 1,
        maxBytes: 1 << 24,
        partitions: [entry],
      });
      const [fetched] = answer.partitions;
      if (fetched === undefined || fetched.errorCode !== 0)
        throw new Error(`partition ${partition} of ${topic} cannot be read: ${fetched?.errorCode}`);
      reader.open(answer.bytes, fetched.recordsStart, fetched.recordsEnd, offset, fetched.aborted);
      while (reader.readInto(block, 1000) > 0) for (let i = 0; i < block.count; i++) seen.push(recordOf(block, i, partition));
      answer.release();
    }
  }
  return seen;
}

function recordOf(block: RecordBlock, i: number, partition: number): SeenRecord {
  const text = (start: number, end: number): string | null => (start < 0 ? null : block.bytes.toString("utf8", start, end));
  return {
    partition,
    offset: block.position[i] as number,
    timestampMs: block.timestampMs[i] as number,
    key: text(block.keyStart[i] as number, block.keyEnd[i] as number),
    value: text(block.valueStart[i] as number, block.valueEnd[i] as number),
    headers: block.headersOf(i).map(([name, value]) => [name, value === null ? null : Buffer.from(value)] as const),
  };
}
