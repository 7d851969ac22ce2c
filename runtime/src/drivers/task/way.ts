// A way by which rows come into a slice, with everything that it leads to: rows are let in only where all of that can take them.
import type { Waiter } from "./obstacle.ts";

/** What a way needs to know of a sink. */
export interface Fillable {
  readonly isFull: boolean;
}

export class Way implements Waiter {
  /** How many of the obstacles that it leads to stand now. */
  obstacles = 0;
  /** Counts the instances behind it that have not heard of all channels into them yet: rows wait, first words do not. */
  readonly holds: Waiter = { obstacles: 0 };
  /** Counts the instances behind it that are still given rows of a snapshot: nothing at all goes before those. */
  readonly replays: Waiter = { obstacles: 0 };
  /** How many of the instances that it leads to are not captured by the checkpoint under way. */
  uncaptured = 0;
  /** The instances that it leads to. */
  reach = 0;
  /** The sinks that it leads to. */
  readonly sinks: Fillable[] = [];

  /** True when whatever comes in can go all the way. */
  get isOpen(): boolean {
    return this.holds.obstacles === 0 && this.replays.obstacles === 0 && this.#hasRoom;
  }

  get #hasRoom(): boolean {
    if (this.obstacles > 0) return false;
    for (const sink of this.sinks) if (sink.isFull) return false;
    return true;
  }

  /** A checkpoint begins: nothing is captured. */
  beginCut(): void {
    this.uncaptured = this.reach;
  }

  /** One more instance is captured. True when it was the last one, and what was held may go on. */
  captured(): boolean {
    return --this.uncaptured === 0;
  }
}
