// One instance of a sink within a task: the end of a chain.
import type { Batch } from "../../core/batch/batch.ts";
import type { SinkWriter } from "../../core/ports/sink.ts";
import { type Barrier, BarrierCount } from "./barrier.ts";
import type { Receiver } from "./edge.ts";
import type { InstanceHooks } from "./instance-hooks.ts";
import type { InstanceCounters } from "./operator-instance.ts";
import { WatermarkGate } from "./watermark-gate.ts";
import type { Fillable, Way } from "./way.ts";

export interface SinkInstanceParts {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly writer: SinkWriter;
  readonly channels: number;
  readonly counters: InstanceCounters;
  readonly hooks: InstanceHooks;
}

export class SinkInstance implements Receiver, Fillable {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly writer: SinkWriter;
  readonly counters: InstanceCounters;
  readonly barriers: BarrierCount;
  /** The ways by which rows come here. */
  readonly ways: Way[] = [];
  readonly #hooks: InstanceHooks;
  readonly #gate: WatermarkGate;

  constructor(parts: SinkInstanceParts) {
    this.uid = parts.uid;
    this.subtask = parts.subtask;
    this.parallelism = parts.parallelism;
    this.writer = parts.writer;
    this.counters = parts.counters;
    this.#hooks = parts.hooks;
    const channels = Math.max(1, parts.channels);
    this.#gate = new WatermarkGate(channels);
    this.barriers = new BarrierCount(channels);
  }

  get watermarkMs(): number {
    return this.#gate.currentMs;
  }

  /** True while none of its inputs has anything to say about time. */
  get idle(): boolean {
    return this.#gate.idle;
  }

  get isFull(): boolean {
    return this.writer.ready() !== undefined;
  }

  receive(batch: Batch): void {
    this.counters.rowsIn += batch.count;
    try {
      this.writer.write(batch);
    } catch (error) {
      this.#hooks.failed(this.uid, this.subtask);
      throw error;
    }
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

  receiveBarrier(barrier: Barrier): void {
    if (this.barriers.arrive(barrier)) this.#hooks.aligned(barrier);
  }
}
