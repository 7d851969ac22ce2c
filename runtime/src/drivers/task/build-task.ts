// Makes the instances of a dataflow and wires them: from the plan to objects that call each other.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BadRow } from "../../core/operator/bad-rows.ts";
import type { OperatorContext, OperatorMetrics } from "../../core/operator/operator.ts";
import type { KeyedState } from "../../core/ports/state.ts";
import type { KeyedStateBackend } from "../../core/ports/state-backend.ts";
import { type Dataflow, type DataflowNode, type OperatorBody, type SinkBody, type SourceBody, mainOutput } from "../../plan/dataflow.ts";
import { keyGroupRange } from "../../plan/key-groups.ts";
import { BadRowPolicy, deadLetterSchema } from "./bad-row-policy.ts";
import type { Barrier } from "./barrier.ts";
import { sentFields } from "./channels.ts";
import { Fan, ForwardEdge, type Receiver } from "./edge.ts";
import { ReplayEntry, type ReplayReceiver, SourceEntry } from "./entries.ts";
import { inFlightName, replaySteps } from "./in-flight.ts";
import { Obstacle } from "./obstacle.ts";
import { Openings } from "./build/openings.ts";
import { OperatorInstance } from "./operator-instance.ts";
import { countRows, raisedOnce } from "./build/operator-outlets.ts";
import { OperatorStateRegistry } from "./operator-state-registry.ts";
import { allInOne, channelsOf, type Placement } from "./placement.ts";
import { SinkInstance } from "./sink-instance.ts";
import { SourceInstance } from "./source-instance.ts";
import { type OperatorSlot, Task } from "./task.ts";
import { type TaskParts, deadLetterUid } from "./task-parts.ts";
import { wantedFields } from "./build/wanted-fields.ts";
import { Way } from "./way.ts";
import { Wiring } from "./wiring.ts";

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

type Instance = SourceInstance | SinkInstance | OperatorSlot;

class TaskBuilder {
  readonly task: Task;
  readonly #parts: TaskParts;
  readonly #dataflow: Dataflow;
  readonly #placement: Placement;
  // Outputs exist before the instances that fill them, and are connected once the receivers exist.
  readonly #fans = new Map<DataflowNode, Map<number, ReadonlyMap<string, Fan>>>();
  readonly #receivers = new Map<DataflowNode, Map<number, Receiver>>();
  readonly #obstacles = new Map<Receiver, Obstacle>();
  readonly #replays = new Map<Receiver, Obstacle>();
  /**
   * Over an exchange slots start one after another. A row that came before another channel has said that it is idle would find a watermark
   * that stands still, and be in time where it is late: so nothing comes to an instance before all channels have said their first word.
   */
  readonly #holds = new Map<Receiver, Obstacle>();
  readonly #openings = new Openings();

  constructor(parts: TaskParts) {
    this.#parts = parts;
    this.#dataflow = parts.dataflow;
    this.#placement = parts.placement ?? allInOne(parts);
    this.task = new Task(parts.clock, parts.wake);
    this.task.exchange = this.#placement.exchange;
  }

  async build(): Promise<Task> {
    try {
      return await this.#build();
    } catch (error) {
      // What is being opened still is the task's to close.
      await this.#openings.settled();
      throw error;
    }
  }

  async #build(): Promise<Task> {
    await this.#openDeadLetters();
    for (const node of this.#dataflow.nodes) {
      const fans = new Map<number, ReadonlyMap<string, Fan>>();
      for (const subtask of this.#subtasks(node)) {
        fans.set(subtask, new Map([mainOutput, ...node.sideSchemas.keys()].map((name) => [name, new Fan()])));
      }
      this.#fans.set(node, fans);
    }
    const made = this.#dataflow.nodes.map((node) => ({ node, instances: this.#openNode(node) }));
    for (const { node, instances } of made) this.#place(node, await Promise.all(instances));
    // The sink of dead letters is captured after everything that may give some.
    this.task.sinks.push(...this.task.letterSinks);
    const opened = { fans: this.#fans, receivers: this.#receivers, obstacles: this.#obstacles, replays: this.#replays, holds: this.#holds };
    new Wiring(this.task, this.#dataflow.nodes, this.#placement, this.#parts.maxParallelism, opened).connect();
    return this.task;
  }

  /** The instances of a node that are in this task. */
  #subtasks(node: DataflowNode): readonly number[] {
    const { slot } = this.#placement;
    const all = Array.from({ length: this.#placement.parallelismOf(node) }, (_, subtask) => subtask);
    return all.filter((subtask) => this.#placement.slotOf(node.uid, subtask) === slot);
  }

  // Sources and sinks share alike what the task may hold of bytes on their way.
  #bufferShare(): { readonly bufferBytes?: number } {
    const { bufferBytes } = this.#parts;
    if (bufferBytes === undefined) return {};
    const edges = this.#dataflow.nodes.filter(({ body }) => body.kind !== "operator");
    const instances = edges.reduce((sum, node) => sum + this.#subtasks(node).length, 0);
    return { bufferBytes: Math.floor(bufferBytes / Math.max(1, instances)) };
  }

  async #openDeadLetters(): Promise<void> {
    const { deadLetterSink, badRows, clock, log, deadLetters = { subtasks: [0], parallelism: 1 } } = this.#parts;
    let fan: Fan | undefined;
    for (const subtask of deadLetterSink === undefined ? [] : deadLetters.subtasks) {
      const body: SinkBody = { kind: "sink", sink: deadLetterSink as NonNullable<typeof deadLetterSink> };
      const sink = await this.#openSink(deadLetterUid, subtask, deadLetters.parallelism, body, deadLetterSchema, 1);
      this.task.letterSinks.push(sink);
      fan ??= new Fan();
      fan.add(new ForwardEdge(sink, 0, 0));
    }
    this.task.badRows = new BadRowPolicy(badRows, clock, log, fan);
  }

  // Everything is opened side by side: what a restart waits for is the slowest of it, not the sum.
  #openNode(node: DataflowNode): readonly Promise<Instance>[] {
    const parallelism = this.#placement.parallelismOf(node);
    const channels = node.inputs.reduce((sum, input) => sum + channelsOf(input, this.#placement.parallelismOf(input.from), parallelism), 0);
    const { body } = node;
    return this.#subtasks(node).map((subtask) => {
      const fans = this.#fans.get(node)?.get(subtask) as ReadonlyMap<string, Fan>;
      return this.#openings.begin(async (): Promise<Instance> => {
        if (body.kind === "source") return this.#openSource(node, body, subtask, fans);
        if (body.kind === "sink") return this.#openSink(node.uid, subtask, parallelism, body, node.schema, channels);
        return this.#openOperator(node, body, subtask, parallelism, fans, channels);
      });
    });
  }

  // In plan order, whichever was open first.
  #place(node: DataflowNode, instances: readonly Instance[]): void {
    const receivers = new Map<number, Receiver>();
    const parallelism = this.#placement.parallelismOf(node);
    for (const instance of instances) {
      if (instance instanceof SourceInstance) {
        this.task.sources.push(instance);
        this.task.sourceEntries.push(new SourceEntry(instance));
        continue;
      }
      if (instance instanceof SinkInstance) this.task.sinks.push(instance);
      else this.task.operators.push(instance);
      const receiver = instance instanceof SinkInstance ? instance : instance.instance;
      receivers.set(receiver.subtask, receiver);
      this.#replay(node, receiver.subtask, parallelism, receiver);
    }
    this.#receivers.set(node, receivers);
  }

  // Rows that the snapshot found on their way to an instance come to it before anything else.
  #replay(node: DataflowNode, subtask: number, parallelism: number, receiver: ReplayReceiver): void {
    const entries = this.#parts.restore?.operatorState(node.uid, inFlightName, subtask, parallelism) ?? [];
    const { maxParallelism } = this.#parts;
    const steps = replaySteps(entries, {
      ...{ uid: node.uid, subtask, parallelism, maxParallelism, inputs: node.inputs, receiver },
      fields: (input) => sentFields(this.#dataflow.nodes, node, input),
    });
    if (steps.length === 0) return;
    // Nearest to the sinks first, as with everything that comes in.
    const obstacle = new Obstacle(() => this.task.wake());
    this.#replays.set(receiver, obstacle);
    this.task.replayEntries.unshift(new ReplayEntry(receiver, steps, obstacle));
  }

  async #openSource(node: DataflowNode, body: SourceBody, subtask: number, fans: ReadonlyMap<string, Fan>): Promise<SourceInstance> {
    const { clock, log, jobName } = this.#parts;
    const counters = this.task.metrics.counters(node.uid, subtask);
    const late: { source?: SourceInstance } = {};
    const badRow = this.#badRowHandler(node.uid, subtask, () => late.source?.captured ?? 0);
    const reader = await body.source.openReader({
      jobName,
      uid: node.uid,
      subtask,
      clock,
      log: log.child({ uid: node.uid, subtask }),
      badRow,
      ...this.#bufferShare(),
    });
    this.task.onClose(() => reader.close());
    const decoder = await body.format?.openDecoder();
    decoder?.want(wantedFields(this.#dataflow, node));
    const output = fans.get(mainOutput) as Fan;
    const source = new SourceInstance({
      uid: node.uid,
      subtask,
      body,
      schema: node.schema,
      reader,
      decoder,
      output,
      clock,
      badRow,
      counters,
    });
    late.source = source;
    this.task.metrics.gauges(node.uid, subtask, {
      record_age_ms: () => source.latency.recordAgeMs,
      batch_ms: () => source.latency.batchMs,
    });
    return source;
  }

  async #openSink(
    uid: string,
    subtask: number,
    parallelism: number,
    body: SinkBody,
    schema: DataflowNode["schema"],
    channels: number,
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
        ...this.#bufferShare(),
        ...(restore === undefined || states === undefined
          ? {}
          : { restored: { checkpointId: restore.checkpointId, committed: restore.committed, states } }),
      },
      schema,
    );
    this.task.metrics.gauges(uid, subtask, writer.gauges ?? {});
    this.task.onClose(() => writer.close());
    const task = this.task;
    const late: { sink?: SinkInstance } = {};
    const hooks = {
      aligned: (barrier: Barrier): void => task.cuts.sinkAligned(late.sink as SinkInstance, barrier),
      failed: (where: string, which: number): void => task.blame(where, which),
    };
    const counters = task.metrics.counters(uid, subtask);
    late.sink = new SinkInstance({ uid, subtask, parallelism, writer, channels, counters, hooks });
    return late.sink;
  }

  async #openOperator(
    node: DataflowNode,
    body: OperatorBody,
    subtask: number,
    parallelism: number,
    outputs: ReadonlyMap<string, Fan>,
    channels: number,
  ): Promise<OperatorSlot> {
    const { restore, maxParallelism, clock } = this.#parts;
    const counters = this.task.metrics.counters(node.uid, subtask);
    const keyGroups = keyGroupRange(subtask, parallelism, maxParallelism);
    const backend = body.keyed ? await this.#openBackend(node, subtask, keyGroups) : undefined;
    const lists = new OperatorStateRegistry((name) => restore?.operatorState(node.uid, name, subtask, parallelism) ?? []);
    const log = this.#parts.log.child({ uid: node.uid, subtask });
    const task = this.task;
    // The instance and its operator need each other: the context looks the instance up when it is called.
    const late: { instance?: OperatorInstance; slot?: OperatorSlot } = {};
    const patience = new Obstacle(() => task.wake());
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
        return countRows(output, counters, /^late(Left|Right)?$/.test(name) ? this.#metrics(node.uid, subtask) : undefined);
      },
      get keyed(): KeyedState {
        if (backend === undefined) throw new Error(`${node.uid} is not keyed and has no state per key`);
        return backend.state;
      },
      state: lists,
      badRow: this.#badRowHandler(node.uid, subtask, () => late.instance?.barriers.captured ?? 0),
      forwardWatermark: (timeMs) => late.instance?.forwardWatermark(timeMs),
      watermarkMs: () => late.instance?.watermarkMs ?? -Infinity,
      enqueue: (work) =>
        task.enqueue(() => {
          work();
          late.instance?.settle();
        }),
      pause: () => raisedOnce(patience),
    };
    const operator = body.create(context);
    this.task.onClose(async () => operator.close?.());
    const stored = restore?.keyedState(node.uid, keyGroups);
    if (backend !== undefined && stored !== undefined) await backend.restore(stored);
    const hold = this.#placement.exchange === undefined ? undefined : new Obstacle(() => task.wake());
    hold?.raise();
    // What expires by event time is as old as when the snapshot was taken, also before the first watermark.
    backend?.onWatermark(restore?.watermarkMs(node.uid) ?? -Infinity);
    const hooks = {
      advanced: (timeMs: number): void => backend?.onWatermark(timeMs),
      aligned: (barrier: Barrier): void => task.cuts.operatorAligned(late.slot as OperatorSlot, barrier),
      failed: (where: string, which: number): void => task.blame(where, which),
      ...(hold === undefined ? {} : { heardAll: () => hold.lower() }),
    };
    const instance = new OperatorInstance({ uid: node.uid, subtask, operator, outputs, channels, counters, hooks });
    late.instance = instance;
    late.slot = { instance, backend, lists, keyGroups, parallelism, way: new Way() };
    this.#obstacles.set(instance, patience);
    if (hold !== undefined) this.#holds.set(instance, hold);
    return late.slot;
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

  // What an instance gives after its capture belongs to the time after the checkpoint.
  #badRowHandler(uid: string, subtask: number, captured: () => number): (bad: BadRow) => void {
    return (bad) => {
      try {
        this.task.badRows.take(uid, bad, this.task.cuts.isAhead(captured()));
      } catch (error) {
        this.task.blame(uid, subtask, bad);
        throw error;
      }
    };
  }
}
