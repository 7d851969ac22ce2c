// One instance of a sink within a task: the end of a chain.
import type { Batch } from "../../core/batch/batch.ts";
import type { SinkWriter } from "../../core/ports/sink.ts";
import type { Receiver } from "./edge.ts";
import type { InstanceCounters } from "./operator-instance.ts";
import { WatermarkGate } from "./watermark-gate.ts";

export class SinkInstance implements Receiver {
  readonly uid: string;
  readonly subtask: number;
  readonly writer: SinkWriter;
  readonly counters: InstanceCounters;
  readonly #gate: WatermarkGate;

  constructor(uid: string, subtask: number, writer: SinkWriter, channels: number, counters: InstanceCounters) {
    this.uid = uid;
    this.subtask = subtask;
    this.writer = writer;
    this.counters = counters;
    this.#gate = new WatermarkGate(Math.max(1, channels));
  }

  get watermarkMs(): number {
    return this.#gate.currentMs;
  }

  receive(batch: Batch): void {
    this.counters.rowsIn += batch.count;
    this.writer.write(batch);
  }

  receiveWatermark(timeMs: number, channel: number): void {
    this.#gate.advance(channel, timeMs);
  }

  receiveIdle(channel: number): void {
    this.#gate.setIdle(channel);
  }

  receiveActive(channel: number): void {
    this.#gate.setActive(channel);
  }
}
