// Where a stream comes from in the plan under construction; shared by the classes of the DSL.
import { keyLayout } from "../core/keys/key-layout.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { Schema } from "../core/schema/schema.ts";
import { type DataflowInput, type DataflowNode, mainOutput } from "../plan/dataflow.ts";
import type { GraphBuilder, NodeSpec } from "./graph-builder.ts";

export interface StreamRef {
  readonly graph: GraphBuilder;
  readonly node: DataflowNode;
  readonly output: string;
  readonly schema: Schema;
  readonly changelog: ChangelogMode;
}

/** What every operator call takes last. */
export interface OperatorOptions {
  /** The operator's stable name: its state is found by it. Give one to every operator that keeps state. */
  readonly uid?: string;
  /** How many instances it has; default the job's parallelism. */
  readonly parallelism?: number;
}

/** An input that takes each row to the same instance as before. */
export function forwardInput(ref: StreamRef): DataflowInput {
  return { from: ref.node, output: ref.output, exchange: "forward" };
}

/** An input that takes each row to the instance that owns its key. */
export function hashInput(ref: StreamRef, fields: readonly string[]): DataflowInput {
  return { from: ref.node, output: ref.output, exchange: "hash", key: keyLayout(ref.schema, fields) };
}

export function broadcastInput(ref: StreamRef): DataflowInput {
  return { from: ref.node, output: ref.output, exchange: "broadcast" };
}

/** Adds a node and returns its main output. */
export function addNode(graph: GraphBuilder, spec: NodeSpec, options: OperatorOptions): StreamRef {
  const node = graph.add({ ...spec, uid: spec.uid ?? options.uid, parallelism: options.parallelism });
  return { graph, node, output: mainOutput, schema: node.schema, changelog: node.changelog };
}

/** A side output of the node that `ref` is the main output of. Side outputs are append-only. */
export function sideOutput(ref: StreamRef, name: string, schema: Schema): StreamRef {
  return { graph: ref.graph, node: ref.node, output: name, schema, changelog: "append" };
}
