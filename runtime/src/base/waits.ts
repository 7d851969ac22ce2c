// Waiting for whichever of several things comes first, again and again. A race over a promise that stays pending keeps a little of every round
// for as long as it is pending; here each thing is asked once until it settles.
import type { Clock } from "./clock.ts";
import { WakeFlag } from "./wake-flag.ts";

export class Waits {
  readonly #clock: Clock;
  readonly #flag = new WakeFlag();
  readonly #watched = new Set<object>();
  #failure: { readonly error: unknown } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the present sleep, or the next one at once. */
  wake(): void {
    this.#flag.wake();
  }

  /** `ready` of `what` wakes the sleeper when it settles. Nothing happens while an earlier one of it is pending. */
  watch(what: object, ready: () => Promise<void>): void {
    if (this.#watched.has(what)) return;
    this.#watched.add(what);
    ready().then(
      () => this.#settled(what),
      (error: unknown) => {
        this.#failure ??= { error };
        this.#settled(what);
      },
    );
  }

  /** Settles when it is woken, or after `limitMs`. Rejects with what something that is watched has rejected with. One sleeper at a time. */
  async sleep(limitMs: number = Infinity): Promise<void> {
    const cancel = limitMs === Infinity ? undefined : this.#clock.after(limitMs, () => this.wake());
    try {
      await this.#flag.sleep();
    } finally {
      cancel?.();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #settled(what: object): void {
    this.#watched.delete(what);
    this.wake();
  }
}
