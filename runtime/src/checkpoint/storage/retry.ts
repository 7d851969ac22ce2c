// Tries an operation again while its failures are passing ones, until a deadline.
import { setTimeout as sleep } from "node:timers/promises";
import { storageUnreachable } from "./storage-errors.ts";

const firstDelayMs = 40;
const maxDelayMs = 4_000;

export interface RetryOptions {
  readonly url: string;
  readonly deadlineMs: number;
  /** True for a failure that may pass by itself. */
  readonly isPassing: (error: unknown) => boolean;
}

/**
 * Calls `attempt` (with its number, from 0, and a signal that fires at the deadline) until it succeeds or fails for good. Rejects
 * with STORAGE_UNREACHABLE when the deadline passes. Delays double from 40 ms to 4 s, each cut to a random part so that many
 * clients do not come back at once (full jitter, as in the AWS architecture blog).
 */
export async function withRetries<T>(options: RetryOptions, attempt: (number: number, signal: AbortSignal) => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const untilMs = startMs + options.deadlineMs;
  for (let number = 0; ; number++) {
    const leftMs = untilMs - performance.now();
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), Math.max(1, leftMs));
    try {
      return await attempt(number, abort.signal);
    } catch (error) {
      const delayMs = Math.random() * Math.min(maxDelayMs, firstDelayMs * 2 ** number);
      if (!abort.signal.aborted && !options.isPassing(error)) throw error;
      if (abort.signal.aborted || performance.now() + delayMs >= untilMs) {
        throw storageUnreachable(options.url, error, performance.now() - startMs);
      }
      await sleep(delayMs);
    } finally {
      clearTimeout(timer);
    }
  }
}
