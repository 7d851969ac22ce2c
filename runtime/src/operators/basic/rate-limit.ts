// rateLimit: at most so many rows per second, by a token bucket; more than that makes the sources wait.
import { MillraceError } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";

export interface RateLimitParams {
  /** For the whole operator: each of its instances gets an equal part. */
  readonly rowsPerSecond: number;
  /** How many rows may pass at once after a quiet time. Default: those of one second. */
  readonly burst?: number;
}

/**
 * A batch passes whole and takes its tokens, if need be on credit; while the bucket is in debt the task is paused. So the rate
 * holds on average from the first row on, and a batch is never cut. Throws RATE_INVALID for a rate that is not above zero.
 */
export function rateLimit(params: RateLimitParams): OperatorFactory {
  const { rowsPerSecond, burst = rowsPerSecond } = params;
  if (!(rowsPerSecond > 0) || !(burst > 0)) {
    throw new MillraceError(
      "RATE_INVALID",
      "rateLimit",
      `${rowsPerSecond} rows per second with a burst of ${burst}`,
      "use numbers above zero",
    );
  }
  return (context) => {
    const { clock } = context;
    const output = context.output();
    const perMs = rowsPerSecond / context.parallelism / 1000;
    const capacity = burst / context.parallelism;
    let tokens = capacity;
    let filledMs = clock.now();
    let resume: (() => void) | undefined;
    let cancel: (() => void) | undefined;

    const refill = (): void => {
      const nowMs = clock.now();
      // A clock that was set back gives no tokens and takes none.
      if (nowMs > filledMs) tokens = Math.min(capacity, tokens + (nowMs - filledMs) * perMs);
      filledMs = nowMs;
    };
    const wait = (): void => {
      cancel = clock.after(Math.ceil(-tokens / perMs), () => {
        refill();
        if (tokens < 0) return wait();
        cancel = undefined;
        resume?.();
        resume = undefined;
      });
    };
    return {
      process(batch: Batch): void {
        refill();
        tokens -= batch.count;
        if (tokens < 0 && resume === undefined) {
          resume = context.pause();
          wait();
        }
        output.emit(batch);
      },
      close(): void {
        cancel?.();
        resume?.();
      },
    };
  };
}
