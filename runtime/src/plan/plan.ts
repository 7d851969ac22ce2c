// The plan as plain JSON: what `millrace plan` prints, and what a snapshot is compared with.
import { createHash } from "node:crypto";
import { canonicalJson } from "../core/schema/schema.ts";
import type { RowSpec } from "../core/schema/type-spec.ts";
import type { Dataflow, DataflowNode } from "./dataflow.ts";

export interface PlanEdge {
  readonly node: string;
  readonly output: string;
  readonly exchange: string;
  readonly key?: readonly string[];
}

export interface PlanNode {
  readonly uid: string;
  readonly uidDerived: boolean;
  readonly kind: string;
  readonly stateful: boolean;
  readonly changelog: string;
  readonly parallelism?: number;
  readonly inputs: readonly PlanEdge[];
  readonly schema: RowSpec;
  readonly sideOutputs?: Readonly<Record<string, RowSpec>>;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Plan {
  readonly job: string;
  readonly nodes: readonly PlanNode[];
}

export function planOf(dataflow: Dataflow): Plan {
  return { job: dataflow.name, nodes: dataflow.nodes.map(planNode) };
}

function planNode(node: DataflowNode): PlanNode {
  return {
    uid: node.uid,
    uidDerived: node.uidDerived,
    kind: node.kind,
    stateful: node.stateful,
    changelog: node.changelog,
    ...(node.parallelism === undefined ? {} : { parallelism: node.parallelism }),
    inputs: node.inputs.map((input) => ({
      node: input.from.uid,
      output: input.output,
      exchange: input.exchange,
      ...(input.key === undefined ? {} : { key: input.key.schema.fields.map((field) => field.name) }),
    })),
    schema: node.schema.spec,
    ...(node.sideSchemas.size === 0
      ? {}
      : { sideOutputs: Object.fromEntries([...node.sideSchemas].map(([name, schema]) => [name, schema.spec])) }),
    options: node.options,
  };
}

/** 16 hexadecimal digits over the whole plan: equal for equal plans. */
export function planFingerprint(plan: Plan): string {
  return createHash("sha256").update(canonicalJson(plan)).digest("hex").slice(0, 16);
}

/** The plan as a Mermaid flowchart. */
export function planMermaid(plan: Plan): string {
  const ids = new Map(plan.nodes.map((node, index) => [node.uid, `n${index}`]));
  const lines = ["flowchart LR"];
  for (const node of plan.nodes) {
    const label = escapeLabel(node.kind === node.uid ? node.uid : `${node.uid}<br/><i>${node.kind}</i>`);
    const [open, close] =
      node.inputs.length === 0 ? ["([", "])"] : node.kind.startsWith("sink") ? ["[/", "/]"] : node.stateful ? ["[(", ")]"] : ["[", "]"];
    lines.push(`  ${ids.get(node.uid)}${open}"${label}"${close}`);
  }
  for (const node of plan.nodes) {
    for (const input of node.inputs) {
      const how = [
        input.output === "main" ? "" : input.output,
        input.exchange === "forward" ? "" : input.exchange,
        input.key?.join(", ") ?? "",
      ];
      const label = how.filter((part) => part !== "").join(" ");
      lines.push(`  ${ids.get(input.node)} -->${label === "" ? "" : `|"${escapeLabel(label)}"|`} ${ids.get(node.uid)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('"', "&quot;");
}
