// What a broker would refuse for its size or its content, known by the topic's configuration before it is sent: so that one such record is put
// aside, and the transaction of all others is not lost with it.
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { loneBatchBytes } from "../wire/record-batch-builder.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { RecordProducer } from "./record-producer.ts";

/** What a topic takes. */
export interface TopicRules {
  /** Of a batch, as it is sent. */
  readonly maxBatchBytes: number;
  /** A compacted topic has no place for records without a key. */
  readonly needsKey: boolean;
}

export interface RefusedRecord {
  readonly code: "KAFKA_RECORD_TOO_LARGE" | "KAFKA_RECORD_REFUSED";
  readonly reason: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** How a record may differ in a batch with others: its timestamp and its number, as varints. */
const mostDeltaBytes = 16;

export async function topicRules(client: KafkaClient, topic: string): Promise<TopicRules> {
  const configs = await client.topicConfigs(topic);
  return {
    maxBatchBytes: Number(configs.get("max.message.bytes") ?? Infinity),
    needsKey: (configs.get("cleanup.policy") ?? "").split(",").includes("compact"),
  };
}

export class RecordGate {
  readonly #client: KafkaClient;
  readonly #refused: (record: RefusedRecord) => void;
  readonly #rules = new Map<string, TopicRules>();

  constructor(client: KafkaClient, refused: (record: RefusedRecord) => void) {
    this.#client = client;
    this.#refused = refused;
  }

  /** Rejects when the topic's configuration may not be read. */
  async learn(topic: string): Promise<void> {
    this.#rules.set(topic, await topicRules(this.#client, topic));
  }

  /** False for a record that was put aside. `key` and `value` are good only for the time of the call. */
  admits(
    producer: RecordProducer,
    queue: PartitionQueue,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: RecordHeaders,
  ): boolean {
    const rules = this.#rules.get(queue.topic);
    if (rules === undefined) return true;
    if (rules.needsKey && key === null) {
      this.#putAside("KAFKA_RECORD_REFUSED", `topic ${queue.topic} is compacted, and the record has no key`, key, value);
      return false;
    }
    const bytes = loneBatchBytes(key?.length ?? -1, value?.length ?? -1, headers);
    if (bytes > rules.maxBatchBytes) {
      const reason = `the record takes ${bytes} bytes, and topic ${queue.topic} no more than ${rules.maxBatchBytes}`;
      this.#putAside("KAFKA_RECORD_TOO_LARGE", reason, key, value);
      return false;
    }
    // Records that are small enough make no batch that is too large.
    producer.fits(queue, bytes + mostDeltaBytes, rules.maxBatchBytes);
    return true;
  }

  #putAside(code: RefusedRecord["code"], reason: string, key: Uint8Array | null, value: Uint8Array | null): void {
    this.#refused({ code, reason, key: key && Uint8Array.from(key), value: value && Uint8Array.from(value) });
  }
}
