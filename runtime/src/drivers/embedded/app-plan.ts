// What an application runs, worked out from its dataflow and the topics that exist: sub-topologies, tasks, and what goes into the group's messages.
import { MillraceError } from "../../base/errors.ts";
import type { ClientOptions } from "../../connectors/kafka/client/client-options.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { isKafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { isKafkaSource, type KafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import type { TopicPartition } from "../../connectors/kafka/wire/api.ts";
import type { Dataflow, DataflowNode } from "../../plan/dataflow.ts";
import type { AssignableTask } from "./assignment/assign.ts";
import type { TaskPlace } from "./task/task-host.ts";
import { fingerprintOf, isGlobalTable, splitDataflow, taskCounts, taskId, type Topology } from "./topology/sub-topologies.ts";

export interface AppPlan {
  readonly topology: Topology;
  readonly counts: readonly number[];
  readonly fingerprint: string;
  readonly places: ReadonlyMap<string, TaskPlace>;
  readonly tasks: readonly AssignableTask[];
  /** Source and repartition topics: what the group subscribes to. */
  readonly topics: readonly string[];
  /** The partitions that a task reads. */
  partitionsOf(taskId: string): readonly TopicPartition[];
}

const sourceOf = (node: DataflowNode): KafkaSource | undefined =>
  node.body.kind === "source" && isKafkaSource(node.body.source) ? node.body.source : undefined;

/** Throws EMBEDDED_SOURCE, EMBEDDED_SINK, EMBEDDED_CLUSTER or EMBEDDED_TOPIC_TWICE for a dataflow that this shape cannot run. */
export function checkDataflow(dataflow: Dataflow, client: ClientOptions): void {
  const readBy = new Map<string, string>();
  for (const node of dataflow.nodes) {
    if (node.body.kind === "sink" && !isKafkaSink(node.body.sink)) {
      throw new MillraceError(
        "EMBEDDED_SINK",
        `sink "${node.uid}"`,
        `${node.body.sink.connector} cannot be part of a task's transaction`,
        "write to a Kafka topic, and let a connector of its own take it from there; or run the job as a StreamJob",
      );
    }
    if (node.body.kind !== "source") continue;
    const source = sourceOf(node);
    if (source === undefined || source.bounded) {
      throw new MillraceError(
        "EMBEDDED_SOURCE",
        `source "${node.uid}"`,
        source === undefined
          ? `${node.body.source.connector} has no partitions that a group could share`
          : "is bounded, but a group has no end",
        "read a Kafka topic without an end; or run the job as a StreamJob",
      );
    }
    if (source.kafka.client.subject !== client.subject) {
      throw new MillraceError(
        "EMBEDDED_CLUSTER",
        `source "${node.uid}"`,
        `reads from ${source.kafka.client.subject}, but the application's cluster is ${client.subject}: a transaction cannot span two`,
        "use one cluster, and mirror the topic into it",
      );
    }
    for (const topic of source.kafka.topics) {
      const other = readBy.get(topic);
      if (other !== undefined) {
        throw new MillraceError(
          "EMBEDDED_TOPIC_TWICE",
          `source "${node.uid}"`,
          `reads ${topic}, as "${other}" does: a group has one offset for each partition`,
          "declare the source once, and use its stream twice",
        );
      }
      readBy.set(topic, node.uid);
    }
  }
}

export async function planApp(dataflow: Dataflow, applicationId: string, maxParallelism: number, client: KafkaClient): Promise<AppPlan> {
  const topology = splitDataflow(dataflow, applicationId);
  const sourceTopics = [...new Set(dataflow.nodes.flatMap((node) => sourceOf(node)?.kafka.topics ?? []))];
  const tableTopics = new Set(dataflow.nodes.filter(isGlobalTable).flatMap((node) => sourceOf(node)?.kafka.topics ?? []));
  const partitions = new Map((await client.topics(sourceTopics)).map((topic) => [topic.name, topic.partitions.length]));
  const most = (node: DataflowNode): number =>
    Math.max(0, ...(sourceOf(node)?.kafka.topics ?? []).map((topic) => partitions.get(topic) ?? 0));
  const counts = taskCounts(topology, most, maxParallelism);
  const places = new Map<string, TaskPlace>();
  const tasks: AssignableTask[] = [];
  for (const subTopology of topology.subTopologies) {
    for (let partition = 0; partition < (counts[subTopology.id] as number); partition++) {
      const id = taskId(subTopology.id, partition);
      places.set(id, { id, subTopology, partition });
      tasks.push({ id, subTopology: subTopology.id, partition, stateful: subTopology.stores.length > 0 });
    }
  }
  return {
    topology,
    counts,
    fingerprint: fingerprintOf(topology, counts),
    places,
    tasks,
    topics: [...sourceTopics.filter((topic) => !tableTopics.has(topic)), ...topology.edges.map((edge) => edge.topic)],
    partitionsOf(id) {
      const place = places.get(id);
      if (place === undefined) return [];
      const { subTopology, partition } = place;
      const read = subTopology.sources
        .flatMap((node) => sourceOf(node)?.kafka.topics ?? [])
        .filter((topic) => partition < (partitions.get(topic) ?? 0));
      return [...read, ...subTopology.inbound.map((edge) => edge.topic)].map((topic) => ({ topic, partition }));
    },
  };
}

/** The cluster of the first source. Throws EMBEDDED_SOURCE where there is none. */
export function firstCluster(dataflow: Dataflow, applicationId: string): ClientOptions {
  const found = dataflow.nodes.map(sourceOf).find((source) => source !== undefined)?.kafka.client;
  if (found !== undefined) return found;
  const next = "read one; or run the job as a StreamJob";
  throw new MillraceError("EMBEDDED_SOURCE", `application ${applicationId}`, "reads no Kafka topic", next);
}
