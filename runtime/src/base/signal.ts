// A wake-up call: whoever waits is told that something may have changed.

/**
 * The half of `ready()` that connectors share: a waiter takes `next()` and looks again when it settles. A call of `notify`
 * without a waiter is not remembered, so the waiter checks its condition before it waits.
 */
export class Signal {
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** Settles at the next `notify`. All waiters share one promise. */
  next(): Promise<void> {
    this.#waiting ??= Promise.withResolvers<void>();
    return this.#waiting.promise;
  }

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve();
  }
}
