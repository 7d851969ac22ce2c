// The ways into a task that are polled: a source instance, the channels from other slots into one instance, rows that a snapshot had in flight.
import type { InboundChannel } from "../exchange/inbound-channel.ts";
import type { Barrier } from "./barrier.ts";
import type { Receiver } from "./edge.ts";
import type { InFlightRows, ReplayStep } from "./in-flight.ts";
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
  #hasSpoken = false;

  constructor(source: SourceInstance) {
    super();
    this.source = source;
  }

  /** Its barrier has gone out, and not all that it leads to is captured. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Its first word goes out also where its rows would have to wait: others wait for it. */
  override get isOpen(): boolean {
    return this.#hasSpoken ? super.isOpen : this.replays.obstacles === 0;
  }

  /** True when its next rows may be asked for. */
  get mayPoll(): boolean {
    return !this.source.ended && !this.#isHeld && this.isOpen;
  }

  step(): boolean {
    if (this.source.ended || this.#isHeld) return false;
    if (this.#hasSpoken) return this.source.step();
    this.#hasSpoken = true;
    this.source.announce();
    return true;
  }

  emitBarrier(barrier: Barrier): void {
    // The first word goes before any barrier: behind it, it would wait for others whose rows wait for it.
    if (!this.#hasSpoken && this.replays.obstacles === 0) this.source.announce();
    else if (!this.#hasSpoken) this.source.greet();
    this.#hasSpoken = true;
    this.#isHeld = this.uncaptured > 0;
    this.source.passBarrier(barrier);
  }

  release(): void {
    this.#isHeld = false;
  }
}

/** An instance of an operator or a sink. */
export interface ReplayReceiver extends Receiver {
  readonly uid: string;
  readonly subtask: number;
  readonly barriers: { readonly captured: number };
}

export class InboundEntry extends Entry {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly channels: readonly InboundChannel[];
  readonly #receiver: { readonly hasHeardAll: boolean } | undefined;

  /** Until `receiver` has heard of all channels into it, those wait that it has heard of. */
  constructor(
    about: { readonly uid: string; readonly subtask: number; readonly parallelism: number },
    channels: readonly InboundChannel[],
    receiver?: { readonly hasHeardAll: boolean },
  ) {
    super();
    this.uid = about.uid;
    this.subtask = about.subtask;
    this.parallelism = about.parallelism;
    this.channels = channels;
    this.#receiver = receiver;
  }

  /** First words are taken in also where rows would have to wait: others wait for them. */
  override get isOpen(): boolean {
    return this.#receiver?.hasHeardAll === false ? this.replays.obstacles === 0 : super.isOpen;
  }

  /** A frame of each channel that has one. */
  step(): boolean {
    let worked = false;
    for (const channel of this.channels) {
      if (!channel.hasWork || (channel.hasSpoken && this.#receiver?.hasHeardAll === false)) continue;
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
 * Gives an instance the rows that were on their way to it when a snapshot was taken, before anything else comes to it. A checkpoint waits for
 * the end of that for a while; then what is left here becomes part of it again.
 */
export class ReplayEntry extends Entry {
  readonly receiver: ReplayReceiver;
  readonly #steps: ReplayStep[];
  readonly #obstacle: Obstacle;

  /** `obstacle` stands in the way of everything else that leads to the receiver until the replay is over. */
  constructor(receiver: ReplayReceiver, steps: readonly ReplayStep[], obstacle: Obstacle) {
    super();
    this.receiver = receiver;
    this.#steps = [...steps];
    this.#obstacle = obstacle;
    obstacle.raise();
  }

  get isOver(): boolean {
    return this.#steps.length === 0;
  }

  /** What is not given yet, in its order. */
  remaining(): readonly InFlightRows[] {
    return this.#steps.map((step) => step.rows());
  }

  step(): boolean {
    const next = this.#steps.shift();
    if (next === undefined) return false;
    next.give();
    if (this.#steps.length === 0) this.#obstacle.lower();
    return true;
  }

  release(): void {}
}
