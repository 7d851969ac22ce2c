// Produces record batches: fills them by partition, sends them to the leaders, keeps the order through retries. Idempotent, and transactional on request.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { Signal } from "../../../base/signal.ts";
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { KafkaProblem, kafkaCode, problemOf, toMillraceError } from "../client/kafka-problem.ts";
import { retryDelayMs } from "../client/retry.ts";
import type { BatchBuffers } from "../wire/batch-buffers.ts";
import type { Compression } from "../wire/compression.ts";
import type { ProduceResult } from "../wire/data-apis.ts";
import { RecordBatchBuilder } from "../wire/record-batch-builder.ts";
import type { ProducerIdentity } from "../wire/transaction-apis.ts";
import type { BufferBudget } from "./buffer-budget.ts";
import { FlushTracker } from "./flush-tracker.ts";
import { PartitionQueue, mostInFlight } from "./partition-queue.ts";
import type { ProducedBatch } from "./partition-queue.ts";

export interface ProducerOptions {
  readonly compression: Compression;
  /** Of one batch before compression. */
  readonly batchBytes: number;
  /** Of all batches of one request. */
  readonly requestBytes: number;
  /** How long a batch may wait for more records while its broker is busy with others; a broker that waits gets it at once. */
  readonly lingerMs: number;
  /** From closing a batch until it must be acknowledged. */
  readonly deliveryTimeoutMs: number;
  /** How long the broker may wait for its replicas. */
  readonly requestTimeoutMs: number;
}

export interface ProducerParts {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly budget: BufferBudget;
  /** Of the options' batch size. */
  readonly buffers?: BatchBuffers;
  /** Told of each batch when it is closed; whoever listens keeps the batches, and gives their buffers back. */
  readonly onClosed?: (batch: ProducedBatch) => void;
  /** Told where a batch was stored; not when the broker says that it had it already. */
  readonly onStored?: (batch: ProducedBatch, baseOffset: number) => void;
}

export class RecordProducer {
  readonly #options: ProducerOptions;
  readonly #parts: ProducerParts;
  /** The transactional id, or null without transactions. */
  readonly #transactionalId: string | null;
  #identity: ProducerIdentity | undefined;
  readonly #queues = new Map<string, PartitionQueue>();
  readonly #busy = new Map<number, number>();
  /** Partitions of the open transaction that its coordinator knows. */
  readonly #added = new Set<PartitionQueue>();
  #adding = false;
  #refreshing = false;
  readonly #unacknowledged: FlushTracker = new FlushTracker();
  readonly #answeredAll: Signal = new Signal();
  #underWay = 0;
  #wakeAtMs: number = Number.POSITIVE_INFINITY;
  #cancelWake: (() => void) | undefined;
  #failure: unknown;
  #closed = false;
  /** While it is set nothing is sent, and what is appended waits. Call `poke` when it is set no longer. */
  held = false;
  /** From the end of the latest acknowledged batch to its acknowledgement. */
  acknowledgeMs = 0;

  constructor(transactionalId: string | null, options: ProducerOptions, parts: ProducerParts) {
    this.#transactionalId = transactionalId;
    this.#options = options;
    this.#parts = parts;
  }

  /** Under which identity to send; nothing is sent before. */
  start(identity: ProducerIdentity): void {
    this.#identity = identity;
    this.poke();
  }

  get identity(): ProducerIdentity | undefined {
    return this.#identity;
  }

  /** The queue of a partition: what `append` takes. */
  queue(topic: string, partition: number): PartitionQueue {
    const key = `${topic}/${partition}`;
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const made = new PartitionQueue(topic, partition);
    this.#queues.set(key, made);
    return made;
  }

  /** Copies a record into the batch of its partition. Call `poke` after a row or many. */
  append(
    queue: PartitionQueue,
    timestampMs: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    headers: RecordHeaders,
  ): void {
    const builder = queue.builder ?? this.#open(queue);
    if (builder.append(timestampMs, key, keyStart, keyEnd, value, valueStart, valueEnd, headers)) return;
    this.#close(queue);
    this.#open(queue).append(timestampMs, key, keyStart, keyEnd, value, valueStart, valueEnd, headers);
  }

  #open(queue: PartitionQueue): RecordBatchBuilder {
    queue.builder = new RecordBatchBuilder(this.#options.batchBytes, this.#options.compression, this.#parts.buffers, queue.lastBytes);
    queue.openedAtMs = this.#parts.clock.now();
    return queue.builder;
  }

  /** Whether a record of about `bytes` still fits into the batch that is being filled; where it does not, the batch is ended. */
  fits(queue: PartitionQueue, bytes: number, limitBytes: number = this.#options.batchBytes): boolean {
    if (queue.builder === undefined) return false;
    if (queue.builder.sizeBytes + bytes <= limitBytes) return true;
    this.#close(queue);
    return false;
  }

  #close(queue: PartitionQueue): void {
    const batch = queue.close(this.#identity, this.#transactionalId !== null, this.#unacknowledged.generation, this.#parts.clock.now());
    if (batch !== undefined) this.#count(batch);
  }

  #count(batch: ProducedBatch): void {
    this.#parts.budget.add(batch.bytes.length);
    this.#unacknowledged.add(batch.generation);
    this.#parts.onClosed?.(batch);
  }

  /** Sends a batch that was encoded before, with another stamp; its bytes are changed in place. */
  resend(topic: string, partition: number, bytes: Buffer): void {
    this.#count(this.queue(topic, partition).enqueue(bytes, this.#unacknowledged.generation, this.#parts.clock.now()));
    this.poke();
  }

  /** Sends what may be sent now. */
  poke(): void {
    if (this.#failure !== undefined || this.#closed || this.#identity === undefined) return;
    const nowMs = this.#parts.clock.now();
    const idle = (queue: PartitionQueue): boolean => (this.#busy.get(this.#leaderOf(queue)) ?? 0) === 0;
    for (const queue of this.#queues.values()) {
      if (queue.builder === undefined) continue;
      if (idle(queue) || nowMs - queue.openedAtMs >= this.#options.lingerMs) this.#close(queue);
      else this.#wakeAt(queue.openedAtMs + this.#options.lingerMs);
    }
    this.#drain(nowMs);
  }

  /** Closes all batches and settles when everything appended before is acknowledged. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    for (const queue of this.#queues.values()) this.#close(queue);
    const flushed = this.#unacknowledged.flush();
    this.#drain(this.#parts.clock.now());
    await flushed;
  }

  /** Forgets the partitions of the transaction that has ended. */
  transactionEnded(): void {
    this.#added.clear();
  }

  /** True when the open transaction has records. */
  get hasPartitions(): boolean {
    return this.#added.size > 0;
  }

  /** Drops what was not sent, stops, and settles when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelWake?.();
    for (const queue of this.#queues.values()) queue.clear();
    this.#unacknowledged.fail(new Error("the producer was closed before its flush was done"));
    if (this.#underWay > 0) await this.#answeredAll.next();
  }

  #leaderOf(queue: PartitionQueue): number {
    return this.#parts.client.leaderOf(queue.topic, queue.partition)?.leaderId ?? -1;
  }

  #drain(nowMs: number): void {
    if (this.#failure !== undefined || this.#closed || this.held || this.#identity === undefined) return;
    if (this.#transactionalId !== null) this.#addPartitions();
    const byLeader = new Map<number, PartitionQueue[]>();
    for (const queue of this.#queues.values()) {
      if (queue.closed.length === 0 || !queue.sendable) continue;
      if (this.#transactionalId !== null && !this.#added.has(queue)) continue;
      if (queue.retryAtMs > nowMs) {
        this.#wakeAt(queue.retryAtMs);
        continue;
      }
      const leaderId = this.#leaderOf(queue);
      if (leaderId < 0) this.#refresh();
      else byLeader.set(leaderId, [...(byLeader.get(leaderId) ?? []), queue]);
    }
    for (const [leaderId, queues] of byLeader) this.#sendTo(leaderId, queues);
  }

  #sendTo(leaderId: number, queues: readonly PartitionQueue[]): void {
    while ((this.#busy.get(leaderId) ?? 0) < mostInFlight) {
      const batches: ProducedBatch[] = [];
      let size = 0;
      for (const queue of queues) {
        const next = queue.closed[0];
        if (next === undefined || !queue.sendable) continue;
        if (batches.length > 0 && size + next.bytes.length > this.#options.requestBytes) continue;
        size += next.bytes.length;
        batches.push(queue.take(this.#identity as ProducerIdentity) as ProducedBatch);
      }
      if (batches.length === 0) return;
      this.#send(leaderId, batches);
    }
  }

  #send(leaderId: number, batches: readonly ProducedBatch[]): void {
    this.#busy.set(leaderId, (this.#busy.get(leaderId) ?? 0) + 1);
    this.#underWay++;
    const entries = batches.map(({ topic, partition, bytes }) => ({ topic, partition, batch: bytes }));
    this.#parts.client
      .produce(leaderId, { transactionalId: this.#transactionalId, acks: -1, timeoutMs: this.#options.requestTimeoutMs, batches: entries })
      .then(
        (results) => this.#answered(batches, results),
        (problem: unknown) => {
          if (!(problem instanceof KafkaProblem)) throw problem;
          for (const batch of batches) this.#retry(batch, problem);
        },
      )
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#busy.set(leaderId, (this.#busy.get(leaderId) ?? 1) - 1);
        this.#underWay--;
        if (this.#underWay === 0) this.#answeredAll.notify();
        this.poke();
      });
  }

  #answered(batches: readonly ProducedBatch[], results: readonly ProduceResult[]): void {
    const byPartition = new Map(results.map((each) => [`${each.topic}/${each.partition}`, each]));
    for (const batch of batches) {
      const answered = byPartition.get(`${batch.topic}/${batch.partition}`);
      const { errorCode = -1, message = "the answer leaves it out" } = answered ?? {};
      if (errorCode === kafkaCode.none && answered !== undefined) this.#parts.onStored?.(batch, answered.baseOffset);
      if (errorCode === kafkaCode.none || errorCode === kafkaCode.duplicateSequence) this.#acknowledge(batch);
      else this.#retry(batch, problemOf(errorCode, `Produce to ${batch.topic}/${batch.partition}`, message));
    }
  }

  #acknowledge(batch: ProducedBatch): void {
    this.acknowledgeMs = this.#parts.clock.now() - batch.closedAtMs;
    this.queue(batch.topic, batch.partition).acknowledged(batch);
    this.#parts.budget.free(batch.bytes.length);
    if (this.#parts.onClosed === undefined) this.#parts.buffers?.give(batch.bytes);
    this.#unacknowledged.done(batch.generation);
  }

  #retry(batch: ProducedBatch, problem: KafkaProblem): void {
    const queue = this.queue(batch.topic, batch.partition);
    const nowMs = this.#parts.clock.now();
    const subject = `topic ${batch.topic}, partition ${batch.partition}`;
    // Behind a batch that failed, or went to another leader, the broker finds a gap: it closes when both are sent in order again.
    const gap = problem.kafkaCode === kafkaCode.outOfOrderSequence && queue.hasUnstoredBefore(batch);
    if (!gap && (problem.kind === "fatal" || problem.kind === "fenced")) {
      this.fail(
        toMillraceError(
          problem,
          this.#transactionalId !== null && problem.kind === "fenced" ? `transactional id ${this.#transactionalId}` : subject,
        ),
      );
      return;
    }
    if (nowMs - batch.closedAtMs > this.#options.deliveryTimeoutMs) {
      this.fail(
        new MillraceError(
          "KAFKA_DELIVERY_TIMEOUT",
          subject,
          `a batch was not acknowledged within ${this.#options.deliveryTimeoutMs} ms; the last problem was: ${problem.message}`,
          "look into the broker's state, or raise deliveryTimeoutMs",
          { cause: problem },
        ),
      );
      return;
    }
    if (queue.failures === 0)
      this.#parts.log.debug("produce is repeated", { topic: batch.topic, partition: batch.partition, reason: problem.message });
    queue.rejected(batch, nowMs + retryDelayMs(queue.failures, this.#parts.random));
    queue.failures++;
    if (problem.kind !== "retry") this.#refresh();
  }

  #addPartitions(): void {
    const missing = [...this.#queues.values()].filter((queue) => queue.closed.length > 0 && !this.#added.has(queue));
    const identity = this.#identity;
    if (missing.length === 0 || this.#adding || identity === undefined || this.#transactionalId === null) return;
    this.#adding = true;
    const partitions = missing.map(({ topic, partition }) => ({ topic, partition }));
    this.#parts.client
      .addPartitionsToTransaction({ transactionalId: this.#transactionalId, ...identity }, partitions)
      .then(() => {
        for (const queue of missing) this.#added.add(queue);
      })
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#adding = false;
        this.poke();
      });
  }

  #refresh(): void {
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    const topics = new Set([...this.#queues.values()].filter((queue) => !queue.isEmpty).map((queue) => queue.topic));
    this.#parts.client
      .topics([...topics])
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#refreshing = false;
        // Without a leader the next look waits a little.
        this.#wakeAt(this.#parts.clock.now() + retryDelayMs(1, this.#parts.random));
      });
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#wakeAtMs || this.#closed) return;
    this.#cancelWake?.();
    this.#wakeAtMs = atMs;
    this.#cancelWake = this.#parts.clock.after(atMs - this.#parts.clock.now(), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.poke();
    });
  }

  /** Nothing more will be sent: all who wait are told why. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#parts.budget.fail(error);
    this.#unacknowledged.fail(error);
  }
}
