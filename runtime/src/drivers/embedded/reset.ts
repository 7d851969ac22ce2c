// Forgets an application: its offsets, its state and what waits in its own topics, so that it begins again as if it had never run.
import { isMillraceError, MillraceError } from "../../base/errors.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { controlTopic } from "./control/control-log.ts";
import type { Topology } from "./topology/sub-topologies.ts";

export interface ResetReport {
  readonly groupId: string;
  /** The application's own topics that there were. */
  readonly topics: readonly string[];
  /** Partitions of its inputs that it had committed offsets for. */
  readonly offsets: number;
}

/** What `resetApp` would delete, and whether it may: rejects with KAFKA_GROUP_IN_USE while a process of the application runs. */
export async function planReset({ applicationId, subTopologies, edges }: Topology, client: KafkaClient): Promise<ResetReport> {
  const { members } = await client.describeGroup(applicationId);
  if (members.length > 0) {
    throw new MillraceError(
      "KAFKA_GROUP_IN_USE",
      `group ${applicationId}`,
      `has ${members.length} members: ${members.map((each) => each.groupInstanceId ?? each.memberId).join(", ")}`,
      "stop all processes of the application first; a process with an instance id counts until its session has ended",
    );
  }
  const topics: string[] = [];
  for (const topic of [
    ...edges.map((edge) => edge.topic),
    ...subTopologies.flatMap(({ stores }) => stores.map((store) => store.topic)),
    controlTopic(applicationId),
  ]) {
    if (await exists(client, topic)) topics.push(topic);
  }
  return { groupId: applicationId, topics, offsets: (await client.groupOffsets(applicationId)).length };
}

/** The input and output topics stay as they are. Rejects as `planReset`. */
export async function resetApp(topology: Topology, client: KafkaClient): Promise<ResetReport> {
  const report = await planReset(topology, client);
  // The offsets last: a reset that was interrupted can be repeated, and nothing reads half of the state meanwhile.
  if (report.topics.length > 0) await client.deleteTopics(report.topics);
  await client.deleteGroup(report.groupId);
  return report;
}

async function exists(client: KafkaClient, topic: string): Promise<boolean> {
  try {
    await client.topicConfigs(topic);
    return true;
  } catch (error) {
    if (isMillraceError(error, "KAFKA_TOPIC_MISSING")) return false;
    throw error;
  }
}
