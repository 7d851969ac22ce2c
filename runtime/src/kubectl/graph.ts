// The dataflow of a running job, from the answers of its REST API, as rows and as a drawing.

export interface GraphNode {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly parallelism: number;
  readonly rowsInPerSecond?: number;
  readonly rowsOutPerSecond?: number;
  readonly lagRecords?: number;
  /** ms since the epoch; the least of its instances. */
  readonly watermarkMs?: number;
}

/** An answer of `GET /v1/job`, and when it came. */
export interface Sample {
  readonly atMs: number;
  readonly job: unknown;
}

interface Subtask {
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly watermarkMs: number | null;
}

interface Operator {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly subtasks: readonly Subtask[];
}

interface JobAnswer {
  readonly processing?: { readonly operators?: readonly Operator[]; readonly lag?: Readonly<Record<string, number | null>> } | null;
  readonly regions?: readonly { readonly vertices: readonly { readonly uid: string; readonly parallelism: number }[] }[];
}

/** Rates are those between the two answers; without the earlier one there are none. Empty while nothing runs. */
export function graphOf(now: Sample, before?: Sample): readonly GraphNode[] {
  const job = now.job as JobAnswer | undefined;
  const parallelism = new Map(job?.regions?.flatMap(({ vertices }) => vertices.map((one) => [one.uid, one.parallelism] as const)));
  const earlier = new Map((before?.job as JobAnswer | undefined)?.processing?.operators?.map((one) => [one.uid, one]));
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  return (job?.processing?.operators ?? []).map((operator): GraphNode => {
    const { uid, kind, inputs, subtasks } = operator;
    const lag = job?.processing?.lag?.[uid];
    const watermarks = subtasks.flatMap(({ watermarkMs }) => watermarkMs ?? []);
    return {
      uid,
      kind,
      inputs,
      parallelism: parallelism.get(uid) ?? Math.max(1, subtasks.length),
      ...rates(operator, earlier.get(uid), seconds),
      ...(typeof lag === "number" ? { lagRecords: lag } : {}),
      ...(watermarks.length === 0 ? {} : { watermarkMs: Math.min(...watermarks) }),
    };
  });
}

function rates(now: Operator, before: Operator | undefined, seconds: number): Partial<GraphNode> {
  if (before === undefined || seconds <= 0) return {};
  const total = (operator: Operator, of: "rowsIn" | "rowsOut"): number => operator.subtasks.reduce((sum, subtask) => sum + subtask[of], 0);
  const rowsIn = total(now, "rowsIn") - total(before, "rowsIn");
  const rowsOut = total(now, "rowsOut") - total(before, "rowsOut");
  // Totals start anew with each deployment: then there is no rate yet.
  if (rowsIn < 0 || rowsOut < 0) return {};
  return { rowsInPerSecond: rowsIn / seconds, rowsOutPerSecond: rowsOut / seconds };
}

/** One operator a line, with those that it reads from. */
export function graphText(nodes: readonly GraphNode[]): string {
  return `${nodes
    .map((node) => `${node.uid} (${node.kind}, ${node.parallelism})${node.inputs.length === 0 ? "" : `  <-  ${node.inputs.join(", ")}`}`)
    .join("\n")}\n`;
}

export function graphMermaid(nodes: readonly GraphNode[]): string {
  const number = new Map(nodes.map((node, i) => [node.uid, `n${i}`]));
  const lines = nodes.flatMap((node) => [
    `  ${number.get(node.uid)}["${node.uid.replaceAll('"', "'")}<br/>${node.kind}, ${node.parallelism}"]`,
    ...node.inputs.flatMap((from) => (number.has(from) ? [`  ${number.get(from)} --> ${number.get(node.uid)}`] : [])),
  ]);
  return `flowchart LR\n${lines.join("\n")}\n`;
}
