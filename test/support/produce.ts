// Fills Kafka topics for tests and benchmarks: values from one block of memory, dealt to the partitions in turn.
import type { KafkaClient } from "../../runtime/src/connectors/kafka/client/kafka-client.ts";
import { kindOfCode } from "../../runtime/src/connectors/kafka/client/kafka-problem.ts";
import { RecordBatchBuilder } from "../../runtime/src/connectors/kafka/wire/record-batch-builder.ts";

/** Ranges of one buffer, a value each. */
export interface ValueBlock {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const batchBytes = 512 * 1024;

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
        const leaderId = client.leaderOf(topic, partition)?.leaderId ?? -1;
        const [result] = await client.produce(leaderId, {
          transactionalId: null,
          acks: -1,
          timeoutMs: 30_000,
          batches: [{ topic, partition, batch }],
        });
        const code = result?.errorCode ?? -1;
        if (code === 0) break;
        // The leader of a topic that was created a moment ago may not know it yet; what it refused it has not stored.
        if (kindOfCode(code) !== "leader" || attempt === 50) throw new Error(`produce to ${topic}-${partition} failed with error ${code}`);
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
