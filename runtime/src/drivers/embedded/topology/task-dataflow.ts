// The dataflow of one task: its sub-topology, with the cut edges as entries and exits.
import type { OperatorContext } from "../../../core/operator/operator.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import type { WholeTable } from "../../../core/ports/whole-table.ts";
import type { Source } from "../../../core/ports/source.ts";
import type { Dataflow, DataflowNode } from "../../../plan/dataflow.ts";
import { mainOutput } from "../../../plan/dataflow.ts";
import { isGlobalTable, type RepartitionEdge, type SubTopology } from "./sub-topologies.ts";

export interface TaskEnds {
  /** What stands in for a source of the dataflow. */
  source(node: DataflowNode, source: Source): Source;
  /** What writes the rows of a cut edge. */
  repartition(edge: RepartitionEdge): Sink;
  /** What stands in for a sink of the dataflow. */
  sink(node: DataflowNode, sink: Sink): Sink;
  /** A global table, by its source. */
  table(source: DataflowNode): WholeTable;
}

export const entryUid = (edge: RepartitionEdge): string => `in:${edge.name}`;
export const exitUid = (edge: RepartitionEdge): string => `out:${edge.name}`;

/** A dataflow for one instance of each node. Rows come in at the entries, by whoever finds their instances by `entryUid`. */
export function taskDataflow(name: string, subTopology: SubTopology, ends: TaskEnds): Dataflow {
  const nodes: DataflowNode[] = [];
  const copies = new Map<DataflowNode, DataflowNode>();
  const entries = new Map<RepartitionEdge, DataflowNode>();
  for (const edge of subTopology.inbound) {
    const node = entryNode(nodes.length, edge);
    entries.set(edge, node);
    nodes.push(node);
  }
  for (const node of subTopology.nodes) {
    const { parallelism: _one, ...rest } = node;
    const taken = node.inputs.filter(({ from }) => !isGlobalTable(from));
    const inputs = taken.map((input, inputIndex) => {
      const edge = subTopology.inbound.find((each) => each.consumer === node && each.inputIndex === inputIndex);
      const { key, output } = input;
      const from = edge === undefined ? copies.get(input.from) : entries.get(edge);
      if (from === undefined) throw new Error(`${node.uid} comes before its input ${input.from.uid}`);
      const through = edge === undefined ? output : mainOutput;
      return { from, output: through, exchange: "forward" as const, ...(key === undefined ? {} : { key }) };
    });
    const copy: DataflowNode = { ...rest, id: nodes.length, inputs, body: bodyOf(node, ends) };
    copies.set(node, copy);
    nodes.push(copy);
  }
  for (const edge of subTopology.outbound) {
    const from = copies.get(edge.input.from) as DataflowNode;
    nodes.push({
      id: nodes.length,
      uid: exitUid(edge),
      uidDerived: false,
      kind: "repartition.out",
      inputs: [{ from, output: edge.input.output, exchange: "forward" }],
      schema: edge.schema,
      sideSchemas: new Map(),
      changelog: "append",
      stateful: false,
      options: {},
      reads: [edge.schema.fields.map((field) => field.name)],
      body: { kind: "sink", sink: ends.repartition(edge) },
    });
  }
  return { name, nodes };
}

function bodyOf(node: DataflowNode, ends: TaskEnds): DataflowNode["body"] {
  switch (node.body.kind) {
    case "source":
      return { ...node.body, source: ends.source(node, node.body.source) };
    case "sink":
      return { kind: "sink", sink: ends.sink(node, node.body.sink) };
    case "operator": {
      const source = node.inputs.find(({ from }) => isGlobalTable(from))?.from;
      if (node.body.overTable === undefined || source === undefined) return node.body;
      return { kind: "operator", keyed: false, create: node.body.overTable(ends.table(source)) };
    }
  }
}

function entryNode(id: number, edge: RepartitionEdge): DataflowNode {
  return {
    id,
    uid: entryUid(edge),
    uidDerived: false,
    kind: "repartition.in",
    inputs: [],
    schema: edge.schema,
    sideSchemas: new Map(),
    changelog: "retract",
    stateful: false,
    options: {},
    reads: [],
    body: {
      kind: "operator",
      keyed: false,
      create: (context: OperatorContext) => {
        const output = context.output();
        return { process: (batch) => output.emit(batch) };
      },
    },
  };
}
