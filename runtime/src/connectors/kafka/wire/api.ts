// What one Kafka request is: its key, the one version spoken here, and its two halves. Field order follows Kafka's message definitions.
import type { ProtocolReader } from "./protocol-reader.ts";
import type { ProtocolWriter } from "./protocol-writer.ts";

export interface KafkaApi<Request, Response> {
  readonly name: string;
  readonly key: number;
  /** The only version that is spoken: one that both Kafka 3.0 and the newest release serve. */
  readonly version: number;
  /** Compact encoding and tagged fields, in the headers too. */
  readonly flexible: boolean;
  readonly encode: (writer: ProtocolWriter, request: Request) => void;
  readonly decode: (reader: ProtocolReader) => Response;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Groups entries by topic, as every request about partitions wants them. */
export function byTopic<T extends TopicPartition>(entries: readonly T[]): readonly (readonly [topic: string, entries: readonly T[]])[] {
  const topics = new Map<string, T[]>();
  for (const entry of entries) {
    const known = topics.get(entry.topic);
    if (known === undefined) topics.set(entry.topic, [entry]);
    else known.push(entry);
  }
  return [...topics];
}
