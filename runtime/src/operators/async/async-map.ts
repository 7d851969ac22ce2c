// asyncMap: each row goes to a function that answers later; results keep event time, and nothing is lost or repeated by a restart.
import { MillraceError } from "../../base/errors.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { AsyncMap } from "./async-map-operator.ts";
import type { RetryOptions } from "./backoff.ts";

/** What a call is told beside its row. */
export interface AsyncCall {
  /** Aborted when the call has timed out or the job stops: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/**
 * What becomes of a row whose call failed for good: `fail` stops the job, `dead-letter` hands the row to the job's dead letters,
 * `drop` leaves it out, and a function gives the row to go on with.
 */
export type AsyncFailure<In = unknown, Out = unknown> =
  | "fail"
  | "dead-letter"
  | "drop"
  | { readonly default: (row: In, error: unknown) => Out };

export interface AsyncMapParams<In = unknown, Out = unknown> {
  readonly input: Schema<In>;
  readonly output: Schema<Out>;
  /**
   * Gets a row object of its own. Answers with a row, several, or null or undefined for none. After a restart the rows whose
   * result had not gone out are called again: calls must bear repetition.
   */
  readonly fn: (row: In, call: AsyncCall) => Out | readonly Out[] | null | undefined | Promise<Out | readonly Out[] | null | undefined>;
  /** `ordered`: results in the order of the rows. `unordered`: as they come, but none past a watermark. Default ordered. */
  readonly order?: "ordered" | "unordered";
  /** How many rows one instance has under way; more make the sources wait. Default 100. */
  readonly capacity?: number;
  /** For a row with all of its attempts, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** Default: no retries. */
  readonly retry?: RetryOptions;
  /** Default dead-letter. */
  readonly onFailure?: AsyncFailure<In, Out>;
  /** Default: as `onFailure`. */
  readonly onTimeout?: AsyncFailure<In, Out>;
  /** In [0, 1), for the jitter of retries. Default Math.random. */
  readonly random?: () => number;
}

const maxCapacity = 100_000;

/** Throws ASYNC_INVALID for options that cannot be; fails the job with ASYNC_FAILED or ASYNC_TIMEOUT where the options say so. */
export function asyncMap<In, Out>(params: AsyncMapParams<In, Out>): OperatorFactory {
  const { capacity = 100, timeoutMs = 30_000, retry } = params;
  const check = (holds: boolean, problem: string, next: string): void => {
    if (!holds) throw new MillraceError("ASYNC_INVALID", "asyncMap", problem, next);
  };
  check(
    Number.isSafeInteger(capacity) && capacity > 0 && capacity <= maxCapacity,
    `a capacity of ${capacity}`,
    `use a whole number from 1 to ${maxCapacity}`,
  );
  check(timeoutMs > 0 && timeoutMs < 2 ** 31, `a timeout of ${timeoutMs} ms`, "use more than 0 and less than 2^31 ms");
  check(
    retry === undefined || (Number.isSafeInteger(retry.retries) && retry.retries >= 0),
    `${retry?.retries} retries`,
    "use a whole number from 0 on",
  );
  return (context) => new AsyncMap(context, { ...(params as unknown as AsyncMapParams), capacity, timeoutMs });
}
