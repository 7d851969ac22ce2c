// A checkpoint's barrier as it passes the instances of a slice, and how an instance counts the channels that it has come by.

export interface Barrier {
  readonly checkpointId: number;
  /** When the sources emitted it, by this thread's `performance.now()`. */
  readonly sinceMs: number;
  /** It ends a drain: an operator lets it pass only when nothing is under way in it. */
  readonly drain: boolean;
}

/** The channels of one instance: complete when the barrier has come by each of them. */
export class BarrierCount {
  readonly #channels: number;
  #aligning = 0;
  #arrived = 0;
  /** The last checkpoint that the instance has been captured for. */
  captured = 0;

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** The barrier has come by one more channel. True when it was the last one. */
  arrive({ checkpointId }: Barrier): boolean {
    // An unaligned capture does not wait: the barriers come after it and mean nothing any more.
    if (checkpointId <= this.captured) return false;
    if (checkpointId !== this.#aligning) {
      this.#aligning = checkpointId;
      this.#arrived = 0;
    }
    return ++this.#arrived === this.#channels;
  }
}
