// Fills Kafka topics for tests and benchmarks: values from one block of memory, dealt to the partitions in turn.
import type { KafkaClient } from "../../runtime/src/connectors/kafka/client/kafka-client.ts";
import { KafkaProblem, problemOf } from "../../runtime/src/connectors/kafka/client/kafka-problem.ts";
import { RecordBatchBuilder } from "../../runtime/src/connectors/kafka/wire/record-batch-builder.ts";

/** Ranges of one buffer, a value each. */
export interface ValueBlock {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const batchBytes = 512 * 1024;
const mostAttempts = 600;

/** Value i goes to partition i modulo `partitions`, in order; resolves when all are acknowledged. */
export async function produceBlock(client: KafkaClient, topic: string, partitions: number, block: ValueBlock): Promise<void> {
  await client.topics([topic]);
  const nowMs = Date.now();
  const send = async (partition: number): Promise<void> => {
    let builder = new RecordBatchBuilder(batchBytes, "none");
    const flush = async (): Promise<void> => {
      if (builder.count === 0) return;
      const batch = builder.finish({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false });
      for (let attempt = 0; ; attempt++) {
        const problem = await produceOnce(client, topic, partition, batch);
        if (problem === undefined) break;
        // The leader of a topic that was created a moment ago may not know it yet, and a busy broker may be taken for gone: what was refused, or not sent
        // at all, is not stored.
        if (problem.kind !== "leader" || attempt === mostAttempts) throw problem;
        await new Promise((resolve) => setTimeout(resolve, 100));
        await client.topics([topic]);
      }
      builder = new RecordBatchBuilder(batchBytes, "none");
    };
    for (let i = partition; i < block.starts.length; i += partitions) {
      builder.append(nowMs, block.bytes, -1, -1, block.bytes, block.starts[i] as number, block.ends[i] as number, []);
      if (builder.sizeBytes > batchBytes - 4096) await flush();
    }
    await flush();
  };
  await Promise.all(Array.from({ length: partitions }, (_, partition) => send(partition)));
}

async function produceOnce(client: KafkaClient, topic: string, partition: number, batch: Buffer): Promise<KafkaProblem | undefined> {
  const leaderId = client.leaderOf(topic, partition)?.leaderId ?? -1;
  const request = { transactionalId: null, acks: -1, timeoutMs: 30_000, batches: [{ topic, partition, batch }] } as const;
  try {
    const [result] = await client.produce(leaderId, request);
    const code = result?.errorCode ?? -1;
    return code === 0 ? undefined : problemOf(code, `produce to ${topic}-${partition}`);
  } catch (error) {
    if (error instanceof KafkaProblem) return error;
    throw error;
  }
}
