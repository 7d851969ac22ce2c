// One partition of the Kafka in memory: its log of batches, its producers' sequences, and what transactions did to it.
import { RecordBatchBuilder } from "../wire/record-batch-builder.ts";
import { batchAttribute, batchChecksum, batchField, batchRecordCount, readInt64, writeInt64 } from "../wire/record-batch-header.ts";
import { RecordBatchReader } from "../wire/record-batch-reader.ts";
import { RecordBlock } from "../wire/record-block.ts";
import { kafkaCode } from "./kafka-problem.ts";

interface Stored {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly maxTimestampMs: number;
  readonly batch: Buffer;
}

interface Aborted {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

interface Sequences {
  epoch: number;
  next: number;
  readonly recent: { readonly sequence: number; readonly offset: number }[];
}

const rememberedBatches = 5;

export interface MemoryTopic {
  readonly id: string;
  readonly configs: ReadonlyMap<string, string>;
  readonly logs: MemoryLog[];
}

export class MemoryLog {
  leaderEpoch = 0;
  startOffset = 0;
  endOffset = 0;
  readonly #batches: Stored[] = [];
  readonly #producers = new Map<number, Sequences>();
  readonly #open = new Map<number, number>();
  readonly #aborted: Aborted[] = [];
  readonly #maxBatchBytes: number;

  /** `configs` are those of its topic. */
  constructor(configs: ReadonlyMap<string, string>) {
    this.#maxBatchBytes = Number(configs.get("max.message.bytes") ?? Infinity);
  }

  /** Appends as a broker does: refuses what is too large, old epochs and gaps in sequences, and stores a repeated batch once. */
  append(batch: Buffer): { readonly errorCode: number; readonly baseOffset: number } {
    if (batch.length > this.#maxBatchBytes) return { errorCode: kafkaCode.messageTooLarge, baseOffset: -1 };
    const producerId = readInt64(batch, batchField.producerId);
    const epoch = batch.readInt16BE(batchField.producerEpoch);
    const sequence = batch.readInt32BE(batchField.baseSequence);
    const count = batchRecordCount(batch);
    if (producerId >= 0) {
      const known = this.#producers.get(producerId);
      if (known !== undefined && epoch < known.epoch) return { errorCode: 47, baseOffset: -1 };
      const state = known === undefined || epoch > known.epoch ? { epoch, next: 0, recent: [] } : known;
      const repeated = state.recent.find((each) => each.sequence === sequence);
      if (repeated !== undefined) return { errorCode: kafkaCode.none, baseOffset: repeated.offset };
      if (sequence !== state.next) return { errorCode: kafkaCode.outOfOrderSequence, baseOffset: -1 };
      state.next += count;
      state.recent.push({ sequence, offset: this.endOffset });
      if (state.recent.length > rememberedBatches) state.recent.shift();
      this.#producers.set(producerId, state);
      const transactional = batch.readInt16BE(batchField.attributes) & batchAttribute.transactional;
      if (transactional && !this.#open.has(producerId)) this.#open.set(producerId, this.endOffset);
    }
    const baseOffset = this.endOffset;
    this.#store(Buffer.from(batch), count);
    return { errorCode: kafkaCode.none, baseOffset };
  }

  #store(batch: Buffer, count: number): void {
    const baseOffset = this.endOffset;
    writeInt64(batch, baseOffset, batchField.baseOffset);
    batch.writeInt32BE(this.leaderEpoch, batchField.leaderEpoch);
    this.endOffset += count;
    this.#batches.push({ baseOffset, nextOffset: this.endOffset, maxTimestampMs: readInt64(batch, batchField.maxTimestamp), batch });
  }

  /** Writes the marker that ends a producer's transaction here. */
  endTransaction(producerId: number, producerEpoch: number, commit: boolean): void {
    const firstOffset = this.#open.get(producerId);
    this.#open.delete(producerId);
    if (firstOffset !== undefined && !commit) this.#aborted.push({ producerId, firstOffset, lastOffset: this.endOffset });
    const key = Buffer.from([0, 0, 0, commit ? 1 : 0]);
    const builder = new RecordBatchBuilder(1024, "none");
    builder.append(0, key, 0, key.length, Buffer.alloc(6), 0, 6, []);
    const marker = Buffer.from(builder.finish({ producerId, producerEpoch, baseSequence: -1, transactional: true }));
    marker.writeInt16BE(batchAttribute.transactional | batchAttribute.control, batchField.attributes);
    marker.writeUInt32BE(batchChecksum(marker, 0, marker.length), batchField.crc);
    this.#store(marker, 1);
  }

  get lastStableOffset(): number {
    return Math.min(this.endOffset, ...this.#open.values());
  }

  /** Where the log ends for the last epoch that is not above `epoch`. */
  endOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } {
    let found = { epoch: -1, endOffset: this.startOffset };
    for (const { batch, nextOffset } of this.#batches) {
      const own = batch.readInt32BE(batchField.leaderEpoch);
      if (own <= epoch) found = { epoch: own, endOffset: nextOffset };
    }
    return found;
  }

  /** Whole batches from `offset` up to what the reader may see: at least one, then as many as fit. */
  read(
    offset: number,
    committed: boolean,
    maxBytes: number,
  ): { readonly batches: readonly Buffer[]; readonly aborted: readonly Aborted[] } {
    const end = committed ? this.lastStableOffset : this.endOffset;
    const batches: Buffer[] = [];
    let size = 0;
    let last = offset;
    for (const stored of this.#batches) {
      if (stored.nextOffset <= offset || stored.nextOffset > end) continue;
      if (batches.length > 0 && size + stored.batch.length > maxBytes) break;
      batches.push(stored.batch);
      size += stored.batch.length;
      last = stored.nextOffset;
    }
    const aborted = committed ? this.#aborted.filter((each) => each.lastOffset >= offset && each.firstOffset < last) : [];
    return { batches, aborted };
  }

  /** The offset of the first record that is not older than `timeMs`; -1 when there is none. */
  offsetAt(timeMs: number): number {
    const found = this.#batches.find((each) => each.maxTimestampMs >= timeMs && each.nextOffset > this.startOffset);
    if (found === undefined) return -1;
    const reader = new RecordBatchReader("", { readCommitted: false });
    const block = new RecordBlock(1024);
    reader.open(found.batch, 0, found.batch.length, this.startOffset, []);
    while (reader.readInto(block, 1024) > 0) {
      for (let i = 0; i < block.count; i++) if ((block.timestampMs[i] as number) >= timeMs) return block.position[i] as number;
    }
    return -1;
  }

  /** What retention does. */
  deleteBefore(offset: number): void {
    this.startOffset = offset;
  }

  /** What an unclean election does: the records from `offset` on are lost, and the new leader counts a new epoch. */
  truncate(offset: number): void {
    while ((this.#batches.at(-1)?.nextOffset ?? 0) > offset) this.#batches.pop();
    this.endOffset = this.#batches.at(-1)?.nextOffset ?? 0;
    this.leaderEpoch++;
  }
}
