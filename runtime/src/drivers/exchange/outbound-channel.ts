// One channel to an instance in another slot: stands in for it, gathers what it is to receive, and sends it as frames within its credit.
import type { Batch } from "../../core/batch/batch.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import type { Barrier } from "../task/barrier.ts";
import type { Receiver } from "../task/edge.ts";
import { Obstacle } from "../task/obstacle.ts";
import { encodeBarrier } from "./frame/control.ts";
import { FrameBuilder, type FrameLimits } from "./frame/frame-builder.ts";
import { frameCredit } from "./frame/frame-reader.ts";
import { markKind } from "./frame/layout.ts";

export interface OutboundParts {
  readonly id: number;
  readonly schema: Schema;
  /** The columns that the receiver reads. */
  readonly fields: readonly number[];
  readonly limits: FrameLimits;
  readonly send: (frame: ArrayBuffer) => void;
  /** Something waits here now: it is to be sealed within the flush timeout. */
  readonly dirty: (channel: OutboundChannel) => void;
  readonly wake: () => void;
}

interface Waiting {
  readonly frame: ArrayBuffer;
  readonly credit: number;
  readonly checkpointId: number;
}

export class OutboundChannel implements Receiver {
  readonly id: number;
  /** Stands from the first frame that waits for credit until there is credit again: whoever leads here is not polled then. */
  readonly obstacle: Obstacle;
  /** In the list of channels with something to seal. */
  isDirty = false;
  readonly #parts: OutboundParts;
  readonly #builder: FrameBuilder;
  readonly #waiting: Waiting[] = [];
  /** Nothing goes before the receiver has said how much it can take. */
  #creditBytes = 0;
  #queuedBytes = 0;
  #isBlocked = false;
  #hasSpoken = false;

  constructor(parts: OutboundParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.obstacle = new Obstacle(parts.wake);
    this.#builder = new FrameBuilder(parts.schema, parts.fields, parts.limits);
  }

  /** Bytes that wait for credit. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Nothing is gathered and nothing waits. */
  get isEmpty(): boolean {
    return this.#builder.isEmpty && this.#waiting.length === 0;
  }

  receive(batch: Batch): void {
    for (let from = 0; from < batch.count; ) {
      from = this.#builder.take(batch, from);
      if (this.#builder.isFull) this.seal();
    }
    this.#noteContent();
  }

  receiveWatermark(timeMs: number): void {
    this.#mark(markKind.watermark, timeMs);
    // The last word of a channel does not linger.
    if (timeMs >= endOfTime) this.seal();
  }

  receiveIdle(): void {
    this.#mark(markKind.idle, 0);
    this.seal();
  }

  receiveActive(): void {
    this.#mark(markKind.active, 0);
  }

  receiveBarrier(barrier: Barrier): void {
    this.seal();
    const { checkpointId, drain, sinceMs } = barrier;
    const frame = encodeBarrier(this.id, { checkpointId, drain, ageMs: Math.max(0, performance.now() - sinceMs) });
    this.#push(frame, 0, checkpointId);
  }

  #mark(kind: number, timeMs: number): void {
    this.#builder.mark(kind, timeMs);
    // The receiver waits for the first word, and takes nothing after it before all others have spoken too.
    if (!this.#hasSpoken) {
      this.#hasSpoken = true;
      this.seal();
    }
    this.#noteContent();
  }

  #noteContent(): void {
    if (this.isDirty || this.#builder.isEmpty) return;
    this.isDirty = true;
    this.#parts.dirty(this);
  }

  /** Closes the frame under construction and sends it, or puts it after those that wait. */
  seal(): void {
    if (this.#builder.isEmpty) return;
    const frame = this.#builder.build(this.id);
    this.#push(frame, frameCredit(frame), 0);
  }

  #push(frame: ArrayBuffer, credit: number, checkpointId: number): void {
    // Whatever needs no credit still keeps its place.
    if (this.#waiting.length === 0 && (credit === 0 || this.#creditBytes > 0)) return this.#send(frame, credit);
    this.#waiting.push({ frame, credit, checkpointId });
    this.#queuedBytes += credit;
    this.#block();
  }

  // Credit may go below zero by one frame, so that any window lets any frame through.
  #send(frame: ArrayBuffer, credit: number): void {
    this.#creditBytes -= credit;
    this.#parts.send(frame);
  }

  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#sendWaiting(0);
  }

  /** True while the barrier of `checkpointId` waits behind frames without credit. */
  holdsBarrier(checkpointId: number): boolean {
    return this.#waiting.some((waiting) => waiting.checkpointId === checkpointId);
  }

  /**
   * The checkpoint cannot wait for the receiver any longer: the barrier and all that is before it go without credit. That is at most
   * what has been waiting here, and it lies at the receiver instead. It is owed: nothing more comes here until the receiver has made up
   * for it, or each checkpoint would move some more past the credit.
   */
  force(checkpointId: number): void {
    const upTo = this.#waiting.findIndex((waiting) => waiting.checkpointId === checkpointId);
    if (upTo >= 0) this.#sendWaiting(upTo + 1);
  }

  #sendWaiting(forced: number): void {
    let sent = 0;
    for (const { frame, credit } of this.#waiting) {
      if (sent >= forced && credit > 0 && this.#creditBytes <= 0) break;
      this.#send(frame, credit);
      this.#queuedBytes -= credit;
      sent++;
    }
    this.#waiting.splice(0, sent);
    if (this.#isBlocked && this.#waiting.length === 0 && this.#creditBytes > 0) {
      this.#isBlocked = false;
      this.obstacle.lower();
    }
  }

  #block(): void {
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    this.obstacle.raise();
  }
}
