// One instance of an operator within a task: takes batches, watermarks and barriers, passes on what the operator emits.
import type { Batch } from "../../core/batch/batch.ts";
import type { Operator } from "../../core/operator/operator.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { type Barrier, BarrierCount } from "./barrier.ts";
import type { Fan, Receiver } from "./edge.ts";
import type { OperatorHooks } from "./instance-hooks.ts";
import { type GateNews, WatermarkGate } from "./watermark-gate.ts";
import type { Way } from "./way.ts";

export interface InstanceCounters {
  rowsIn: number;
  rowsOut: number;
}

export interface OperatorInstanceParts {
  readonly uid: string;
  readonly subtask: number;
  readonly operator: Operator;
  readonly outputs: ReadonlyMap<string, Fan>;
  readonly channels: number;
  readonly counters: InstanceCounters;
  readonly hooks: OperatorHooks;
}

export class OperatorInstance implements Receiver {
  readonly uid: string;
  readonly subtask: number;
  readonly operator: Operator;
  readonly outputs: ReadonlyMap<string, Fan>;
  readonly counters: InstanceCounters;
  readonly barriers: BarrierCount;
  /** The ways by which rows come here. */
  readonly ways: Way[] = [];
  readonly #hooks: OperatorHooks;
  readonly #gate: WatermarkGate;
  #ended = false;
  #hasHeardAll = false;
  /** All inputs are idle, and rows that they gave before are still worked on. */
  #idleDue = false;

  constructor(parts: OperatorInstanceParts) {
    this.uid = parts.uid;
    this.subtask = parts.subtask;
    this.operator = parts.operator;
    this.outputs = parts.outputs;
    this.counters = parts.counters;
    this.#hooks = parts.hooks;
    this.#gate = new WatermarkGate(parts.channels);
    this.barriers = new BarrierCount(parts.channels);
  }

  /** Every channel into it has said its first word. */
  get hasHeardAll(): boolean {
    return this.#hasHeardAll;
  }

  get watermarkMs(): number {
    return this.#gate.currentMs;
  }

  receive(batch: Batch, input: number): void {
    if (batch.count === 0) return;
    this.counters.rowsIn += batch.count;
    try {
      this.operator.process(batch, input);
    } catch (error) {
      this.#hooks.failed(this.uid, this.subtask);
      throw error;
    }
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

  receiveBarrier(barrier: Barrier): void {
    if (this.barriers.arrive(barrier)) this.#hooks.aligned(barrier);
  }

  #passOn(news: GateNews): void {
    this.#tell(news);
    if (this.#hasHeardAll || !this.#gate.heardAll) return;
    this.#hasHeardAll = true;
    // Those behind it wait for its first word as it did for those before it; idleness and watermarks are one.
    if (!this.#gate.idle) for (const output of this.outputs.values()) output.active();
    this.#hooks.heardAll?.();
  }

  #tell(news: GateNews): void {
    switch (news) {
      case "nothing":
        return;
      case "becameIdle":
        this.#idleDue = true;
        this.settle();
        return;
      case "becameActive":
        // Where idleness was held back nobody behind it knows of any.
        if (this.#idleDue) this.#idleDue = false;
        else for (const output of this.outputs.values()) output.active();
        return;
      case "advanced":
        this.#idleDue = false;
        this.#advance(this.#gate.currentMs);
    }
  }

  #advance(currentMs: number): void {
    try {
      this.operator.onWatermark?.(currentMs);
      if (currentMs >= endOfTime && !this.#ended) {
        this.#ended = true;
        this.operator.end?.();
      }
    } catch (error) {
      this.#hooks.failed(this.uid, this.subtask);
      throw error;
    }
    this.#hooks.advanced(currentMs);
    // An operator that still works on earlier rows sends their watermark itself, when they are done.
    if (this.operator.holdsWatermarks !== true) this.forwardWatermark(currentMs);
  }

  /** Asynchronous work may be done: idleness that waited for it goes on. Nobody may go ahead of rows that are still to come. */
  settle(): void {
    if (!this.#idleDue || this.operator.busy?.() === true) return;
    this.#idleDue = false;
    for (const output of this.outputs.values()) output.idle();
  }

  forwardWatermark(timeMs: number): void {
    for (const output of this.outputs.values()) output.watermark(timeMs);
  }

  passBarrier(barrier: Barrier): void {
    for (const output of this.outputs.values()) output.barrier(barrier);
  }
}
