// What a tool asks of Kafka about a consumer group: the partitions of topics, and how many records the group has not read. For the operator.
import { clientOptions } from "./connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "./connectors/kafka/client/wire-client.ts";
import type { KafkaConnectionOptions } from "./connectors/kafka/client/client-options.ts";
import { groupLag, type GroupLag } from "./connectors/kafka/client/group-lag.ts";

export type { GroupLag, KafkaConnectionOptions };

/** Rejects with KAFKA_TOPIC_MISSING and what else a cluster answers. */
export async function readGroupLag(kafka: KafkaConnectionOptions, group: string, topics: readonly string[]): Promise<GroupLag> {
  const client = new WireKafkaClient(clientOptions(kafka));
  try {
    return await groupLag(client, group, topics);
  } finally {
    await client.close();
  }
}
