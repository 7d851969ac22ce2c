// The ways into a task that are polled: a source instance, the channels from other slots into one instance, rows that a snapshot had in flight.
import type { InboundChannel } from "../exchange/inbound-channel.ts";
import type { Barrier } from "./barrier.ts";
import type { Receiver } from "./edge.ts";
import type { Obstacle } from "./obstacle.ts";
import type { SourceInstance } from "./source-instance.ts";
import { Way } from "./way.ts";

/** A way that is asked for rows, one step at a time. */
export abstract class Entry extends Way {
  /** Does one step. False when there was nothing to do. Call it while the way is open. */
  abstract step(): boolean;

  /** Everything that the way leads to is captured: what waited behind a barrier may go on. */
  abstract release(): void;
}

export class SourceEntry extends Entry {
  readonly source: SourceInstance;
  #isHeld = false;

  constructor(source: SourceInstance) {
    super();
    this.source = source;
  }

  /** Its barrier has gone out, and not all that it leads to is captured. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** True when its next rows may be asked for. */
  get mayPoll(): boolean {
    return !this.source.ended && !this.#isHeld && this.isOpen;
  }

  step(): boolean {
    return !this.source.ended && !this.#isHeld && this.source.step();
  }

  emitBarrier(barrier: Barrier): void {
    this.#isHeld = this.uncaptured > 0;
    this.source.passBarrier(barrier);
  }

  release(): void {
    this.#isHeld = false;
  }
}

export class InboundEntry extends Entry {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly channels: readonly InboundChannel[];

  constructor(
    about: { readonly uid: string; readonly subtask: number; readonly parallelism: number },
    channels: readonly InboundChannel[],
  ) {
    super();
    this.uid = about.uid;
    this.subtask = about.subtask;
    this.parallelism = about.parallelism;
    this.channels = channels;
  }

  /** A frame of each channel that has one. */
  step(): boolean {
    let worked = false;
    for (const channel of this.channels) {
      if (!channel.hasWork) continue;
      if (worked && !this.isOpen) break;
      channel.step();
      worked = true;
    }
    return worked;
  }

  release(): void {
    for (const channel of this.channels) channel.isHeld = false;
  }
}

/**
 * Gives an instance the rows that were on their way to it when a snapshot was taken, before anything else comes to it. Until that is over no
 * checkpoint begins: what is left here would have to be part of it.
 */
export class ReplayEntry extends Entry {
  readonly receiver: Receiver;
  readonly #steps: (() => void)[];
  readonly #obstacle: Obstacle;

  /** `obstacle` stands in the way of everything else that leads to the receiver until the replay is over. */
  constructor(receiver: Receiver, steps: readonly (() => void)[], obstacle: Obstacle) {
    super();
    this.receiver = receiver;
    this.#steps = [...steps];
    this.#obstacle = obstacle;
    obstacle.raise();
  }

  get isOver(): boolean {
    return this.#steps.length === 0;
  }

  step(): boolean {
    const give = this.#steps.shift();
    if (give === undefined) return false;
    give();
    if (this.#steps.length === 0) this.#obstacle.lower();
    return true;
  }

  release(): void {}
}
