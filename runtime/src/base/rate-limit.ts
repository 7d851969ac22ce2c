// A limit of so many records per second, kept by an injected clock.
import type { Clock } from "./clock.ts";

/** How much of the past may be made up for at once, ms: a pause of the process must not become a burst. */
const burstMs = 100;

/** Hands out permits at a steady rate. Unused permits are lost after 100 ms. */
export class RateLimit {
  readonly #perMs: number;
  readonly #clock: Clock;
  #permits: number;
  #countedMs: number;

  /** `perSecond` may be Infinity for no limit; it must be above zero. */
  constructor(perSecond: number, clock: Clock) {
    this.#perMs = perSecond / 1000;
    this.#clock = clock;
    this.#permits = 0;
    this.#countedMs = clock.now();
  }

  /** How many records may go now, at most `wanted`. */
  available(wanted: number): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return wanted;
    const nowMs = this.#clock.now();
    const most = Math.max(1, this.#perMs * burstMs);
    this.#permits = Math.min(most, this.#permits + Math.max(0, nowMs - this.#countedMs) * this.#perMs);
    this.#countedMs = nowMs;
    return Math.min(wanted, Math.floor(this.#permits));
  }

  /** Counts records that went. */
  take(count: number): void {
    if (this.#perMs !== Number.POSITIVE_INFINITY) this.#permits -= count;
  }

  /** Until the next permit, ms; at least 1 so that a waiter does not spin. */
  waitMs(): number {
    if (this.#permits >= 1) return 0;
    return Math.max(1, Math.ceil((1 - this.#permits) / this.#perMs));
  }
}
