// The other end of a repartition topic: reads frames of all upstream tasks from one partition, and merges their event times.
import { ByteReader } from "../../../base/bytes.ts";
import { MillraceError } from "../../../base/errors.ts";
import type { PartitionReader } from "../../../connectors/kafka/source/partition-reader.ts";
import { Batch, Rows, identitySelection } from "../../../core/batch/batch.ts";
import type { RawRecords } from "../../../core/batch/raw-records.ts";
import { rowCodec, type RowCodec } from "../../../core/codec/row-codec.ts";
import type { SourceSplit } from "../../../core/ports/source.ts";
import type { OperatorInstance } from "../../task/operator-instance.ts";
import type { OperatorSlot } from "../../task/task.ts";
import { type GateNews, WatermarkGate } from "../../task/watermark-gate.ts";
import type { RepartitionEdge } from "../topology/sub-topologies.ts";
import { type FrameHead, readFrameHead, readFrameRows } from "./frame-codec.ts";

/** What is known of an upstream task's event time. */
export interface ChannelTime {
  readonly watermarkMs: number;
  readonly idle: boolean;
}

const pollRecords = 256;

export class RepartitionInput {
  readonly edge: RepartitionEdge;
  readonly splitId: string;
  readonly #reader: PartitionReader;
  /** The instance by which rows come into the task. */
  readonly slot: OperatorSlot;
  readonly #entry: OperatorInstance;
  readonly #codec: RowCodec;
  readonly #rows: Rows;
  readonly #batch: Batch;
  readonly #gate: WatermarkGate;
  readonly #channels: ChannelTime[];
  /** By upstream task: the last attempt of a savepoint whose marker has come, and whether anything has come behind it. */
  readonly #markers: { attempt: number; passed: boolean }[];
  readonly #head: FrameHead = { upstream: 0, watermarkMs: 0, idle: false, rowCount: 0, marker: 0 };

  constructor(edge: RepartitionEdge, splitId: string, upstreamCount: number, reader: PartitionReader, slot: OperatorSlot) {
    this.edge = edge;
    this.splitId = splitId;
    this.#reader = reader;
    this.slot = slot;
    this.#entry = slot.instance;
    this.#codec = rowCodec(edge.schema);
    this.#rows = new Rows(edge.schema, 1024);
    this.#batch = new Batch(this.#rows);
    this.#gate = new WatermarkGate(upstreamCount);
    this.#channels = Array.from({ length: upstreamCount }, () => ({ watermarkMs: -Infinity, idle: false }));
    this.#markers = Array.from({ length: upstreamCount }, () => ({ attempt: 0, passed: false }));
  }

  /** Where to read from, with the event times that were known there. */
  assign(split: SourceSplit, channels: readonly ChannelTime[]): void {
    channels.slice(0, this.#channels.length).forEach((time, channel) => this.#hear(channel, time.watermarkMs, time.idle));
    this.#reader.assign([split]);
  }

  /** The event time that all upstream tasks have reached. */
  get watermarkMs(): number {
    return this.#gate.currentMs;
  }

  /**
   * `ready`: the markers of all upstream tasks are here, and nothing behind them. `missed`: something of an upstream task was processed
   * that belongs behind the cut, so there is no cut of this attempt any more.
   */
  cutOf(attempt: number): "waiting" | "ready" | "missed" {
    if (this.#markers.some((each) => each.attempt > attempt || (each.attempt === attempt && each.passed))) return "missed";
    return this.#markers.every((each) => each.attempt === attempt) ? "ready" : "waiting";
  }

  channelTimes(): readonly ChannelTime[] {
    return [...this.#channels];
  }

  position(): SourceSplit {
    return this.#reader.snapshot()[0] as SourceSplit;
  }

  lag(): number {
    return this.#reader.lag().get(this.splitId) ?? Number.NaN;
  }

  /** Some frames. False when there were none, or something on their way cannot take them now. */
  step(): boolean {
    if (!this.slot.way.isOpen) return false;
    const polled = this.#reader.poll(pollRecords);
    if (polled === null) return false;
    if (polled.kind !== "raw") throw new Error("a partition gives records");
    this.#read(polled.records);
    return true;
  }

  // The rows of several frames make one batch; their watermarks follow it, so that no row is late by a watermark behind it.
  #read(records: RawRecords): void {
    const rows = this.#rows;
    const head = this.#head;
    rows.reset();
    rows.ready.fill(1);
    const reader = new ByteReader(records.bytes);
    const heard = new Map<number, ChannelTime>();
    for (let i = 0; i < records.count; i++) {
      reader.position = records.valueStart[i] as number;
      reader.end = records.valueEnd[i] as number;
      try {
        readFrameHead(reader, head);
        readFrameRows(reader, head, this.#codec, rows);
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause;
        throw this.#corrupt(records.position[i] as number, cause);
      }
      const known = this.#markers[head.upstream];
      if (known !== undefined && head.marker !== 0) {
        known.attempt = head.marker;
        known.passed = false;
      } else if (known !== undefined) known.passed = true;
      if (head.upstream < this.#channels.length) heard.set(head.upstream, { watermarkMs: head.watermarkMs, idle: head.idle });
    }
    if (rows.size > 0) this.#entry.receive(this.#batch.set(rows, identitySelection(rows.size), rows.size), 0);
    for (const [channel, { watermarkMs, idle }] of heard) this.#hear(channel, watermarkMs, idle);
  }

  #corrupt(offset: number, cause: RangeError): MillraceError {
    return new MillraceError(
      "EMBEDDED_TOPIC_CORRUPT",
      `repartition topic ${this.edge.topic}, ${this.splitId} at ${offset}`,
      `holds a record that this application did not write, or another version of it: ${cause.message}`,
      "keep other producers away from the topic; reset the application if its rows changed their type",
      { cause },
    );
  }

  #hear(channel: number, watermarkMs: number, idle: boolean): void {
    const known = this.#channels[channel] as ChannelTime;
    this.#channels[channel] = { watermarkMs: Math.max(known.watermarkMs, watermarkMs), idle };
    this.#passOn(this.#gate.advance(channel, watermarkMs));
    if (idle) this.#passOn(this.#gate.setIdle(channel));
  }

  #passOn(news: GateNews): void {
    if (news === "advanced") this.#entry.forwardWatermark(this.#gate.currentMs);
    else if (news === "becameIdle") for (const output of this.#entry.outputs.values()) output.idle();
    else if (news === "becameActive") for (const output of this.#entry.outputs.values()) output.active();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
