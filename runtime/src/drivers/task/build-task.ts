// Makes the instances of a dataflow and wires them: from the plan to objects that call each other.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BadRow } from "../../core/operator/bad-rows.ts";
import type { OperatorContext, OperatorMetrics } from "../../core/operator/operator.ts";
import type { KeyedState } from "../../core/ports/state.ts";
import type { KeyedStateBackend } from "../../core/ports/state-backend.ts";
import {
  type Dataflow,
  type DataflowInput,
  type DataflowNode,
  type OperatorBody,
  type SinkBody,
  type SourceBody,
  mainOutput,
} from "../../plan/dataflow.ts";
import { keyGroupRange } from "../../plan/key-groups.ts";
import { BadRowPolicy, deadLetterSchema } from "./bad-row-policy.ts";
import { BroadcastEdge, type Edge, Fan, ForwardEdge, HashEdge, RebalanceEdge, type Receiver } from "./edge.ts";
import { type InstanceCounters, OperatorInstance } from "./operator-instance.ts";
import { OperatorStateRegistry } from "./operator-state-registry.ts";
import { SinkInstance } from "./sink-instance.ts";
import { SourceInstance } from "./source-instance.ts";
import { Task } from "./task.ts";
import { type TaskParts, deadLetterUid } from "./task-parts.ts";

/** How many instances a node has. */
export function parallelismOf(node: DataflowNode, jobParallelism: number, maxParallelism: number): number {
  return Math.min(node.parallelism ?? jobParallelism, maxParallelism);
}

/** Builds and restores every instance. Rejects with what an instance refused; whatever was opened is closed again. */
export async function buildTask(parts: TaskParts): Promise<Task> {
  const builder = new TaskBuilder(parts);
  try {
    return await builder.build();
  } catch (error) {
    await builder.task.close();
    throw error;
  }
}

class TaskBuilder {
  readonly task: Task;
  readonly #parts: TaskParts;
  readonly #dataflow: Dataflow;
  // Outputs exist before the instances that fill them, and are connected once the receivers exist.
  readonly #fans = new Map<DataflowNode, ReadonlyMap<string, Fan>[]>();
  readonly #receivers = new Map<DataflowNode, Receiver[]>();

  constructor(parts: TaskParts) {
    this.#parts = parts;
    this.#dataflow = parts.dataflow;
    this.task = new Task(parts.clock, parts.wake);
  }

  async build(): Promise<Task> {
    await this.#openDeadLetters();
    for (const node of this.#dataflow.nodes) {
      const instances = this.#parallelism(node);
      this.#fans.set(
        node,
        Array.from({ length: instances }, () => new Map([mainOutput, ...node.sideSchemas.keys()].map((name) => [name, new Fan()]))),
      );
    }
    for (const node of this.#dataflow.nodes) await this.#makeNode(node);
    for (const node of this.#dataflow.nodes) this.#connect(node);
    return this.task;
  }

  #parallelism(node: DataflowNode): number {
    return parallelismOf(node, this.#parts.parallelism, this.#parts.maxParallelism);
  }

  async #openDeadLetters(): Promise<void> {
    const { deadLetterSink, badRows, clock, log } = this.#parts;
    let fan: Fan | undefined;
    if (deadLetterSink !== undefined) {
      fan = new Fan();
      const counters = this.task.counters(deadLetterUid, 0);
      const sink = await this.#openSink(deadLetterUid, 0, 1, { kind: "sink", sink: deadLetterSink }, deadLetterSchema, 1, counters);
      fan.add(new ForwardEdge(sink, 0, 0));
    }
    this.task.badRows = new BadRowPolicy(badRows, clock, log, fan);
  }

  async #makeNode(node: DataflowNode): Promise<void> {
    const receivers: Receiver[] = [];
    const parallelism = this.#parallelism(node);
    const channels = node.inputs.reduce((sum, input) => sum + this.#channelsOf(input, parallelism), 0);
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const counters = this.task.counters(node.uid, subtask);
      const fans = (this.#fans.get(node) as ReadonlyMap<string, Fan>[])[subtask] as ReadonlyMap<string, Fan>;
      if (node.body.kind === "source") await this.#openSource(node, node.body, subtask, fans, counters);
      else if (node.body.kind === "sink") {
        receivers.push(await this.#openSink(node.uid, subtask, parallelism, node.body, node.schema, channels, counters));
      } else receivers.push(await this.#openOperator(node, node.body, subtask, parallelism, fans, channels, counters));
    }
    this.#receivers.set(node, receivers);
  }

  async #openSource(
    node: DataflowNode,
    body: SourceBody,
    subtask: number,
    fans: ReadonlyMap<string, Fan>,
    counters: InstanceCounters,
  ): Promise<void> {
    const { clock, log, jobName } = this.#parts;
    const badRow = this.#badRowHandler(node.uid);
    const reader = await body.source.openReader({
      jobName,
      uid: node.uid,
      subtask,
      clock,
      log: log.child({ uid: node.uid, subtask }),
      badRow,
    });
    this.task.onClose(() => reader.close());
    const decoder = await body.format?.openDecoder();
    decoder?.want(this.#wantedFields(node));
    const output = fans.get(mainOutput) as Fan;
    this.task.sources.push(
      new SourceInstance({ uid: node.uid, subtask, body, schema: node.schema, reader, decoder, output, clock, badRow, counters }),
    );
  }

  // The fields that the plan names; what users' functions read beyond them is learned from the first batches.
  #wantedFields(node: DataflowNode): readonly number[] {
    const names = new Set<string>();
    for (const consumer of this.#dataflow.nodes) {
      consumer.inputs.forEach((input, index) => {
        if (input.from !== node) return;
        for (const name of consumer.reads[index] ?? []) names.add(name);
      });
    }
    return [...names].map((name) => node.schema.field(name).index);
  }

  async #openSink(
    uid: string,
    subtask: number,
    parallelism: number,
    body: SinkBody,
    schema: DataflowNode["schema"],
    channels: number,
    counters: InstanceCounters,
  ): Promise<SinkInstance> {
    const { clock, log, jobName, checkpointIntervalMs, restore } = this.#parts;
    const states = restore?.sinkStates(uid);
    const writer = await body.sink.openWriter(
      {
        jobName,
        uid,
        subtask,
        parallelism,
        clock,
        log: log.child({ uid, subtask }),
        checkpointIntervalMs,
        ...(restore === undefined || states === undefined
          ? {}
          : { restored: { checkpointId: restore.checkpointId, committed: restore.committed, states } }),
      },
      schema,
    );
    this.task.onClose(() => writer.close());
    const sink = new SinkInstance(uid, subtask, writer, channels, counters);
    this.task.sinks.push(sink);
    return sink;
  }

  async #openOperator(
    node: DataflowNode,
    body: OperatorBody,
    subtask: number,
    parallelism: number,
    outputs: ReadonlyMap<string, Fan>,
    channels: number,
    counters: InstanceCounters,
  ): Promise<OperatorInstance> {
    const { restore, maxParallelism, clock } = this.#parts;
    const keyGroups = keyGroupRange(subtask, parallelism, maxParallelism);
    const backend = body.keyed ? await this.#openBackend(node, subtask, keyGroups) : undefined;
    const lists = new OperatorStateRegistry((name) => restore?.operatorState(node.uid, name, subtask, parallelism) ?? []);
    const log = this.#parts.log.child({ uid: node.uid, subtask });
    const task = this.task;
    // The instance and its operator need each other: the context looks the instance up when it is called.
    const late: { instance?: OperatorInstance } = {};
    const context: OperatorContext = {
      uid: node.uid,
      subtask,
      parallelism,
      maxParallelism,
      keyGroups,
      clock,
      log,
      metrics: this.#metrics(node.uid, subtask),
      output: (name = mainOutput) => {
        const output = outputs.get(name);
        if (output === undefined) throw new Error(`${node.uid} has no output "${name}"`);
        return countRows(output, counters, name === "late" ? this.#metrics(node.uid, subtask) : undefined);
      },
      get keyed(): KeyedState {
        if (backend === undefined) throw new Error(`${node.uid} is not keyed and has no state per key`);
        return backend.state;
      },
      state: lists,
      badRow: this.#badRowHandler(node.uid),
      forwardWatermark: (timeMs) => late.instance?.forwardWatermark(timeMs),
      watermarkMs: () => late.instance?.watermarkMs ?? -Infinity,
      enqueue: (work) => task.enqueue(work),
      pause: () => task.pause(),
    };
    const operator = body.create(context);
    this.task.onClose(async () => operator.close?.());
    const stored = restore?.keyedState(node.uid, keyGroups);
    if (backend !== undefined && stored !== undefined) await backend.restore(stored);
    const instance = new OperatorInstance(node.uid, subtask, operator, outputs, channels, counters);
    late.instance = instance;
    this.task.operators.push({ instance, backend, lists, keyGroups, parallelism });
    return instance;
  }

  async #openBackend(node: DataflowNode, subtask: number, keyGroups: { from: number; to: number }): Promise<KeyedStateBackend> {
    const { stateBackend, maxParallelism, clock, workDirectory } = this.#parts;
    const directory = join(workDirectory, `${node.uid.replaceAll(/[^A-Za-z0-9_.-]/g, "_")}-${node.id}-${subtask}`);
    await mkdir(directory, { recursive: true });
    const backend = await stateBackend.open({ uid: node.uid, keyGroups, maxParallelism, clock, directory });
    this.task.onClose(() => backend.close());
    return backend;
  }

  #metrics(uid: string, subtask: number): OperatorMetrics {
    const metrics = this.task.metrics;
    return {
      count: (name, by) => metrics.count(uid, subtask, name, by),
      gauge: (name, read) => metrics.gauge(uid, subtask, name, read),
    };
  }

  #badRowHandler(uid: string): (bad: BadRow) => void {
    return (bad) => this.task.badRows.take(uid, bad);
  }

  #channelsOf(input: DataflowInput, parallelism: number): number {
    const upstream = this.#parallelism(input.from);
    return isForward(input, upstream, parallelism) ? 1 : upstream;
  }

  #connect(node: DataflowNode): void {
    const receivers = this.#receivers.get(node) as Receiver[];
    let firstChannel = 0;
    node.inputs.forEach((input, index) => {
      const upstream = this.#parallelism(input.from);
      for (let from = 0; from < upstream; from++) {
        const fan = (this.#fans.get(input.from) as ReadonlyMap<string, Fan>[])[from]?.get(input.output);
        if (fan === undefined) throw new Error(`${input.from.uid} has no output "${input.output}"`);
        fan.add(this.#edge(input, index, from, upstream, receivers, firstChannel));
      }
      firstChannel += this.#channelsOf(input, receivers.length);
    });
  }

  #edge(input: DataflowInput, index: number, from: number, upstream: number, receivers: readonly Receiver[], firstChannel: number): Edge {
    if (isForward(input, upstream, receivers.length)) return new ForwardEdge(receivers[from] as Receiver, index, firstChannel);
    const channel = firstChannel + from;
    // One sender and one receiver: nothing to choose.
    if (receivers.length === 1) return new ForwardEdge(receivers[0] as Receiver, index, channel);
    if (input.exchange === "broadcast") return new BroadcastEdge(receivers, index, channel);
    if (input.exchange === "hash" && input.key !== undefined)
      return new HashEdge(receivers, index, channel, input.key, this.#parts.maxParallelism);
    return new RebalanceEdge(receivers, index, channel);
  }
}

function isForward(input: DataflowInput, upstream: number, parallelism: number): boolean {
  return input.exchange === "forward" && upstream === parallelism;
}

// Wraps an output so that what an operator emits is counted once, whoever consumes it. Late rows that nobody reads are dropped rows.
function countRows(output: Fan, counters: InstanceCounters, late: OperatorMetrics | undefined): { emit: Fan["emit"] } {
  return {
    emit(batch) {
      if (batch.count === 0) return;
      if (late !== undefined && output.isEmpty) return late.count("late_records_dropped", batch.count);
      counters.rowsOut += batch.count;
      output.emit(batch);
    },
  };
}
