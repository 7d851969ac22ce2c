// The exactly-once side of the Kafka sink: an epoch is a transaction, and the same batches are write-ahead data of its checkpoint.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { SinkWriter } from "../../../core/ports/sink.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { sleep } from "../client/retry.ts";
import type { ProducerIdentity, TransactionOwner } from "../wire/transaction-apis.ts";
import type { BatchBuffers } from "../wire/batch-buffers.ts";
import type { BufferBudget } from "./buffer-budget.ts";
import { type CommitHistory, markerGroup, markerOffset } from "./commit-marker.ts";
import type { ProducedBatch } from "./partition-queue.ts";
import { RecordProducer } from "./record-producer.ts";
import { ProducerOutput } from "./record-writer.ts";
import type { RowOutput } from "./row-output.ts";
import type { KafkaSinkConfig } from "./sink-options.ts";
import type { Recovered } from "./transaction-recovery.ts";
import { transactionalIdOf } from "./transaction-recovery.ts";
import { encodeWriteAhead } from "./write-ahead.ts";

export interface ExactlyOnceParts {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly config: KafkaSinkConfig;
  readonly rows: RowOutput;
  readonly budget: BufferBudget;
  readonly buffers: BatchBuffers;
  readonly prefix: string;
  readonly subtask: number;
  readonly uid: string;
  /** A name that no other start of this sink has. */
  readonly life: string;
}

/** One transactional id, which serves one epoch after the other. */
interface Slot {
  readonly transactionalId: string;
  readonly output: ProducerOutput;
  /** What is written through it now. */
  epoch: Epoch | undefined;
}

interface Epoch {
  readonly slot: Slot;
  readonly batches: ProducedBatch[];
  bytes: number;
  /** Set at the cut. */
  checkpointId: number;
  /** True once all of it is in its transaction, with its marker: only then may it be committed. */
  whole: boolean;
}

/** Epochs that may wait for their commit at once: one per checkpoint that is under way or was given up. */
const mostSlots = 16;
const closePatienceMs = 5000;

export class ExactlyOnceWriter implements SinkWriter {
  readonly #parts: ExactlyOnceParts;
  readonly #history: CommitHistory;
  readonly #slots: Slot[] = [];
  /** Cut and not committed, in order. */
  #pending: Epoch[] = [];
  #current: Epoch;

  constructor(parts: ExactlyOnceParts, recovered: Recovered) {
    this.#parts = parts;
    this.#history = recovered.history;
    for (const identity of recovered.identities) this.#addSlot(identity);
    this.#current = this.#begin();
  }

  #addSlot(identity: ProducerIdentity | undefined): Slot {
    const { client, clock, log, random, budget, buffers, config, prefix, subtask } = this.#parts;
    const transactionalId = transactionalIdOf(prefix, subtask, this.#slots.length);
    const onClosed = (batch: ProducedBatch): void => this.#keep(slot, batch);
    const producer = new RecordProducer(transactionalId, config.producer, { client, clock, log, random, budget, buffers, onClosed });
    const slot: Slot = { transactionalId, output: new ProducerOutput(producer), epoch: undefined };
    this.#slots.push(slot);
    if (identity !== undefined) producer.start(identity);
    else {
      client.initProducerId(transactionalId, config.transactionTimeoutMs).then(
        (made) => producer.start(made),
        (error: unknown) => producer.fail(error),
      );
    }
    return slot;
  }

  // The next epoch's transaction is another one than the last one's: a new transaction right behind a commit has to wait for it.
  #begin(): Epoch {
    let slot = this.#slots.find((each) => each.epoch === undefined);
    if (slot === undefined && this.#slots.length >= mostSlots) {
      throw new MillraceError(
        "KAFKA_COMMITS_BEHIND",
        `kafka sink ${this.#parts.uid}`,
        `${this.#slots.length} checkpoints in a row were not completed, and each has a transaction open`,
        "look why checkpoints fail; the job goes on from the last one that was completed",
      );
    }
    slot ??= this.#addSlot(undefined);
    const epoch: Epoch = { slot, batches: [], bytes: 0, checkpointId: Number.POSITIVE_INFINITY, whole: false };
    slot.epoch = epoch;
    return epoch;
  }

  #keep(slot: Slot, batch: ProducedBatch): void {
    const { epoch } = slot;
    if (epoch === undefined) throw new Error(`a batch was closed under ${slot.transactionalId}, which has no epoch`);
    epoch.batches.push(batch);
    epoch.bytes += batch.bytes.length;
    const { maxEpochBytes } = this.#parts.config;
    if (epoch.bytes <= maxEpochBytes) return;
    this.#parts.budget.fail(
      new MillraceError(
        "KAFKA_EPOCH_TOO_LARGE",
        `kafka sink ${this.#parts.uid}`,
        `the output since the last checkpoint exceeds ${maxEpochBytes} bytes in one instance`,
        "take checkpoints more often, compress, raise maxEpochBytes, or use at-least-once",
      ),
    );
  }

  #check(): void {
    if (this.#parts.budget.failure !== undefined) throw this.#parts.budget.failure;
  }

  write(batch: Batch): void {
    this.#check();
    const { output } = this.#current.slot;
    this.#parts.rows.write(batch, output);
    output.producer.poke();
  }

  ready(): Promise<void> | undefined {
    return this.#parts.rows.settled() ?? this.#parts.budget.ready();
  }

  async flush(): Promise<void> {
    this.#check();
    this.#current.slot.output.producer.poke();
  }

  prepare(checkpointId: number): Promise<Uint8Array> {
    try {
      this.#check();
      const epoch = this.#current;
      epoch.checkpointId = checkpointId;
      this.#pending.push(epoch);
      this.#current = this.#begin();
      return this.#secure(epoch, this.#current);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #secure(epoch: Epoch, next: Epoch): Promise<Uint8Array> {
    try {
      return await this.#complete(epoch, next);
    } catch (error) {
      // An epoch that is not whole in its transaction must never be committed by a later checkpoint.
      this.#parts.budget.fail(error);
      throw error;
    }
  }

  // Gets all of the epoch into its transaction, with the marker that will say that it was committed.
  async #complete(epoch: Epoch, next: Epoch): Promise<Uint8Array> {
    const { client, clock, life, prefix, rows, subtask } = this.#parts;
    // A transaction that is open in front of this one's last records would hide them from readers beyond this one's commit.
    const { producer: behind } = next.slot.output;
    behind.held = true;
    await rows.settled();
    await epoch.slot.output.producer.flush();
    behind.held = false;
    behind.poke();
    this.#check();
    const [first] = epoch.batches;
    if (first === undefined) this.#release(epoch);
    else {
      const marker = markerOffset(first.topic, life, epoch.checkpointId, this.#history);
      await client.commitOffsetsInTransaction(ownerOf(epoch.slot), markerGroup(prefix, subtask), [marker]);
      epoch.whole = true;
    }
    const epochs = this.#pending.filter((each) => each.checkpointId <= epoch.checkpointId);
    return encodeWriteAhead({ life, subtask, slots: this.#slots.length, writtenAtMs: clock.now(), epochs });
  }

  #release(epoch: Epoch): void {
    this.#pending = this.#pending.filter((each) => each !== epoch);
    epoch.slot.epoch = undefined;
    for (const batch of epoch.batches) this.#parts.buffers.give(batch.bytes);
  }

  async commit(checkpointId: number): Promise<void> {
    for (const epoch of this.#pending.filter((each) => each.checkpointId <= checkpointId)) {
      if (!epoch.whole)
        throw this.#parts.budget.failure ?? new Error(`checkpoint ${epoch.checkpointId} was committed before it was prepared`);
      await this.#parts.client.endTransaction(ownerOf(epoch.slot), true);
      epoch.slot.output.producer.transactionEnded();
      this.#release(epoch);
    }
  }

  async close(): Promise<void> {
    const { client, clock, log } = this.#parts;
    // What was prepared stays in its checkpoint, so its transaction may go too; left open it would hold up readers.
    const aborted = this.#slots.map(async ({ output, transactionalId }) => {
      const { producer } = output;
      await producer.close();
      const { identity } = producer;
      if (identity === undefined || !producer.hasPartitions) return;
      try {
        await client.endTransaction({ transactionalId, ...identity }, false);
      } catch (error) {
        log.debug("transaction left to its timeout", { transactionalId, reason: messageOf(error) });
      }
    });
    await Promise.race([Promise.all(aborted), sleep(clock, closePatienceMs)]);
    await client.close();
  }
}

function ownerOf({ transactionalId, output }: Slot): TransactionOwner {
  const { identity } = output.producer;
  if (identity === undefined) throw new Error(`${transactionalId} was used before it was taken over`);
  return { transactionalId, ...identity };
}
