// The dataflow of a running job, from its REST API's answer, as rows and as a drawing.

export interface GraphNode {
  readonly uid: string;
  readonly name: string;
  readonly parallelism: number;
  readonly inputs: readonly string[];
  readonly rowsInPerSecond?: number;
  readonly rowsOutPerSecond?: number;
  readonly lagRecords?: number;
  readonly stateBytes?: number;
  readonly watermark?: string;
}

/** Empty when the answer has no graph: an older runtime, or none. */
export function graphOf(answer: unknown): readonly GraphNode[] {
  const { operators } = (answer ?? {}) as { readonly operators?: readonly Partial<GraphNode>[] };
  if (!Array.isArray(operators)) return [];
  return operators.flatMap((one: Partial<GraphNode>) =>
    one.uid === undefined
      ? []
      : [{ ...one, uid: one.uid, name: one.name ?? one.uid, parallelism: one.parallelism ?? 1, inputs: one.inputs ?? [] }],
  );
}

/** One operator a line, below those that it reads from. */
export function graphText(nodes: readonly GraphNode[]): string {
  return `${nodes
    .map((node) => `${node.name} (${node.parallelism})${node.inputs.length === 0 ? "" : `  <-  ${node.inputs.join(", ")}`}`)
    .join("\n")}\n`;
}

export function graphMermaid(nodes: readonly GraphNode[]): string {
  const number = new Map(nodes.map((node, i) => [node.uid, `n${i}`]));
  const lines = nodes.flatMap((node) => [
    `  ${number.get(node.uid)}["${node.name.replaceAll('"', "'")}<br/>${node.parallelism}"]`,
    ...node.inputs.flatMap((from) => (number.has(from) ? [`  ${number.get(from)} --> ${number.get(node.uid)}`] : [])),
  ]);
  return `flowchart LR\n${lines.join("\n")}\n`;
}
