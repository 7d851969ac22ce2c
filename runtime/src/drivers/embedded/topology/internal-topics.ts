// The topics that an application keeps for itself: which there are, how they are configured, and whether those that exist will do.
import { MillraceError } from "../../../base/errors.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import { controlTopic } from "../control/control-log.ts";
import type { Topology } from "./sub-topologies.ts";

export interface InternalTopic {
  readonly name: string;
  readonly kind: "repartition" | "changelog" | "control";
  readonly partitions: number;
}

export function internalTopics({ applicationId, subTopologies, edges }: Topology, counts: readonly number[]): readonly InternalTopic[] {
  return [
    { name: controlTopic(applicationId), kind: "control", partitions: 1 },
    ...edges.map(({ topic, to }) => ({ name: topic, kind: "repartition" as const, partitions: counts[to] as number })),
    ...subTopologies.flatMap(({ id, stores }) =>
      stores.map(({ topic }) => ({ name: topic, kind: "changelog" as const, partitions: counts[id] as number })),
    ),
  ];
}

// Rows wait in a repartition topic until the task behind it has committed them, however long that takes; the application deletes them then.
const repartitionConfigs = { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" };
// Entries that are gone are deleted by records without a value, so that compaction alone keeps the topic as small as the state.
// Copies on disk are gone on with only while those records are certain to be there still.
const compactConfigs = { "cleanup.policy": "compact", "delete.retention.ms": "86400000" };

export interface InternalTopicOptions {
  readonly replicationFactor: number;
  /** Over what is needed, for all of them. */
  readonly configs: Readonly<Record<string, string>>;
}

/**
 * Creates the topics that are missing and checks those that exist. Rejects with EMBEDDED_TOPIC_PARTITIONS or EMBEDDED_TOPIC_CONFIG:
 * what a topic holds depends on both, so a topic is never changed to fit.
 */
export async function ensureInternalTopics(
  client: KafkaClient,
  topics: readonly InternalTopic[],
  { replicationFactor, configs }: InternalTopicOptions,
): Promise<void> {
  if (topics.length === 0) return;
  await client.createTopics(
    topics.map(({ name, kind, partitions }) => ({
      name,
      partitions,
      replicationFactor,
      configs: { ...configs, ...(kind === "repartition" ? repartitionConfigs : compactConfigs) },
    })),
  );
  const found = await client.topics(topics.map((topic) => topic.name));
  for (const [index, topic] of topics.entries()) {
    const partitions = found[index]?.partitions.length ?? 0;
    if (partitions !== topic.partitions) throw wrongPartitions(topic, partitions);
    const policy = (await client.topicConfigs(topic.name)).get("cleanup.policy") ?? "delete";
    if (topic.kind !== "repartition" && policy !== "compact") throw wrongPolicy(topic, policy, "compact");
    if (topic.kind === "repartition" && policy.includes("compact")) throw wrongPolicy(topic, policy, "delete");
  }
}

function wrongPartitions({ name, kind, partitions }: InternalTopic, found: number): MillraceError {
  return new MillraceError(
    "EMBEDDED_TOPIC_PARTITIONS",
    `${kind} topic ${name}`,
    `has ${found} partitions where the application has ${partitions} tasks: the partitions of its input topics have changed, or it belongs to another application`,
    "give the application another id, or reset it (which deletes its topics), or restore the old number of partitions of the input",
  );
}

function wrongPolicy({ name, kind }: InternalTopic, found: string, wanted: string): MillraceError {
  return new MillraceError(
    "EMBEDDED_TOPIC_CONFIG",
    `${kind} topic ${name}`,
    `has cleanup.policy=${found}, which would lose what the application keeps in it`,
    `set cleanup.policy=${wanted} on it, once it is certain that nothing is missing from it already`,
  );
}
