// A flag that can be awaited: many wakers, one sleeper, and a wake without a sleeper is remembered. How a loop sleeps until something happens.

export class WakeFlag {
  #set = false;
  #resolve: (() => void) | undefined;

  /** Wakes the sleeper, or lets the next sleep return at once. */
  wake(): void {
    this.#set = true;
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.();
  }

  /** Settles at the next `wake`, at once if one came since the last sleep. One sleeper at a time. */
  sleep(): Promise<void> {
    if (this.#set) {
      this.#set = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#resolve = () => {
        this.#set = false;
        resolve();
      };
    });
  }
}
