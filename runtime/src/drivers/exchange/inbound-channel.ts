// One channel from an instance in another slot: frames that have come and wait until the receiving instance may be given rows.
import type { Batch } from "../../core/batch/batch.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import type { Barrier } from "../task/barrier.ts";
import type { Receiver } from "../task/edge.ts";
import { type FrameReader, type FrameTarget, frameCredit, frameKindOf } from "./frame/frame-reader.ts";
import { frameKind, markKind } from "./frame/layout.ts";

export interface InboundParts {
  readonly id: number;
  readonly receiver: Receiver;
  readonly input: number;
  /** The channel's number among those of the receiving instance. */
  readonly gateChannel: number;
  /** Shared by the channels of an input: frames are read one at a time. */
  readonly reader: FrameReader;
  readonly windowBytes: number;
  readonly grant: (bytes: number) => void;
}

export class InboundChannel implements FrameTarget {
  readonly id: number;
  readonly input: number;
  readonly reader: FrameReader;
  /** The barrier of the checkpoint under way has been passed on: no row until what leads on from here is captured. */
  isHeld = false;
  /** The sender has said its first word: how far its time is, that it is idle, or that it is there. */
  hasSpoken = false;
  /** The sender has said its last word. */
  hasEnded = false;
  /** The last checkpoint whose barrier has come here, perhaps behind rows that wait. */
  barrierId = 0;
  /** The unaligned checkpoint that takes in the rows that come before its barrier; 0 for none. */
  recordingFor = 0;
  readonly #parts: InboundParts;
  readonly #queue: (ArrayBuffer | Barrier)[] = [];
  #queuedBytes = 0;
  #consumedBytes = 0;

  constructor(parts: InboundParts) {
    this.id = parts.id;
    this.input = parts.input;
    this.reader = parts.reader;
    this.#parts = parts;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get hasWork(): boolean {
    return this.#queue.length > 0 && !this.isHeld;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Grants the first window. */
  open(): void {
    this.#parts.grant(this.#parts.windowBytes);
  }

  /** A frame of rows has come. */
  push(frame: ArrayBuffer): void {
    this.#queue.push(frame);
    this.#queuedBytes += frameCredit(frame);
  }

  /** A barrier has come, and waits its turn behind the rows before it. */
  pushBarrier(barrier: Barrier): void {
    this.#queue.push(barrier);
  }

  /** Gives the next frame or barrier to the receiver. */
  step(): void {
    const next = this.#queue.shift();
    if (next === undefined) return;
    if (!(next instanceof ArrayBuffer)) {
      this.isHeld = true;
      this.#parts.receiver.receiveBarrier(next, this.#parts.gateChannel);
      return;
    }
    const credit = frameCredit(next);
    this.#queuedBytes -= credit;
    this.reader.read(next, this);
    this.#consumedBytes += credit;
    // Half a window at a time: a grant costs a message.
    if (this.#consumedBytes * 2 < this.#parts.windowBytes) return;
    this.#parts.grant(this.#consumedBytes);
    this.#consumedBytes = 0;
  }

  rows(batch: Batch): void {
    this.#parts.receiver.receive(batch, this.#parts.input);
  }

  mark(kind: number, timeMs: number): void {
    const { receiver, gateChannel } = this.#parts;
    this.hasSpoken = true;
    if (kind === markKind.idle) receiver.receiveIdle(gateChannel);
    else if (kind === markKind.active) receiver.receiveActive(gateChannel);
    else {
      if (timeMs >= endOfTime) this.hasEnded = true;
      receiver.receiveWatermark(timeMs, gateChannel);
    }
  }

  /**
   * An unaligned checkpoint overtakes what waits here: returns the frames of rows before its barrier, which become part of it, and
   * takes the barrier out of the queue. Where it has not come yet, `recordingFor` says that frames are taken in until it has.
   */
  overtake(checkpointId: number): readonly ArrayBuffer[] {
    const at = this.#queue.findIndex((entry) => !(entry instanceof ArrayBuffer) && entry.checkpointId === checkpointId);
    if (at < 0 && this.barrierId < checkpointId) this.recordingFor = checkpointId;
    // A barrier that was passed on already has nothing of its checkpoint behind it.
    if (at < 0 && this.barrierId >= checkpointId) return [];
    const before = this.#queue.slice(0, at < 0 ? this.#queue.length : at);
    if (at >= 0) this.#queue.splice(at, 1);
    return before
      .filter((entry) => entry instanceof ArrayBuffer)
      .filter((frame) => frameKindOf(frame) === frameKind.rows && frameCredit(frame) > 0);
  }
}
