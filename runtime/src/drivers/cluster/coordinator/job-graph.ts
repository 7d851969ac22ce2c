// The dataflow as the coordinator sees it: which vertices there are, which of them restart together, and how many subtasks each has.
import type { Dataflow } from "../../../plan/dataflow.ts";
import { MillraceError } from "../../../base/errors.ts";
import type { VertexPlacement } from "../slot-protocol.ts";

export interface Vertex {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly source: boolean;
  readonly keyed: boolean;
  readonly stateful: boolean;
  /** What the job's code says; overrides come on top. */
  readonly parallelism?: number;
}

/** A connected part of the dataflow: nothing in it can go on without the rest. */
export interface RegionPlan {
  /** The uid of its first vertex. */
  readonly id: string;
  readonly vertices: readonly Vertex[];
}

export interface JobGraph {
  readonly name: string;
  readonly fingerprint: string;
  readonly maxParallelism: number;
  /** The uid of the sink of dead letters, which has an instance in every slice; undefined where dead letters go to the log. */
  readonly deadLetters: string | undefined;
  readonly regions: readonly RegionPlan[];
}

/** How many subtasks: the job's default, and what was set for single vertices while the job ran. */
export interface Parallelism {
  readonly job: number;
  readonly vertices: Readonly<Record<string, number>>;
}

export function jobGraph(dataflow: Dataflow, fingerprint: string, maxParallelism: number, deadLetters?: string): JobGraph {
  const vertices = dataflow.nodes.map((node): Vertex => {
    return {
      uid: node.uid,
      kind: node.kind,
      inputs: node.inputs.map((input) => input.from.uid),
      source: node.body.kind === "source",
      keyed: node.body.kind === "operator" && node.body.keyed,
      stateful: node.stateful,
      ...(node.parallelism === undefined ? {} : { parallelism: node.parallelism }),
    };
  });
  return { name: dataflow.name, fingerprint, maxParallelism, deadLetters, regions: regionsOf(vertices) };
}

/** Connected components, in the order of their first vertices. */
export function regionsOf(vertices: readonly Vertex[]): readonly RegionPlan[] {
  const root = new Map(vertices.map(({ uid }) => [uid, uid]));
  const find = (uid: string): string => {
    let at = uid;
    for (let up = root.get(at); up !== undefined && up !== at; up = root.get(at)) at = up;
    return at;
  };
  for (const { uid, inputs } of vertices) for (const input of inputs) root.set(find(uid), find(input));
  const members = Map.groupBy(vertices, ({ uid }) => find(uid));
  return [...members.values()].map((some) => ({ id: (some[0] as Vertex).uid, vertices: some }));
}

export function subtasksOf(vertex: Vertex, parallelism: Parallelism, maxParallelism: number): number {
  return Math.min(parallelism.vertices[vertex.uid] ?? vertex.parallelism ?? parallelism.job, maxParallelism);
}

/** Subtask k of every vertex goes to slot k. */
export function placementOf(graph: JobGraph, region: RegionPlan, parallelism: Parallelism): readonly VertexPlacement[] {
  const vertices = region.vertices.map((vertex) => {
    const subtasks = subtasksOf(vertex, parallelism, graph.maxParallelism);
    return { uid: vertex.uid, parallelism: subtasks, slots: Array.from({ length: subtasks }, (_, slot) => slot) };
  });
  return graph.deadLetters === undefined ? vertices : [...vertices, deadLetterPlacement(graph, graph.deadLetters, region, parallelism)];
}

// Its instances are numbered over all regions, one per slice; a region knows the place of its own.
function deadLetterPlacement(graph: JobGraph, uid: string, region: RegionPlan, parallelism: Parallelism): VertexPlacement {
  const slots = graph.regions.flatMap((one) =>
    Array.from({ length: regionSlots(graph, one, parallelism) }, (_, slot) => (one.id === region.id ? slot : -1)),
  );
  return { uid, parallelism: slots.length, slots };
}

function regionSlots(graph: JobGraph, region: RegionPlan, parallelism: Parallelism): number {
  return Math.max(...region.vertices.map((vertex) => subtasksOf(vertex, parallelism, graph.maxParallelism)));
}

export function slotCount(vertices: readonly VertexPlacement[]): number {
  return 1 + Math.max(...vertices.flatMap((vertex) => vertex.slots));
}

export function slotsNeeded(graph: JobGraph, parallelism: Parallelism): number {
  return Math.max(...graph.regions.map((region) => regionSlots(graph, region, parallelism)));
}

/** The parallelism after a request to change it. Throws OPTION_INVALID with what is wrong. */
export function changedParallelism(
  graph: JobGraph,
  before: Parallelism,
  change: { readonly job?: number; readonly vertices?: Readonly<Record<string, number>> },
): Parallelism {
  const refuse = (subject: string, problem: string, next: string): MillraceError =>
    new MillraceError("OPTION_INVALID", subject, problem, next);
  const check = (subject: string, value: number): void => {
    if (!Number.isInteger(value) || value < 1) throw refuse(subject, `${value} is not a positive whole number`, "give one");
    if (value > graph.maxParallelism) {
      throw refuse(
        subject,
        `${value} is above maxParallelism ${graph.maxParallelism}`,
        "lower it; maxParallelism is fixed for a job's life",
      );
    }
  };
  if (change.job !== undefined) check("parallelism", change.job);
  const known = new Set(graph.regions.flatMap((region) => region.vertices.map((vertex) => vertex.uid)));
  for (const [uid, value] of Object.entries(change.vertices ?? {})) {
    if (!known.has(uid)) throw refuse(`parallelism of "${uid}"`, "the job has no such vertex", `give one of ${[...known].join(", ")}`);
    check(`parallelism of "${uid}"`, value);
  }
  return { job: change.job ?? before.job, vertices: { ...before.vertices, ...change.vertices } };
}

export function samePlacement(a: readonly VertexPlacement[], b: readonly VertexPlacement[]): boolean {
  return a.length === b.length && a.every((one, at) => one.uid === b[at]?.uid && one.slots.join() === b[at].slots.join());
}
