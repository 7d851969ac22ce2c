// What members of a group of type "consumer" tell each other, in the encoding that Kafka's own tools read: subscriptions and assignments.
import type { TopicPartition } from "../wire/api.ts";
import { byTopic } from "../wire/api.ts";
import { ProtocolReader } from "../wire/protocol-reader.ts";
import { ProtocolWriter } from "../wire/protocol-writer.ts";

export interface Subscription {
  readonly topics: readonly string[];
  readonly userData: Uint8Array;
  readonly owned: readonly TopicPartition[];
}

export interface Assignment {
  readonly partitions: readonly TopicPartition[];
  readonly userData: Uint8Array;
}

// Version 1 has the partitions that a member owns (KIP-429); a reader of a newer version skips what it does not know.
const version = 1;

function writePartitions(writer: ProtocolWriter, partitions: readonly TopicPartition[]): void {
  writer.array(byTopic(partitions), ([topic, entries]) => writer.string(topic).array(entries, (entry) => writer.i32(entry.partition)));
}

function readPartitions(reader: ProtocolReader): readonly TopicPartition[] {
  return reader
    .array(() => {
      const topic = reader.string();
      return reader.array(() => ({ topic, partition: reader.i32() }));
    })
    .flat();
}

export function encodeSubscription({ topics, userData, owned }: Subscription): Buffer {
  const writer = new ProtocolWriter(false);
  writer
    .i16(version)
    .array(topics, (topic) => writer.string(topic))
    .bytes(userData);
  writePartitions(writer, owned);
  return writer.view();
}

/** Throws RangeError for bytes that are no subscription. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new ProtocolReader(bytes, false);
  const found = reader.i16();
  const topics = reader.array(() => reader.string());
  const userData = Buffer.from(reader.bytes());
  return { topics, userData, owned: found >= 1 ? readPartitions(reader) : [] };
}

export function encodeAssignment({ partitions, userData }: Assignment): Buffer {
  const writer = new ProtocolWriter(false);
  writer.i16(version);
  writePartitions(writer, partitions);
  writer.bytes(userData);
  return writer.view();
}

/** An empty assignment is what a member has whom the leader did not know yet. Throws RangeError for bytes that are none. */
export function decodeAssignment(bytes: Buffer): Assignment {
  if (bytes.length === 0) return { partitions: [], userData: Buffer.alloc(0) };
  const reader = new ProtocolReader(bytes, false);
  reader.i16();
  return { partitions: readPartitions(reader), userData: Buffer.from(reader.bytes()) };
}
