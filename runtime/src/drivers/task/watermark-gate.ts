// The watermark of one operator instance: the least over all channels that are not idle, never going back.
import { endOfTime } from "../../core/time/end-of-time.ts";

/** What merging a channel's news led to. */
export type GateNews = "nothing" | "advanced" | "becameIdle" | "becameActive";

/**
 * Channels are numbered through all inputs of the instance. A channel that is idle or has ended does not count; the end of time
 * is reached when all have ended. When those that have not ended are idle the gate is idle and keeps its time: idleness proves
 * nothing about time, and what an idle channel gives later must not find every window closed.
 */
export class WatermarkGate {
  readonly #times: Float64Array;
  readonly #idle: Uint8Array;
  readonly #heard: Uint8Array;
  #unheard: number;
  #current = -Infinity;
  #isIdle = false;

  constructor(channels: number) {
    this.#times = new Float64Array(channels).fill(-Infinity);
    this.#idle = new Uint8Array(channels);
    this.#heard = new Uint8Array(channels);
    this.#unheard = channels;
  }

  /** Every channel has said how far its time is, or that it is idle: from now on the gate knows what it waits for. */
  get heardAll(): boolean {
    return this.#unheard === 0;
  }

  get currentMs(): number {
    return this.#current;
  }

  get idle(): boolean {
    return this.#isIdle;
  }

  /** Channel `channel` has reached `timeMs`, and is active again if it was idle. */
  advance(channel: number, timeMs: number): GateNews {
    if (timeMs > (this.#times[channel] as number)) this.#times[channel] = timeMs;
    this.#idle[channel] = 0;
    return this.#hear(channel);
  }

  /** Channel `channel` has nothing to say until it is active again. */
  setIdle(channel: number): GateNews {
    this.#idle[channel] = 1;
    return this.#hear(channel);
  }

  /** Channel `channel` counts again, at the time that it had reached. */
  setActive(channel: number): GateNews {
    this.#idle[channel] = 0;
    return this.#hear(channel);
  }

  #hear(channel: number): GateNews {
    if (this.#heard[channel] === 0) {
      this.#heard[channel] = 1;
      this.#unheard--;
    }
    return this.#merge();
  }

  #merge(): GateNews {
    let least = Infinity;
    let someIdle = false;
    for (let channel = 0; channel < this.#times.length; channel++) {
      const timeMs = this.#times[channel] as number;
      if (timeMs >= endOfTime) continue;
      if (this.#idle[channel] === 1) someIdle = true;
      else if (timeMs < least) least = timeMs;
    }
    const wasIdle = this.#isIdle;
    this.#isIdle = least === Infinity && someIdle;
    if (this.#isIdle) return wasIdle ? "nothing" : "becameIdle";
    const timeMs = Math.min(least, endOfTime);
    if (timeMs <= this.#current) return wasIdle ? "becameActive" : "nothing";
    this.#current = timeMs;
    return "advanced";
  }
}
