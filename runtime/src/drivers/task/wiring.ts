// Connects the instances of a task: direct calls within it, channels to and from other slots, and which way leads where.
import type { DataflowInput, DataflowNode } from "../../plan/dataflow.ts";
import { FrameReader } from "../exchange/frame/frame-reader.ts";
import type { InboundChannel } from "../exchange/inbound-channel.ts";
import { OutboundChannel } from "../exchange/outbound-channel.ts";
import { ChannelPlan } from "./channels.ts";
import { BroadcastEdge, type Edge, type Fan, ForwardEdge, HashEdge, RebalanceEdge, type Receiver } from "./edge.ts";
import { InboundEntry, ReplayEntry } from "./entries.ts";
import { schemaOf } from "./in-flight.ts";
import type { Obstacle } from "./obstacle.ts";
import { OperatorInstance } from "./operator-instance.ts";
import { channelsOf, isForward, type Placement } from "./placement.ts";
import { SinkInstance } from "./sink-instance.ts";
import type { Task } from "./task.ts";
import type { Way } from "./way.ts";

/** What was opened: by node, its instances in this task by their subtask. */
export interface Opened {
  readonly fans: ReadonlyMap<DataflowNode, ReadonlyMap<number, ReadonlyMap<string, Fan>>>;
  readonly receivers: ReadonlyMap<DataflowNode, ReadonlyMap<number, Receiver>>;
  /** Stands in the way of everything that leads to the instance. */
  readonly obstacles: ReadonlyMap<Receiver, Obstacle>;
  /** Stands in the way of everything that leads to the instance until it has the rows that a snapshot had in flight. */
  readonly replays: ReadonlyMap<Receiver, Obstacle>;
  /** Stands in the way of what leads to the instance from this task, until the instance has heard of all channels into it. */
  readonly holds: ReadonlyMap<Receiver, Obstacle>;
}

export class Wiring {
  readonly #task: Task;
  readonly #nodes: readonly DataflowNode[];
  readonly #placement: Placement;
  readonly #maxParallelism: number;
  readonly #opened: Opened;
  readonly #channels: ChannelPlan;

  constructor(task: Task, nodes: readonly DataflowNode[], placement: Placement, maxParallelism: number, opened: Opened) {
    this.#task = task;
    this.#nodes = nodes;
    this.#placement = placement;
    this.#maxParallelism = maxParallelism;
    this.#opened = opened;
    this.#channels = new ChannelPlan(nodes, placement);
  }

  connect(): void {
    const inbound: InboundEntry[] = [];
    for (const node of this.#nodes) {
      this.#connectOutputs(node);
      inbound.unshift(...this.#openInbound(node));
    }
    const { entries, inboundEntries, sourceEntries, replayEntries, ways, operators } = this.#task;
    inboundEntries.push(...inbound);
    entries.push(...replayEntries, ...inbound, ...sourceEntries);
    ways.push(...inbound, ...sourceEntries);
    for (const entry of sourceEntries) this.#lead(entry, this.#fansOf(entry.source.uid, entry.source.subtask));
    for (const entry of inbound) this.#lead(entry, [], this.#receiver(entry.uid, entry.subtask));
    for (const { instance, way } of operators) this.#lead(way, instance.outputs.values());
    for (const entry of replayEntries) {
      // Not held: what an instance has in flight stands before its first word, for which others wait. Its own instance takes what is replayed, whatever stands before it.
      if (entry.receiver instanceof OperatorInstance) this.#lead(entry, entry.receiver.outputs.values());
      else if (entry.receiver instanceof SinkInstance) entry.sinks.push(entry.receiver);
    }
    // Any instance may give dead letters.
    for (const entry of entries) entry.sinks.push(...this.#task.letterSinks);
  }

  // The edges into a node, from its inputs' instances that are here.
  #connectOutputs(node: DataflowNode): void {
    const parallelism = this.#placement.parallelismOf(node);
    let firstChannel = 0;
    node.inputs.forEach((input, index) => {
      const upstream = this.#placement.parallelismOf(input.from);
      const fans = this.#opened.fans.get(input.from);
      for (const [from, outputs] of fans ?? []) {
        const fan = outputs.get(input.output);
        if (fan === undefined) throw new Error(`${input.from.uid} has no output "${input.output}"`);
        const edge = this.#edge(node, input, index, from, upstream, parallelism, firstChannel);
        if (edge !== undefined) fan.add(edge);
      }
      firstChannel += channelsOf(input, upstream, parallelism);
    });
  }

  #edge(
    node: DataflowNode,
    input: DataflowInput,
    index: number,
    from: number,
    upstream: number,
    parallelism: number,
    firstChannel: number,
  ): Edge | undefined {
    const target = (to: number): Receiver => this.#opened.receivers.get(node)?.get(to) ?? this.#outbound(node, input, from, to);
    if (isForward(input, upstream, parallelism)) return new ForwardEdge(target(from), index, firstChannel);
    const channel = firstChannel + from;
    // One receiver: nothing to choose.
    if (parallelism === 1) return new ForwardEdge(target(0), index, channel);
    const targets = Array.from({ length: parallelism }, (_, to) => target(to));
    if (input.exchange === "broadcast") return new BroadcastEdge(targets, index, channel);
    if (input.exchange === "hash" && input.key !== undefined) return new HashEdge(targets, index, channel, input.key, this.#maxParallelism);
    return new RebalanceEdge(targets, index, channel);
  }

  #outbound(node: DataflowNode, input: DataflowInput, from: number, to: number): OutboundChannel {
    const { exchange } = this.#placement;
    if (exchange === undefined) throw new Error(`instance ${to} of ${node.uid} is in no slot`);
    const slot = this.#placement.slotOf(node.uid, to);
    return exchange.openOutbound(slot, {
      id: this.#channels.id(node, input, from, to),
      schema: schemaOf(input),
      fields: this.#channels.fields(input),
      limits: this.#channels.frameLimits(),
    });
  }

  // The channels into a node's instances that are here, from instances that are not.
  #openInbound(node: DataflowNode): readonly InboundEntry[] {
    const { exchange, slot } = this.#placement;
    if (exchange === undefined) return [];
    const parallelism = this.#placement.parallelismOf(node);
    const windowBytes = this.#channels.windowBytes();
    const readers = node.inputs.map((input) => new FrameReader(schemaOf(input), this.#channels.fields(input)));
    return [...(this.#opened.receivers.get(node) ?? [])].flatMap(([to, receiver]) => {
      const channels: InboundChannel[] = [];
      let firstChannel = 0;
      node.inputs.forEach((input, index) => {
        const upstream = this.#placement.parallelismOf(input.from);
        const forward = isForward(input, upstream, parallelism);
        for (let from = forward ? to : 0; from < (forward ? to + 1 : upstream); from++) {
          const sender = this.#placement.slotOf(input.from.uid, from);
          if (sender === slot) continue;
          channels.push(
            exchange.openInbound(sender, {
              id: this.#channels.id(node, input, from, to),
              receiver,
              input: index,
              gateChannel: forward ? firstChannel : firstChannel + from,
              reader: readers[index] as FrameReader,
              windowBytes,
            }),
          );
        }
        firstChannel += channelsOf(input, upstream, parallelism);
      });
      const waiting = receiver instanceof OperatorInstance ? receiver : undefined;
      return channels.length === 0 ? [] : [new InboundEntry({ uid: node.uid, subtask: to, parallelism }, channels, waiting)];
    });
  }

  #fansOf(uid: string, subtask: number): readonly Fan[] {
    const node = this.#nodes.find((candidate) => candidate.uid === uid);
    const fans = node === undefined ? undefined : this.#opened.fans.get(node)?.get(subtask);
    return fans === undefined ? [] : [...fans.values()];
  }

  #receiver(uid: string, subtask: number): Receiver | undefined {
    const node = this.#nodes.find((candidate) => candidate.uid === uid);
    return node === undefined ? undefined : this.#opened.receivers.get(node)?.get(subtask);
  }

  // Finds everything that rows of a way can come to by direct calls, and makes it known to both.
  #lead(way: Way, fans: Iterable<Fan>, first?: Receiver): void {
    const seen = new Set<Receiver>();
    const next = [...(first === undefined ? [] : [first]), ...[...fans].flatMap((fan) => fan.receivers)];
    const waits = this.#task.ways.includes(way);
    for (let receiver = next.pop(); receiver !== undefined; receiver = next.pop()) {
      if (seen.has(receiver)) continue;
      seen.add(receiver);
      this.#opened.obstacles.get(receiver)?.attach(way);
      this.#opened.replays.get(receiver)?.attach(way.replays);
      // The channels of an instance bring what it waits for: they are held one by one.
      if (receiver !== first && !(way instanceof ReplayEntry)) this.#opened.holds.get(receiver)?.attach(way.holds);
      if (receiver instanceof OutboundChannel) receiver.obstacle.attach(way);
      else if (receiver instanceof SinkInstance) way.sinks.push(receiver);
      if (receiver instanceof OperatorInstance) next.push(...[...receiver.outputs.values()].flatMap((fan) => fan.receivers));
      if (!waits || !(receiver instanceof OperatorInstance || receiver instanceof SinkInstance)) continue;
      receiver.ways.push(way);
      way.reach++;
    }
  }
}
