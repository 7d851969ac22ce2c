// The partitions that a task reads: the source topics' and the repartition topics', where each goes on and what is committed of it.
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import { isKafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { PartitionEnumerator } from "../../../connectors/kafka/source/partition-enumerator.ts";
import { PartitionReader } from "../../../connectors/kafka/source/partition-reader.ts";
import { splitIdOf } from "../../../connectors/kafka/source/source-options.ts";
import { partitionSplit } from "../../../connectors/kafka/source/split-position.ts";
import type { GroupOffset } from "../../../connectors/kafka/wire/offset-apis.ts";
import type { Source, SourceReader, SourceSplit } from "../../../core/ports/source.ts";
import type { DataflowNode } from "../../../plan/dataflow.ts";
import type { SourceInstance } from "../../task/source-instance.ts";
import type { TaskCapture } from "../../task/captures.ts";
import type { Task } from "../../task/task.ts";
import { RepartitionInput } from "../exchange/repartition-input.ts";
import { sharedFetches } from "../exchange/shared-fetches.ts";
import { entryUid } from "../topology/task-dataflow.ts";
import { decodeTimes, encodeTimes } from "./event-times.ts";
import type { TaskHost, TaskPlace } from "./task-host.ts";

/** A source of the dataflow whose reader takes its records from the process's fetcher. */
export function sharedSource(source: Source, host: TaskHost, place: TaskPlace): Source {
  return { ...source, openReader: async ({ uid }) => partitionReader(host, `${place.id}/${uid}`, uid) };
}

function partitionReader(host: TaskHost, owner: string, uid: string): PartitionReader {
  return new PartitionReader({
    client: { commitGroupOffsets: async () => undefined, close: async () => undefined },
    fetcher: sharedFetches(host.fetcher, owner),
    readCommitted: host.isolation === "read_committed",
    groupId: undefined,
    uid,
    log: host.log,
  });
}

/** The topics of a sub-topology's sources that have a partition for the task. */
function sourcePartitions(node: DataflowNode, partition: number, client: KafkaClient): readonly { topic: string; partition: number }[] {
  if (node.body.kind !== "source" || !isKafkaSource(node.body.source)) return [];
  return node.body.source.kafka.topics
    .filter((topic) => client.leaderOf(topic, partition) !== undefined)
    .map((topic) => ({ topic, partition }));
}

export class TaskInputs {
  readonly repartitions: readonly RepartitionInput[];
  readonly #task: Task;
  readonly #committed = new Map<string, GroupOffset>();

  private constructor(task: Task, repartitions: readonly RepartitionInput[]) {
    this.#task = task;
    this.repartitions = repartitions;
  }

  /** Gives every input its partition, from the committed offset on, or from where its source says to start. */
  static async open(task: Task, host: TaskHost, place: TaskPlace): Promise<TaskInputs> {
    const { client, applicationId } = host;
    const { sources, inbound } = place.subTopology;
    const wanted = [
      ...sources.flatMap((node) => sourcePartitions(node, place.partition, client)),
      ...inbound.map(({ topic }) => ({ topic, partition: place.partition })),
    ];
    const committed = wanted.length === 0 ? [] : await client.groupOffsets(applicationId, wanted);
    const offsets = new Map(committed.map((each) => [splitIdOf(each.topic, each.partition), each]));
    const repartitions: RepartitionInput[] = [];
    for (const edge of inbound) {
      const entry = task.operators.find(({ instance }) => instance.uid === entryUid(edge));
      if (entry === undefined) throw new Error(`task ${place.id} has no entry for ${edge.topic}`);
      const splitId = splitIdOf(edge.topic, place.partition);
      const reader = partitionReader(host, place.id, edge.topic);
      repartitions.push(new RepartitionInput(edge, splitId, host.counts[edge.from] as number, reader, entry));
      task.onClose(() => reader.close());
    }
    const inputs = new TaskInputs(task, repartitions);
    for (const each of committed) inputs.#committed.set(splitIdOf(each.topic, each.partition), each);
    for (const source of task.sources) {
      const node = sources.find((each) => each.uid === source.uid);
      if (node !== undefined) await inputs.#startSource(node, source, host, place, offsets);
      source.announce();
    }
    for (const input of repartitions) {
      const at = offsets.get(input.splitId);
      const [earliest] =
        at === undefined
          ? await client.listOffsets([{ topic: input.edge.topic, partition: place.partition, at: "earliest" }], host.isolation)
          : [];
      const offset = at?.offset ?? earliest?.offset ?? 0;
      input.assign(
        { id: input.splitId, position: { offset, leaderEpoch: at?.leaderEpoch ?? -1, topicId: "" } },
        decodeTimes(at?.metadata ?? ""),
      );
    }
    return inputs;
  }

  async #startSource(
    node: DataflowNode,
    source: SourceInstance,
    host: TaskHost,
    place: TaskPlace,
    offsets: ReadonlyMap<string, GroupOffset>,
  ): Promise<void> {
    const own = sourcePartitions(node, place.partition, host.client);
    if (own.length === 0 || node.body.kind !== "source" || !isKafkaSource(node.body.source)) return;
    const ids = new Set(own.map(({ topic, partition }) => splitIdOf(topic, partition)));
    const known = [...ids].filter((id) => offsets.has(id));
    let starts: readonly SourceSplit[] = [];
    if (known.length < ids.size) {
      const enumerator = new PartitionEnumerator(node.body.source.kafka, host.client);
      starts = (await enumerator.discover(new Set())).filter((split) => ids.has(split.id) && !offsets.has(split.id));
    }
    const resumed = known.map((id): SourceSplit => {
      const { offset, leaderEpoch } = offsets.get(id) as GroupOffset;
      return { id, position: { offset, leaderEpoch, topicId: "" } };
    });
    const watermarks = new Map(
      known.flatMap((id) => decodeTimes(offsets.get(id)?.metadata ?? "").map((time) => [id, time.watermarkMs] as const)),
    );
    source.assign([...starts, ...resumed], watermarks, host.clock.now());
  }

  /** Some records of every input, or of the repartition topics only. False when there was nothing. */
  step(withSources: boolean): boolean {
    let worked = withSources && this.#task.step();
    if (!withSources) this.#task.badRows.flush();
    // The one that is furthest behind goes first, so that what the others wait for comes soon.
    for (const input of this.repartitions.toSorted((a, b) => a.watermarkMs - b.watermarkMs)) if (input.step()) worked = true;
    return worked;
  }

  /** Whether the cut of a savepoint has come by all repartition topics. */
  cutOf(attempt: number): "waiting" | "ready" | "missed" {
    const each = this.repartitions.map((input) => input.cutOf(attempt));
    return each.find((one) => one === "missed") ?? each.find((one) => one === "waiting") ?? "ready";
  }

  /** Everything at this instant: nothing is in flight within a task, so one pass of the barrier takes it all. */
  capture(checkpointId: number): TaskCapture {
    const { cuts } = this.#task;
    let capture: TaskCapture | undefined;
    cuts.onComplete = (cut) => {
      capture = cut.capture;
    };
    const barrier = { checkpointId, sinceMs: performance.now(), drain: false };
    cuts.trigger(barrier);
    for (const { slot } of this.repartitions) cuts.operatorAligned(slot, barrier);
    if (capture === undefined) throw new Error("the barrier has not come to every instance in one pass");
    return capture;
  }

  /** The offsets to commit: those that have moved, or whose event time has. */
  moved(): readonly GroupOffset[] {
    return this.#all().filter((now) => {
      const before = this.#committed.get(splitIdOf(now.topic, now.partition));
      return before === undefined || before.offset !== now.offset || before.metadata !== now.metadata;
    });
  }

  /** Up to where nobody needs the repartition topics any more: this task is the only one that reads its partitions. */
  spent(): readonly GroupOffset[] {
    return this.repartitions.map(({ splitId }) => this.#committed.get(splitId)).filter((each) => each !== undefined);
  }

  committed(offsets: readonly GroupOffset[]): void {
    for (const each of offsets) this.#committed.set(splitIdOf(each.topic, each.partition), each);
  }

  #all(): readonly GroupOffset[] {
    const offsets: GroupOffset[] = [];
    for (const source of this.#task.sources) {
      const times = source.splitWatermarks();
      for (const split of source.reader.snapshot()) {
        const { topic, partition, offset, leaderEpoch } = partitionSplit(split, source.uid);
        const watermarkMs = times.get(split.id);
        const metadata = watermarkMs === undefined ? "" : encodeTimes([{ watermarkMs, idle: false }]);
        offsets.push({ topic, partition, offset, leaderEpoch, metadata });
      }
    }
    for (const input of this.repartitions) {
      const { topic, partition, offset, leaderEpoch } = partitionSplit(input.position(), input.edge.topic);
      offsets.push({ topic, partition, offset, leaderEpoch, metadata: encodeTimes(input.channelTimes()) });
    }
    return offsets;
  }

  /** By partition, the next record that will be processed. */
  positions(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#all().map(({ topic, partition, offset }) => [splitIdOf(topic, partition), offset]));
  }

  /** Records that are there and not processed; NaN where that is not known yet. */
  lag(): number {
    let lag = 0;
    const readers: readonly SourceReader[] = this.#task.sources.map((source) => source.reader);
    for (const reader of readers) for (const records of reader.lag()?.values() ?? []) lag += records;
    for (const input of this.repartitions) lag += input.lag();
    return lag;
  }
}
