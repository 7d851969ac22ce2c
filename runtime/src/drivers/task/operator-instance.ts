// One instance of an operator within a task: takes batches and watermarks, passes on what the operator emits.
import type { Batch } from "../../core/batch/batch.ts";
import type { Operator } from "../../core/operator/operator.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import type { Fan, Receiver } from "./edge.ts";
import { type GateNews, WatermarkGate } from "./watermark-gate.ts";

export interface InstanceCounters {
  rowsIn: number;
  rowsOut: number;
}

export class OperatorInstance implements Receiver {
  readonly uid: string;
  readonly subtask: number;
  readonly operator: Operator;
  readonly outputs: ReadonlyMap<string, Fan>;
  readonly counters: InstanceCounters;
  readonly #gate: WatermarkGate;
  #ended = false;

  constructor(
    uid: string,
    subtask: number,
    operator: Operator,
    outputs: ReadonlyMap<string, Fan>,
    channels: number,
    counters: InstanceCounters,
  ) {
    this.uid = uid;
    this.subtask = subtask;
    this.operator = operator;
    this.outputs = outputs;
    this.counters = counters;
    this.#gate = new WatermarkGate(channels);
  }

  get watermarkMs(): number {
    return this.#gate.currentMs;
  }

  receive(batch: Batch, input: number): void {
    if (batch.count === 0) return;
    this.counters.rowsIn += batch.count;
    this.operator.process(batch, input);
  }

  receiveWatermark(timeMs: number, channel: number): void {
    this.#passOn(this.#gate.advance(channel, timeMs));
  }

  receiveIdle(channel: number): void {
    this.#passOn(this.#gate.setIdle(channel));
  }

  receiveActive(channel: number): void {
    this.#passOn(this.#gate.setActive(channel));
  }

  #passOn(news: GateNews): void {
    switch (news) {
      case "nothing":
        return;
      case "becameIdle":
        for (const output of this.outputs.values()) output.idle();
        return;
      case "becameActive":
        for (const output of this.outputs.values()) output.active();
        return;
      case "advanced":
        this.#advance(this.#gate.currentMs);
    }
  }

  #advance(currentMs: number): void {
    this.operator.onWatermark?.(currentMs);
    if (currentMs >= endOfTime && !this.#ended) {
      this.#ended = true;
      this.operator.end?.();
    }
    // An operator that still works on earlier rows sends their watermark itself, when they are done.
    if (this.operator.holdsWatermarks !== true) this.forwardWatermark(currentMs);
  }

  forwardWatermark(timeMs: number): void {
    for (const output of this.outputs.values()) output.watermark(timeMs);
  }
}
