// Turns rows into records: value by the format, key, headers, timestamp, topic and partition by the options.
import { ByteWriter } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import { type Batch, rowKind, type Rows } from "../../../core/batch/batch.ts";
import { isMissing, isNull } from "../../../core/batch/column.ts";
import { rowView, type RowView } from "../../../core/batch/row-view.ts";
import type { RecordEncoder } from "../../../core/ports/format.ts";
import type { ChangelogMode } from "../../../core/ports/sink.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { noHeaders } from "../wire/record-batch-builder.ts";
import { keyPartition } from "../wire/murmur2.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { RecordGate } from "./record-gate.ts";
import type { RecordProducer } from "./record-producer.ts";
import type { KafkaSinkConfig } from "./sink-options.ts";

/** A producer with its partitions at hand. */
export class ProducerOutput {
  readonly producer: RecordProducer;
  /** Puts records aside that the broker would refuse; without one they are sent. */
  readonly gate: RecordGate | undefined;
  readonly #queues = new Map<string, PartitionQueue[]>();
  /** Where records without a key go until their batch is full. */
  readonly sticky: Map<string, number> = new Map();

  constructor(producer: RecordProducer, gate?: RecordGate) {
    this.producer = producer;
    this.gate = gate;
  }

  queues(topic: string, partitions: number): readonly PartitionQueue[] {
    const known = this.#queues.get(topic) ?? [];
    for (let partition = known.length; partition < partitions; partition++) known.push(this.producer.queue(topic, partition));
    this.#queues.set(topic, known);
    return known;
  }
}

export interface RecordWriterParts {
  readonly config: KafkaSinkConfig;
  readonly schema: Schema;
  readonly encoder: RecordEncoder;
  readonly clock: Clock;
  /** Partitions of a topic; undefined while they are not known. */
  readonly partitionsOf: (topic: string) => number | undefined;
}

const noTopic = "";
/** What a record without key and headers takes besides its value, at most. */
const mostRecordOverhead = 32;

export class RecordWriter {
  readonly #config: KafkaSinkConfig["rows"];
  readonly #mode: ChangelogMode;
  readonly #parts: RecordWriterParts;
  readonly #keyIndex: number;
  readonly #view: RowView | undefined;
  readonly #value: ByteWriter = new ByteWriter();
  readonly #key: ByteWriter = new ByteWriter(64);

  constructor(parts: RecordWriterParts) {
    const { key, topic, headers, partitioner, timestamp } = parts.config.rows;
    this.#config = parts.config.rows;
    this.#mode = parts.config.mode;
    this.#parts = parts;
    this.#keyIndex = typeof key === "string" ? parts.schema.field(key).index : -1;
    const functions = [key, topic, headers, partitioner, timestamp];
    this.#view = functions.some((each) => typeof each === "function") ? (rowView(parts.schema) as RowView) : undefined;
  }

  /**
   * Appends the rows of `batch`, from the selected row number `from` on. Returns how many of the selection were handled: fewer
   * than all when the topic of the next row is not known yet; `missing` then has it.
   */
  write(batch: Batch, from: number, output: ProducerOutput, missing: { topic: string }): number {
    const { rows, selection, count } = batch;
    for (let k = from; k < count; k++) {
      const row = selection[k] as number;
      if (this.#mode === "upsert" && rows.kindOf(row) === rowKind.updateBefore) continue;
      this.#view?.point(rows, row);
      const topic = typeof this.#config.topic === "string" ? this.#config.topic : this.#config.topic(this.#view);
      const partitions = topic === noTopic ? 0 : this.#parts.partitionsOf(topic);
      if (partitions === undefined) {
        missing.topic = topic;
        return k;
      }
      if (partitions === 0) throw this.#refused(topic, "the row names no topic", "return the name of a topic for each row");
      this.#append(rows, row, topic, partitions, output);
    }
    return count;
  }

  #append(rows: Rows, row: number, topic: string, partitions: number, output: ProducerOutput): void {
    const key = this.#key;
    const value = this.#value;
    key.reset();
    value.reset();
    const hasKey = this.#writeKey(rows, row);
    const deletes = this.#mode === "upsert" && rows.kindOf(row) === rowKind.delete;
    const hasValue = !deletes && this.#parts.encoder.encode(rows, row, value);
    const queues = output.queues(topic, partitions);
    const queue = queues[this.#partition(hasKey, topic, partitions, queues, output)];
    if (queue === undefined)
      throw this.#refused(topic, "the partitioner gave a partition that does not exist", `give a whole number below ${partitions}`);
    const headers = this.#config.headers === undefined ? noHeaders : this.#config.headers(this.#view);
    const timestampMs = this.#timestamp(rows, row);
    if (output.gate !== undefined) {
      const ofKey = hasKey ? key.buffer.subarray(0, key.length) : null;
      const ofValue = hasValue ? value.buffer.subarray(0, value.length) : null;
      if (!output.gate.admits(output.producer, queue, ofKey, ofValue, headers)) return;
    }
    output.producer.append(
      queue,
      timestampMs,
      key.buffer,
      hasKey ? 0 : -1,
      key.length,
      value.buffer,
      hasValue ? 0 : -1,
      value.length,
      headers,
    );
  }

  #partition(hasKey: boolean, topic: string, partitions: number, queues: readonly PartitionQueue[], output: ProducerOutput): number {
    const { partitioner } = this.#config;
    if (partitioner !== undefined) return partitioner(this.#view, partitions);
    if (hasKey) return keyPartition(this.#key.buffer, 0, this.#key.length, partitions);
    // Records without a key fill the batch of one partition before they go to the next: large batches are cheap.
    const last = output.sticky.get(topic) ?? -1;
    const queue = queues[last];
    if (queue !== undefined && output.producer.fits(queue, this.#value.length + mostRecordOverhead)) return last;
    const next = (last + 1) % partitions;
    output.sticky.set(topic, next);
    return next;
  }

  // Writes the key; false where the record has none.
  #writeKey(rows: Rows, row: number): boolean {
    if (this.#keyIndex >= 0) return this.#writeKeyField(rows, row);
    const { key } = this.#config;
    if (typeof key !== "function") return false;
    const made = key(this.#view);
    if (made === null) return false;
    if (typeof made === "string") this.#key.utf8Raw(made);
    else this.#key.raw(made);
    return true;
  }

  #writeKeyField(rows: Rows, row: number): boolean {
    const column = rows.column(this.#keyIndex);
    const mark = column.nulls === null ? 0 : column.nulls[row];
    if (mark === isNull || mark === isMissing) return false;
    switch (column.kind) {
      case "text": {
        const start = column.starts[row] as number;
        if (start >= 0) this.#key.raw(column.bytes, start, column.ends[row]);
        else this.#key.utf8Raw(column.getText(row));
        return true;
      }
      case "number":
        this.#key.utf8Raw(String(column.numbers[row]));
        return true;
      case "int64":
        this.#key.utf8Raw(column.getInt64(row).toString());
        return true;
      case "object": {
        const value = column.objects[row];
        if (value instanceof Uint8Array) this.#key.raw(value);
        else this.#key.utf8Raw(String(value));
        return true;
      }
    }
  }

  #timestamp(rows: Rows, row: number): number {
    const { timestamp } = this.#config;
    const given = timestamp === "event" ? (rows.times[row] as number) : timestamp === "now" ? Number.NaN : timestamp(this.#view);
    // Kafka has no times before 1970; a row without a time gets that of its writing.
    return given >= 0 && given <= Number.MAX_SAFE_INTEGER ? Math.floor(given) : this.#parts.clock.now();
  }

  #refused(topic: string, problem: string, next: string): MillraceError {
    return new MillraceError("KAFKA_RECORD_REFUSED", `topic ${topic === noTopic ? "(none)" : topic}`, problem, next);
  }
}
