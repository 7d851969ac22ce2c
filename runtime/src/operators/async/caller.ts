// Calls the user's function for a row until it has answered, failed for good or taken too long; each row has exactly one outcome.
import { MillraceError } from "../../base/errors.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { AsyncMapParams } from "./async-map.ts";
import { backoffMs } from "./backoff.ts";

export type Outcome =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "failure"; readonly error: unknown }
  | { readonly kind: "timeout"; readonly error: unknown };

interface Call {
  readonly row: unknown;
  readonly settle: (outcome: Outcome) => void;
  readonly abort: AbortController;
  attempt: number;
  cancelTimeout: () => void;
  cancelRetry: () => void;
  settled: boolean;
}

const nothing = (): void => {};

export class Caller {
  readonly #context: OperatorContext;
  readonly #params: AsyncMapParams & { readonly timeoutMs: number };
  readonly #random: () => number;
  readonly #calls = new Set<Call>();

  constructor(context: OperatorContext, params: AsyncMapParams & { readonly timeoutMs: number }) {
    this.#context = context;
    this.#params = params;
    this.#random = params.random ?? Math.random;
  }

  /** `settle` is called once, never before this returns; not at all after `close`. */
  call(row: unknown, settle: (outcome: Outcome) => void): void {
    const call: Call = {
      row,
      settle,
      abort: new AbortController(),
      attempt: 0,
      cancelTimeout: nothing,
      cancelRetry: nothing,
      settled: false,
    };
    this.#calls.add(call);
    const { timeoutMs } = this.#params;
    call.cancelTimeout = this.#context.clock.after(timeoutMs, () => {
      this.#context.metrics.count("timeouts", 1);
      const error = new MillraceError(
        "ASYNC_TIMEOUT",
        this.#context.uid,
        `no answer after ${timeoutMs} ms`,
        "raise timeoutMs, or find out why it is slow",
      );
      this.#settle(call, { kind: "timeout", error });
      call.abort.abort(error);
    });
    this.#attempt(call);
  }

  #attempt(call: Call): void {
    const attempt = ++call.attempt;
    // Answers of attempts that were given up count as little as those after a time-out.
    const isStale = (): boolean => call.settled || call.attempt !== attempt;
    void this.#invoke(call, attempt).then(
      (value) => {
        if (!isStale()) this.#settle(call, { kind: "result", value });
      },
      (error: unknown) => {
        if (!isStale()) this.#failed(call, error);
      },
    );
  }

  // A function that throws at once is one that rejects.
  async #invoke(call: Call, attempt: number): Promise<unknown> {
    return this.#params.fn(call.row, { signal: call.abort.signal, attempt });
  }

  #failed(call: Call, error: unknown): void {
    const { retry } = this.#params;
    if (retry === undefined || call.attempt > retry.retries || !mayRetry(retry.retryIf, error)) {
      this.#settle(call, { kind: "failure", error });
      return;
    }
    this.#context.metrics.count("retries", 1);
    call.cancelRetry = this.#context.clock.after(backoffMs(retry, call.attempt, this.#random), () => this.#attempt(call));
  }

  #settle(call: Call, outcome: Outcome): void {
    call.settled = true;
    call.cancelTimeout();
    call.cancelRetry();
    this.#calls.delete(call);
    call.settle(outcome);
  }

  /** Gives up all calls. */
  close(): void {
    for (const call of this.#calls) {
      call.settled = true;
      call.cancelTimeout();
      call.cancelRetry();
      call.abort.abort(new MillraceError("ASYNC_STOPPED", this.#context.uid, "the job stops", "nothing is to be done"));
    }
    this.#calls.clear();
  }
}

function mayRetry(retryIf: ((error: unknown) => boolean) | undefined, error: unknown): boolean {
  try {
    return retryIf?.(error) ?? true;
  } catch {
    // A test that fails says nothing for another attempt.
    return false;
  }
}
