// When entries of a table expire: the clock that counts, and the cut-off below which a stamp is too old.
import type { Clock } from "../../base/clock.ts";
import type { TimeToLive } from "../../core/ports/state.ts";

/** The cut-off when nothing can have expired. */
export const neverExpired: number = Number.NEGATIVE_INFINITY;

/**
 * An entry's stamp is the time of its last refresh by its table's clock. In event time that clock is the watermark; an entry
 * written before the first one has the stamp -Infinity, and the first watermark becomes its stamp.
 */
export class Expiry {
  readonly refreshOnRead: boolean;
  readonly eventTime: boolean;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  #watermarkMs = Number.NEGATIVE_INFINITY;
  #firstMs = Number.NEGATIVE_INFINITY;

  constructor(ttl: TimeToLive, clock: Clock) {
    this.refreshOnRead = ttl.refresh === "read-write";
    this.eventTime = ttl.time === "event";
    this.#ttlMs = ttl.ttlMs;
    this.#clock = clock;
  }

  nowMs(): number {
    return this.eventTime ? this.#watermarkMs : this.#clock.now();
  }

  /** Entries whose stamp is at most this have expired. */
  cutOffMs(): number {
    return this.nowMs() - this.#ttlMs;
  }

  /** Moves event time on; true when this is its first value, and stamps of -Infinity are to be set to it. */
  advance(watermarkMs: number): boolean {
    // The final watermark (Infinity) ends the stream; it makes nothing old.
    if (!this.eventTime || watermarkMs <= this.#watermarkMs || watermarkMs === Number.POSITIVE_INFINITY) return false;
    const first = this.#watermarkMs === Number.NEGATIVE_INFINITY;
    this.#watermarkMs = watermarkMs;
    if (first) this.#firstMs = watermarkMs;
    return first;
  }

  /** The stamp of a restored entry: one that was written before any watermark is as old as the first. */
  settled(stampMs: number): number {
    return stampMs === neverExpired ? this.#firstMs : stampMs;
  }
}

/** True when a stamp lies at or before the cut-off; never for a cut-off of -Infinity. */
export function isExpired(stampMs: number, cutOffMs: number): boolean {
  return stampMs <= cutOffMs && cutOffMs !== neverExpired;
}
