// The watermark of one operator instance: the least over all channels that are not idle, never going back.

/** What merging a channel's news led to. */
export type GateNews = "nothing" | "advanced" | "becameIdle" | "becameActive";

/**
 * Channels are numbered through all inputs of the instance. A channel that is idle does not count; when all are idle the gate
 * is idle and keeps its time: idleness proves nothing about time.
 */
export class WatermarkGate {
  readonly #times: Float64Array;
  readonly #idle: Uint8Array;
  #current = -Infinity;
  #allIdle = false;

  constructor(channels: number) {
    this.#times = new Float64Array(channels).fill(-Infinity);
    this.#idle = new Uint8Array(channels);
  }

  get currentMs(): number {
    return this.#current;
  }

  get idle(): boolean {
    return this.#allIdle;
  }

  /** Channel `channel` has reached `timeMs`, and is active again if it was idle. */
  advance(channel: number, timeMs: number): GateNews {
    if (timeMs > (this.#times[channel] as number)) this.#times[channel] = timeMs;
    const wasIdle = this.#allIdle;
    this.#idle[channel] = 0;
    this.#allIdle = false;
    if (this.#merge()) return "advanced";
    return wasIdle ? "becameActive" : "nothing";
  }

  /** Channel `channel` has nothing to say until it advances again. */
  setIdle(channel: number): GateNews {
    if (this.#idle[channel] === 1) return "nothing";
    this.#idle[channel] = 1;
    if (this.#idle.every((mark) => mark === 1)) {
      this.#allIdle = true;
      return "becameIdle";
    }
    return this.#merge() ? "advanced" : "nothing";
  }

  #merge(): boolean {
    let least = Infinity;
    for (let channel = 0; channel < this.#times.length; channel++) {
      if (this.#idle[channel] === 0) least = Math.min(least, this.#times[channel] as number);
    }
    if (least === Infinity || least <= this.#current) return false;
    this.#current = least;
    return true;
  }
}
