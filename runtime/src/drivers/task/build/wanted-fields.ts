// The fields of a node that the plan names; what users' functions read beyond them is learned from the first batches.
import type { Dataflow, DataflowNode } from "../../../plan/dataflow.ts";

/** Indexes in the node's schema. */
export function wantedFields(dataflow: Dataflow, node: DataflowNode): readonly number[] {
  const names = new Set<string>();
  for (const consumer of dataflow.nodes) {
    consumer.inputs.forEach((input, index) => {
      if (input.from !== node) return;
      for (const name of consumer.reads[index] ?? []) names.add(name);
    });
  }
  return [...names].map((name) => node.schema.field(name).index);
}
