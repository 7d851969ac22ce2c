// One end of a repartition topic: gathers the rows of a task by the partition that owns their key group, and sends them in frames.
import { ByteWriter } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import type { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import type { PartitionQueue } from "../../../connectors/kafka/sink/partition-queue.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import { KeyReader, keyGroupOf } from "../../../core/keys/key-batch.ts";
import type { SinkWriter } from "../../../core/ports/sink.ts";
import { ownerOfKeyGroup } from "../../../plan/key-groups.ts";
import type { RepartitionEdge } from "../topology/sub-topologies.ts";
import { FrameBuilder, writeMarker } from "./frame-codec.ts";

export interface RepartitionOutputParts {
  readonly edge: RepartitionEdge;
  /** How many partitions the topic has. */
  readonly partitions: number;
  /** The partition of the task that sends. */
  readonly upstream: number;
  readonly maxParallelism: number;
  readonly producer: RecordProducer;
  readonly budget: BufferBudget;
  readonly clock: Clock;
  /** How often a partition without rows is told of event time, at most. */
  readonly watermarkIntervalMs: number;
}

interface Target {
  readonly queue: PartitionQueue;
  readonly frame: FrameBuilder;
  sentMs: number;
  sentIdle: boolean;
  sentAtMs: number;
}

/** A frame is sent when it has about so many bytes; the batches of the producer are larger. */
const frameBytes = 16 * 1024;
const noHeaders: readonly [] = [];
const nothing = new Uint8Array(0);

export class RepartitionOutput implements SinkWriter {
  readonly #parts: RepartitionOutputParts;
  readonly #targets: readonly Target[];
  readonly #keys: KeyReader | undefined;
  readonly #owners: Uint16Array;
  readonly #value: ByteWriter = new ByteWriter(frameBytes * 2);
  #turn = 0;
  #watermarkMs = -Infinity;
  #idle = false;

  constructor(parts: RepartitionOutputParts) {
    const { edge, partitions, producer, maxParallelism } = parts;
    this.#parts = parts;
    this.#targets = Array.from({ length: partitions }, (_, partition) => ({
      queue: producer.queue(edge.topic, partition),
      frame: new FrameBuilder(edge.schema, new ByteWriter(1024)),
      sentMs: -Infinity,
      sentIdle: false,
      sentAtMs: -Infinity,
    }));
    this.#keys = edge.kind === "hash" && edge.key !== undefined ? new KeyReader(edge.key) : undefined;
    this.#owners = Uint16Array.from({ length: maxParallelism }, (_, group) => ownerOfKeyGroup(group, partitions, maxParallelism));
  }

  write(batch: Batch): void {
    // Frames hold whole rows, so every column has to be there.
    for (const field of batch.rows.schema.fields) batch.rows.column(field.index);
    if (this.#keys !== undefined) this.#writeByKey(batch, this.#keys);
    else if (this.#parts.edge.kind === "broadcast") for (const target of this.#targets) this.#append(target, batch, 0, batch.count);
    else {
      this.#append(this.#targets[this.#turn] as Target, batch, 0, batch.count);
      this.#turn = (this.#turn + 1) % this.#targets.length;
    }
  }

  #writeByKey(batch: Batch, keys: KeyReader): void {
    const { hashes } = keys.read(batch);
    const { maxParallelism } = this.#parts;
    for (let k = 0; k < batch.count; k++) {
      const owner = this.#owners[keyGroupOf(hashes[k] as number, maxParallelism)] as number;
      this.#append(this.#targets[owner] as Target, batch, k, k + 1);
    }
  }

  #append(target: Target, batch: Batch, from: number, to: number): void {
    for (let k = from; k < to; k++) {
      target.frame.append(batch, k);
      if (target.frame.sizeBytes >= frameBytes) this.#send(target);
    }
  }

  /** How far event time has come in what was written; what follows in the topic says so. */
  advance(watermarkMs: number, idle: boolean): void {
    this.#watermarkMs = watermarkMs;
    this.#idle = idle;
  }

  #send(target: Target): void {
    const { producer, clock, upstream } = this.#parts;
    const value = this.#value;
    value.reset();
    target.frame.finish(value, upstream, this.#watermarkMs, this.#idle);
    const nowMs = clock.now();
    target.sentMs = this.#watermarkMs;
    target.sentIdle = this.#idle;
    target.sentAtMs = nowMs;
    producer.append(target.queue, nowMs, nothing, -1, 0, value.buffer, 0, value.length, noHeaders);
  }

  /** Sends what is there, and tells partitions without rows of event time where that is due. */
  sendFrames(): void {
    const nowMs = this.#parts.clock.now();
    for (const target of this.#targets) {
      const news = this.#watermarkMs > target.sentMs || this.#idle !== target.sentIdle;
      const due = nowMs - target.sentAtMs >= this.#parts.watermarkIntervalMs;
      if (target.frame.rowCount > 0 || (news && due)) this.#send(target);
    }
  }

  /** Tells every partition that the cut of a savepoint is here; behind all rows that were written before. */
  sendMarkers(attempt: number): void {
    const { producer, clock, upstream } = this.#parts;
    const value = this.#value;
    for (const target of this.#targets) {
      if (target.frame.rowCount > 0) this.#send(target);
      value.reset();
      writeMarker(value, upstream, this.#watermarkMs, this.#idle, attempt);
      target.sentMs = this.#watermarkMs;
      target.sentIdle = this.#idle;
      target.sentAtMs = clock.now();
      producer.append(target.queue, clock.now(), nothing, -1, 0, value.buffer, 0, value.length, noHeaders);
    }
  }

  /** True while some partition has not heard how far event time is: the task has something to commit. */
  get owesWatermarks(): boolean {
    return this.#targets.some((target) => this.#watermarkMs > target.sentMs || this.#idle !== target.sentIdle);
  }

  ready(): Promise<void> | undefined {
    return this.#parts.budget.ready();
  }

  async flush(): Promise<void> {
    this.#parts.producer.poke();
  }

  async prepare(): Promise<Uint8Array> {
    this.sendFrames();
    return nothing;
  }

  async commit(): Promise<void> {
    // The task's transaction covers it.
  }

  async close(): Promise<void> {
    // The producer is the task's.
  }
}
