// Reads a topic whole as any consumer would, with a client that shares nothing with this project.
import { Consumer, MessagesStreamModes, stringDeserializers } from "@platformatic/kafka";

export interface ConsumedRecord {
  readonly key: string | undefined;
  readonly value: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** All committed records of a topic, in order of each partition, up to the ends that it has now. */
export async function consumeCommitted(brokers: readonly string[], topic: string): Promise<readonly ConsumedRecord[]> {
  const consumer = new Consumer({
    groupId: `check-${process.pid}-${Date.now()}`,
    clientId: "check",
    bootstrapBrokers: [...brokers],
    deserializers: stringDeserializers,
    autocommit: false,
    isolationLevel: 1,
  });
  try {
    const offsets = await consumer.listOffsets({ topics: [topic], isolationLevel: 1 });
    const ends = offsets.get(topic) ?? [];
    let left = new Set(ends.map((end, partition) => (end > 0n ? partition : -1)).filter((partition) => partition >= 0));
    const records: ConsumedRecord[] = [];
    if (left.size === 0) return records;
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, isolationLevel: 1, maxWaitTime: 100 });
    let idleSince = Date.now();
    const timer = setInterval(() => {
      // The last records of a partition may be control records, which no consumer shows: then nothing more comes.
      if (Date.now() - idleSince > 3000) stream.close().catch(() => {});
    }, 200);
    try {
      for await (const message of stream) {
        idleSince = Date.now();
        records.push({ key: message.key, value: message.value, partition: message.partition, offset: message.offset });
        if (message.offset + 1n >= (ends[message.partition] ?? 0n)) {
          left = new Set([...left].filter((partition) => partition !== message.partition));
          if (left.size === 0) break;
        }
      }
    } finally {
      clearInterval(timer);
      await stream.close();
    }
    return records;
  } finally {
    await consumer.close(true);
  }
}
