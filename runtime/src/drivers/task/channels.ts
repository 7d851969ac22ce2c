// The channels between slots, as the plan and the placement say: both ends number them alike, and agree on the columns.
import type { DataflowInput, DataflowNode } from "../../plan/dataflow.ts";
import { defaultExchange, frameLimits, windowBytes } from "../exchange/exchange.ts";
import type { FrameLimits } from "../exchange/frame/frame-builder.ts";
import { schemaOf } from "./in-flight.ts";
import { isForward, type Placement } from "./placement.ts";

/** The number of the channel from instance `from` of an input's node to instance `to`, and what flows there. */
export class ChannelPlan {
  readonly #placement: Placement;
  readonly #bases = new Map<DataflowInput, number>();
  readonly #fields = new Map<DataflowInput, readonly number[]>();
  /** Channels into the task's own slot, and out of it. */
  #into = 0;
  #outOf = 0;

  constructor(nodes: readonly DataflowNode[], placement: Placement) {
    this.#placement = placement;
    let next = 0;
    for (const node of nodes) {
      const parallelism = placement.parallelismOf(node);
      if (parallelism === 0) continue;
      for (const [index, input] of node.inputs.entries()) {
        const upstream = placement.parallelismOf(input.from);
        this.#bases.set(input, next);
        this.#fields.set(input, sentFields(nodes, node, index));
        next += upstream * parallelism;
        this.#count(node, input, upstream, parallelism);
      }
    }
  }

  #count(node: DataflowNode, input: DataflowInput, upstream: number, parallelism: number): void {
    const { slot } = this.#placement;
    for (let to = 0; to < parallelism; to++) {
      const isHere = this.#placement.slotOf(node.uid, to) === slot;
      const senders = isForward(input, upstream, parallelism) ? [to] : Array.from({ length: upstream }, (_, from) => from);
      const away = senders.filter((from) => this.#placement.slotOf(input.from.uid, from) !== slot).length;
      if (isHere) this.#into += away;
      else this.#outOf += senders.length - away;
    }
  }

  id(node: DataflowNode, input: DataflowInput, from: number, to: number): number {
    return (this.#bases.get(input) ?? 0) + from * this.#placement.parallelismOf(node) + to;
  }

  /** The columns that are sent: what the plan says that the receiver reads. */
  fields(input: DataflowInput): readonly number[] {
    return this.#fields.get(input) ?? [];
  }

  /** How much each channel out of the task gathers. */
  frameLimits(): FrameLimits {
    return frameLimits(this.#placement.exchange?.options ?? defaultExchange, this.#outOf);
  }

  /** What each channel into the task may have under way. */
  windowBytes(): number {
    const options = this.#placement.exchange?.options;
    return options === undefined ? 0 : windowBytes(options, this.#into);
  }
}

// All columns, unless a keyed operator names what it reads and hands no row of its input on. Others may pass columns on by reference,
// whatever they read themselves.
export function sentFields(nodes: readonly DataflowNode[], node: DataflowNode, index: number): readonly number[] {
  const input = node.inputs[index] as DataflowInput;
  const schema = schemaOf(input);
  const reads = node.reads[index];
  const consumed = (output: string): boolean =>
    nodes.some(({ inputs }) => inputs.some((other) => other.from === node && other.output === output));
  const handsOn = node.schema === schema || [...node.sideSchemas].some(([name, side]) => side === schema && consumed(name));
  if (input.exchange !== "hash" || reads === null || reads === undefined || handsOn) return schema.fields.map((field) => field.index);
  const indexes = [...reads.map((name) => schema.field(name).index), ...(input.key?.fieldIndexes ?? [])];
  return [...new Set(indexes)].sort((a, b) => a - b);
}
