// Cuts a dataflow where rows have to change their task: into sub-topologies, and the repartition topics between them. Pure.
import { createHash } from "node:crypto";
import type { KeyLayout } from "../../../core/keys/key-layout.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { Dataflow, DataflowInput, DataflowNode } from "../../../plan/dataflow.ts";

/** An input that goes through a topic: each row to the partition that owns its key group, or to all partitions. */
export interface RepartitionEdge {
  /** Unique within the application: the consumer's uid, with the number of the input where it has several. */
  readonly name: string;
  readonly topic: string;
  readonly input: DataflowInput;
  readonly consumer: DataflowNode;
  readonly inputIndex: number;
  readonly kind: "hash" | "broadcast" | "spread";
  readonly key: KeyLayout | undefined;
  readonly schema: Schema;
  readonly from: number;
  readonly to: number;
}

export interface SubTopology {
  readonly id: number;
  /** In the order of the dataflow. */
  readonly nodes: readonly DataflowNode[];
  readonly sources: readonly DataflowNode[];
  /** Sources of the global tables that its joins look rows up in: no task reads them, each process does. */
  readonly tables: readonly DataflowNode[];
  readonly inbound: readonly RepartitionEdge[];
  readonly outbound: readonly RepartitionEdge[];
  /** The nodes with state, each with the topic that keeps it. */
  readonly stores: readonly { readonly uid: string; readonly topic: string }[];
}

export interface Topology {
  readonly applicationId: string;
  readonly subTopologies: readonly SubTopology[];
  readonly edges: readonly RepartitionEdge[];
}

export function splitDataflow(dataflow: Dataflow, applicationId: string): Topology {
  const components = componentsOf(dataflow);
  const edges: RepartitionEdge[] = [];
  for (const consumer of dataflow.nodes) {
    const cut = consumer.inputs.filter((input) => isCut(input, consumer));
    consumer.inputs.forEach((input, inputIndex) => {
      if (!cut.includes(input)) return;
      const name = cut.length === 1 ? consumer.uid : `${consumer.uid}-${inputIndex}`;
      edges.push({
        name,
        topic: `${applicationId}-${name}-repartition`,
        input,
        consumer,
        inputIndex,
        kind: input.exchange === "hash" ? "hash" : input.exchange === "broadcast" ? "broadcast" : "spread",
        key: input.key,
        schema: input.output === "main" ? input.from.schema : (input.from.sideSchemas.get(input.output) ?? input.from.schema),
        from: components.get(input.from) as number,
        to: components.get(consumer) as number,
      });
    });
  }
  const count = new Set(components.values()).size;
  const subTopologies = Array.from({ length: count }, (_, id): SubTopology => {
    const nodes = dataflow.nodes.filter((node) => components.get(node) === id);
    return {
      id,
      nodes,
      sources: nodes.filter((node) => node.body.kind === "source"),
      tables: [...new Set(nodes.flatMap((node) => node.inputs.map(({ from }) => from)).filter(isGlobalTable))],
      inbound: edges.filter((edge) => edge.to === id),
      outbound: edges.filter((edge) => edge.from === id),
      stores: nodes
        .filter((node) => node.body.kind === "operator" && node.body.overTable === undefined && (node.stateful || node.body.keyed))
        .map(({ uid }) => ({ uid, topic: `${applicationId}-${uid}-changelog` })),
    };
  });
  return { applicationId, subTopologies, edges };
}

/** The source of a global table: part of no sub-topology. */
export function isGlobalTable({ body }: DataflowNode): boolean {
  return body.kind === "source" && body.table !== undefined;
}

// A forward or rebalance edge stays within the task, unless it leads to a node that must have another number of instances.
function isCut(input: DataflowInput, consumer: DataflowNode): boolean {
  if (isGlobalTable(input.from)) return false;
  // A join with a global table takes its rows where they are.
  const stays = consumer.body.kind === "operator" && consumer.body.overTable !== undefined;
  if (stays && consumer.parallelism === undefined) return false;
  if (input.exchange === "hash" || input.exchange === "broadcast") return true;
  return consumer.parallelism !== undefined && consumer.parallelism !== input.from.parallelism;
}

// The connected parts of the dataflow without its cut edges, numbered in the order of their first nodes.
function componentsOf(dataflow: Dataflow): ReadonlyMap<DataflowNode, number> {
  const parents = new Map<DataflowNode, DataflowNode>(dataflow.nodes.map((node) => [node, node]));
  const root = (node: DataflowNode): DataflowNode => {
    const parent = parents.get(node) as DataflowNode;
    return parent === node ? node : root(parent);
  };
  for (const node of dataflow.nodes) {
    for (const input of node.inputs) if (!isCut(input, node) && !isGlobalTable(input.from)) parents.set(root(node), root(input.from));
  }
  const numbers = new Map<DataflowNode, number>();
  const components = new Map<DataflowNode, number>();
  for (const node of dataflow.nodes) {
    if (isGlobalTable(node)) continue;
    const at = root(node);
    if (!numbers.has(at)) numbers.set(at, numbers.size);
    components.set(node, numbers.get(at) as number);
  }
  return components;
}

/** How many tasks each sub-topology has, by its id. `partitionsOf` tells the partitions of a source's topics. */
export function taskCounts(
  { subTopologies, edges }: Topology,
  partitionsOf: (source: DataflowNode) => number,
  maxParallelism: number,
): readonly number[] {
  const counts = subTopologies.map(({ sources, nodes }) => {
    const fixed = nodes.map((node) => (node.body.kind === "operator" ? node.parallelism : undefined)).find((each) => each !== undefined);
    return fixed ?? Math.max(0, ...sources.map(partitionsOf));
  });
  const isFixed = (id: number): boolean =>
    subTopologies[id]?.nodes.some((node) => node.body.kind === "operator" && node.parallelism !== undefined) === true;
  // As many as the widest of those that feed it, however far that has to travel.
  for (let changed = true; changed; ) {
    changed = false;
    for (const { from, to } of edges) {
      const wanted = Math.min(counts[from] as number, maxParallelism);
      if (isFixed(to) || wanted <= (counts[to] as number)) continue;
      counts[to] = wanted;
      changed = true;
    }
  }
  return counts;
}

/** Tells topologies apart that cannot share a group: what is connected how, in how many tasks, with which state. */
export function fingerprintOf({ subTopologies }: Topology, counts: readonly number[]): string {
  const shape = subTopologies.map(({ id, nodes, inbound, stores, tables }) => ({
    id,
    tasks: counts[id],
    nodes: nodes.map((node) => [node.uid, node.kind]),
    inbound: inbound.map((edge) => [edge.topic, edge.from]),
    stores: stores.map((store) => store.uid),
    ...(tables.length === 0 ? {} : { tables: tables.map((table) => table.uid) }),
  }));
  return createHash("sha256").update(JSON.stringify(shape)).digest("hex").slice(0, 16);
}

export function taskId(subTopology: number, partition: number): string {
  return `${subTopology}_${partition}`;
}
