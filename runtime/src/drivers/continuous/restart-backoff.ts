// When a failed job is started again: growing pauses with jitter, and a fresh count after it ran well for a while.

export interface RestartOptions {
  /** How many restarts in a row are tried before the job fails for good. Default 10. */
  readonly maxAttempts: number;
  /** The first pause, ms. Default 500. */
  readonly initialMs: number;
  /** The longest pause, ms. Default 60,000. */
  readonly maxMs: number;
  /** After running this long the count starts anew, ms. Default 120,000. */
  readonly resetAfterMs: number;
}

export const defaultRestarts: RestartOptions = { maxAttempts: 10, initialMs: 500, maxMs: 60_000, resetAfterMs: 120_000 };

/** Pure: time and randomness are passed in. */
export class RestartBackoff {
  #attempts = 0;
  readonly #options: RestartOptions;

  constructor(options: RestartOptions) {
    this.#options = options;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** The pause before the next start after a run of `ranMs`, or undefined when there is to be none. `random` is in [0, 1). */
  next(ranMs: number, random: number): number | undefined {
    if (ranMs >= this.#options.resetAfterMs) this.#attempts = 0;
    if (this.#attempts >= this.#options.maxAttempts) return undefined;
    const fullMs = Math.min(this.#options.maxMs, this.#options.initialMs * 2 ** this.#attempts);
    this.#attempts++;
    // Between half and all of the pause: many jobs that lost one broker do not come back at one instant.
    return fullMs / 2 + (random * fullMs) / 2;
  }
}
