// Which instances of a dataflow run in a task, and where the others are.
import type { DataflowInput, DataflowNode } from "../../plan/dataflow.ts";
import type { Exchange } from "../exchange/exchange.ts";

export interface Placement {
  /** How many instances the node has in the job; 0 for a node that this task has nothing to do with. */
  parallelismOf(node: DataflowNode): number;
  /** The slot of an instance. */
  slotOf(uid: string, subtask: number): number;
  /** The slot of the task. */
  readonly slot: number;
  /** Rows to and from other slots; undefined when there are none. */
  readonly exchange: Exchange | undefined;
}

/** Numbers of instances: of the job, of single vertices by uid, and the most that any may have. */
export interface JobParallelism {
  readonly parallelism: number;
  readonly vertexParallelism?: Readonly<Record<string, number>>;
  readonly maxParallelism: number;
}

/** How many instances a node has. */
export function parallelismOf(node: DataflowNode, { parallelism, vertexParallelism, maxParallelism }: JobParallelism): number {
  return Math.min(vertexParallelism?.[node.uid] ?? node.parallelism ?? parallelism, maxParallelism);
}

/** A task that has the whole dataflow. */
export function allInOne(job: JobParallelism): Placement {
  return { parallelismOf: (node) => parallelismOf(node, job), slotOf: () => 0, slot: 0, exchange: undefined };
}

/** True where instance k feeds instance k alone. */
export function isForward(input: DataflowInput, upstream: number, parallelism: number): boolean {
  return input.exchange === "forward" && upstream === parallelism;
}

/** How many channels an instance has for one of its inputs. */
export function channelsOf(input: DataflowInput, upstream: number, parallelism: number): number {
  return isForward(input, upstream, parallelism) ? 1 : upstream;
}
