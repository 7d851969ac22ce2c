// Repeats a request until it succeeds, fails for good, or its time is over.
import type { Clock } from "../../../base/clock.ts";
import { KafkaProblem } from "./kafka-problem.ts";

export interface RetryOptions {
  readonly clock: Clock;
  /** No attempt begins later than this after the first. */
  readonly timeoutMs: number;
  /** Random number in [0, 1), for jitter. */
  readonly random: () => number;
}

const firstDelayMs = 20;
const longestDelayMs = 1000;

/** Waits; keeps the process alive meanwhile, unlike a bare timer of the clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  const hold = setInterval(() => undefined, 2 ** 30);
  return new Promise((resolve) => {
    clock.after(delayMs, () => {
      clearInterval(hold);
      resolve();
    });
  });
}

/** Half to all of the delay of attempt number `attempt` (from 0): doubling from 20 ms to a second. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2);
}

/**
 * Calls `attempt` until it resolves. `recover` is told of each problem that is worth another attempt, to forget a leader, a
 * coordinator or a connection. Rejects with the last problem.
 */
export async function retrying<T>(options: RetryOptions, attempt: () => Promise<T>, recover: (problem: KafkaProblem) => void): Promise<T> {
  const deadlineMs = options.clock.now() + options.timeoutMs;
  for (let count = 0; ; count++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof KafkaProblem) || error.kind === "fatal" || error.kind === "fenced") throw error;
      const delayMs = retryDelayMs(count, options.random);
      if (options.clock.now() + delayMs > deadlineMs) throw error;
      recover(error);
      await sleep(options.clock, delayMs);
    }
  }
}
