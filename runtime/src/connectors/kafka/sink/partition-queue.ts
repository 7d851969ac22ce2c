// What waits to be produced to one partition, in order: the batch being filled, closed ones, and those on their way.
import type { ProducerIdentity } from "../wire/transaction-apis.ts";
import type { RecordBatchBuilder } from "../wire/record-batch-builder.ts";
import { batchRecordCount, restampBatch } from "../wire/record-batch-header.ts";

export interface ProducedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
  readonly count: number;
  readonly sequence: number;
  /** Counts the flushes before it: a flush waits for all that is not younger. */
  readonly generation: number;
  readonly closedAtMs: number;
  /** False while the producer had no identity when the batch was closed. */
  stamped: boolean;
}

const sequenceModulus = 2 ** 31;
/** The broker remembers five batches per producer and partition; with more under way it could not tell a repeat. */
export const mostInFlight = 5;

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  builder: RecordBatchBuilder | undefined;
  openedAtMs = 0;
  /** Size of the last batch before compression: the next one will be alike. */
  lastBytes = 0;
  readonly closed: ProducedBatch[] = [];
  inFlight: ProducedBatch[] = [];
  #failed: ProducedBatch[] = [];
  #nextSequence = 0;
  #begun = false;
  failures = 0;
  /** Nothing is sent before this. */
  retryAtMs = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /**
   * True when a batch may be sent: none has failed that has to go first, and fewer than five are under way. The first one goes alone: a broker
   * that knows nothing of the producer takes any sequence, so a second one could be stored in its place when it has to be sent again.
   */
  get sendable(): boolean {
    return this.#failed.length === 0 && this.inFlight.length < (this.#begun ? mostInFlight : 1);
  }

  get isEmpty(): boolean {
    return this.closed.length === 0 && this.inFlight.length === 0 && (this.builder?.count ?? 0) === 0;
  }

  /** Ends the batch being filled. Sequences follow the order of closing, which is the order of sending. */
  close(identity: ProducerIdentity | undefined, transactional: boolean, generation: number, nowMs: number): ProducedBatch | undefined {
    const builder = this.builder;
    this.builder = undefined;
    if (builder === undefined || builder.count === 0) return undefined;
    this.lastBytes = builder.sizeBytes;
    const sequence = this.#nextSequence;
    const { producerId, producerEpoch } = identity ?? { producerId: -1, producerEpoch: -1 };
    const bytes = builder.finish({ producerId, producerEpoch, baseSequence: sequence, transactional });
    this.#nextSequence = (sequence + builder.count) % sequenceModulus;
    const { topic, partition } = this;
    const batch = {
      topic,
      partition,
      bytes,
      count: builder.count,
      sequence,
      generation,
      closedAtMs: nowMs,
      stamped: identity !== undefined,
    };
    this.closed.push(batch);
    return batch;
  }

  /** Adds a batch that was encoded before; it gets this producer's stamp when it is sent. */
  enqueue(bytes: Buffer, generation: number, nowMs: number): ProducedBatch {
    const { topic, partition } = this;
    const count = batchRecordCount(bytes);
    const sequence = this.#nextSequence;
    this.#nextSequence = (sequence + count) % sequenceModulus;
    const batch = { topic, partition, bytes, count, sequence, generation, closedAtMs: nowMs, stamped: false };
    this.closed.push(batch);
    return batch;
  }

  /** Takes the next batch to send. */
  take(identity: ProducerIdentity): ProducedBatch | undefined {
    const batch = this.closed.shift();
    if (batch === undefined) return undefined;
    if (!batch.stamped) {
      restampBatch(batch.bytes, identity.producerId, identity.producerEpoch, batch.sequence);
      batch.stamped = true;
    }
    this.inFlight.push(batch);
    return batch;
  }

  acknowledged(batch: ProducedBatch): void {
    this.inFlight = this.inFlight.filter((each) => each !== batch);
    this.#begun = true;
    this.failures = 0;
    this.#requeue();
  }

  /** The batch has to be sent again. It waits until the answers of those behind it are there, so that the order stays. */
  rejected(batch: ProducedBatch, retryAtMs: number): void {
    this.inFlight = this.inFlight.filter((each) => each !== batch);
    this.#failed.push(batch);
    this.retryAtMs = Math.max(this.retryAtMs, retryAtMs);
    this.#requeue();
  }

  /** True when a batch before this one is not stored yet, so that the broker must find a gap in front of this one. */
  hasUnstoredBefore(batch: ProducedBatch): boolean {
    return [...this.#failed, ...this.inFlight].some((each) => sequenceDistance(batch, each) < 0);
  }

  #requeue(): void {
    if (this.inFlight.length > 0 || this.#failed.length === 0) return;
    this.closed.unshift(...this.#failed.toSorted((a, b) => sequenceDistance(b, a)));
    this.#failed = [];
  }

  /** Drops everything that was not sent. */
  clear(): void {
    this.builder = undefined;
    this.closed.length = 0;
  }
}

/** How far `to` comes after `from`, in records; negative when it comes before. Sequences wrap around after two billion records. */
function sequenceDistance(from: ProducedBatch, to: ProducedBatch): number {
  const apart = (to.sequence - from.sequence + sequenceModulus) % sequenceModulus;
  return apart > sequenceModulus / 2 ? apart - sequenceModulus : apart;
}
