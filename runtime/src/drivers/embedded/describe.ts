// A topology for people: which tasks read and write which topics, and where state is kept. As text, and as a Mermaid flowchart.
import { isKafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { isKafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import type { DataflowNode } from "../../plan/dataflow.ts";
import type { SubTopology, Topology } from "./topology/sub-topologies.ts";

function topicsOf(node: DataflowNode): readonly string[] {
  if (node.body.kind === "source") return isKafkaSource(node.body.source) ? node.body.source.kafka.topics : [];
  if (node.body.kind !== "sink" || !isKafkaSink(node.body.sink)) return [];
  const { topic } = node.body.sink.kafka.rows;
  return [typeof topic === "string" ? topic : "(a topic by row)"];
}

/** As text, a block for each sub-topology. */
export function describeTopology({ applicationId, subTopologies }: Topology): string {
  const lines = [`application ${applicationId}`];
  for (const { id, nodes, inbound, outbound, stores, tables } of subTopologies) {
    lines.push("", `sub-topology ${id}`);
    for (const table of tables) lines.push(`  each process holds ${table.uid}, from ${topicsOf(table).join(", ")}`);
    for (const { topic, consumer } of inbound) lines.push(`  reads ${topic} -> ${consumer.uid}`);
    for (const node of nodes) {
      const store = stores.find((each) => each.uid === node.uid);
      const from = node.inputs.map((input) => input.from.uid).join(", ");
      if (node.body.kind === "source") lines.push(`  reads ${topicsOf(node).join(", ")} -> ${node.uid}`);
      else if (node.body.kind === "sink") lines.push(`  ${from} -> ${node.uid}, writes ${topicsOf(node).join(", ")}`);
      else lines.push(`  ${node.uid} (${node.kind})${store === undefined ? "" : `, state in ${store.topic}`}`);
    }
    for (const { topic, input, kind } of outbound) lines.push(`  ${input.from.uid} -> writes ${topic}${kind === "hash" ? " by key" : ""}`);
  }
  return `${lines.join("\n")}\n`;
}

/** As a Mermaid flowchart: a box for each sub-topology, topics between them. */
export function topologyMermaid({ subTopologies, edges }: Topology): string {
  const lines = ["flowchart LR"];
  const topics = new Map<string, string>();
  const topic = (name: string): string => {
    const known = topics.get(name);
    if (known !== undefined) return known;
    const made = `t${topics.size}`;
    topics.set(name, made);
    lines.push(`  ${made}[("${name}")]`);
    return made;
  };
  for (const table of new Set(subTopologies.flatMap(({ tables }) => tables))) {
    lines.push(`  n${table.id}[["${table.uid}, in each process"]]`);
    for (const name of topicsOf(table)) lines.push(`  ${topic(name)} --> n${table.id}`);
  }
  for (const each of subTopologies) lines.push(...boxOf(each));
  for (const { nodes } of subTopologies) {
    for (const node of nodes) {
      for (const name of topicsOf(node))
        lines.push(node.body.kind === "source" ? `  ${topic(name)} --> n${node.id}` : `  n${node.id} --> ${topic(name)}`);
    }
  }
  for (const edge of edges) {
    lines.push(`  n${edge.input.from.id} --> ${topic(edge.topic)}`, `  ${topic(edge.topic)} --> n${edge.consumer.id}`);
  }
  return `${lines.join("\n")}\n`;
}

function boxOf({ id, nodes, inbound, stores }: SubTopology): readonly string[] {
  const lines = [`  subgraph s${id}["sub-topology ${id}"]`];
  for (const node of nodes) {
    const [open, close] = stores.some((store) => store.uid === node.uid) ? ["[[", "]]"] : ["[", "]"];
    lines.push(`    n${node.id}${open}"${node.uid}"${close}`);
  }
  for (const node of nodes) {
    node.inputs.forEach((input, inputIndex) => {
      const cut = inbound.some((edge) => edge.consumer === node && edge.inputIndex === inputIndex);
      if (!cut) lines.push(`    n${input.from.id} --> n${node.id}`);
    });
  }
  return [...lines, "  end"];
}
