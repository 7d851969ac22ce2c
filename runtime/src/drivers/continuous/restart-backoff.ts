// When a failed job is started again, and when it is given up: fixed pauses, growing pauses with jitter, or a limit on the rate of failures.

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

export type RestartStrategy =
  | ({ readonly kind: "exponential" } & RestartOptions)
  | { readonly kind: "fixed-delay"; readonly maxAttempts: number; readonly delayMs: number }
  /** Gives up when more than `maxFailures` happen within `perMs`. */
  | { readonly kind: "failure-rate"; readonly maxFailures: number; readonly perMs: number; readonly delayMs: number };

export const defaultRestarts: RestartOptions = { maxAttempts: 10, initialMs: 500, maxMs: 60_000, resetAfterMs: 120_000 };

/** Pure: time and randomness are passed in. */
export class RestartBackoff {
  #attempts = 0;
  readonly #strategy: RestartStrategy;
  /** When failures happened, for a rate. */
  #failuresMs: readonly number[] = [];

  constructor(options: RestartOptions | RestartStrategy) {
    this.#strategy = "kind" in options ? options : { kind: "exponential", ...options };
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** The pause before the next start after a run of `ranMs`, or undefined when there is to be none. `random` is in [0, 1). */
  next(ranMs: number, random: number, nowMs = 0): number | undefined {
    const strategy = this.#strategy;
    switch (strategy.kind) {
      case "exponential": {
        if (ranMs >= strategy.resetAfterMs) this.#attempts = 0;
        if (this.#attempts >= strategy.maxAttempts) return undefined;
        const fullMs = Math.min(strategy.maxMs, strategy.initialMs * 2 ** this.#attempts);
        this.#attempts++;
        // Between half and all of the pause: many jobs that lost one broker do not come back at one instant.
        return fullMs / 2 + (random * fullMs) / 2;
      }
      case "fixed-delay":
        if (this.#attempts >= strategy.maxAttempts) return undefined;
        this.#attempts++;
        return strategy.delayMs;
      case "failure-rate":
        this.#failuresMs = [...this.#failuresMs.filter((ms) => nowMs - ms < strategy.perMs), nowMs];
        this.#attempts++;
        return this.#failuresMs.length > strategy.maxFailures ? undefined : strategy.delayMs;
    }
  }
}
