// How long to wait before trying again. A few lines rather than a library: the clock and the randomness are the operator's.

export interface RetryOptions {
  /** How often to try again after the first attempt. */
  readonly retries: number;
  /** Before the first retry, ms; doubled before each further one. Default 100. */
  readonly backoffMs?: number;
  /** Default 10,000. */
  readonly maxBackoffMs?: number;
  /** Errors for which it returns false are not tried again. Default: all are. */
  readonly retryIf?: (error: unknown) => boolean;
}

/**
 * The wait before retry number `retry` (from 1 on): half of it fixed, half random, so that calls that failed together do not
 * come back together ("equal jitter", Marc Brooker, Exponential Backoff And Jitter, 2015). `random` gives [0, 1).
 */
export function backoffMs({ backoffMs: first = 100, maxBackoffMs = 10_000 }: RetryOptions, retry: number, random: () => number): number {
  const fullMs = Math.min(maxBackoffMs, first * 2 ** Math.min(retry - 1, 52));
  return fullMs / 2 + (fullMs / 2) * random();
}
