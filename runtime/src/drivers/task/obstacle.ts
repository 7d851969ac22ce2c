// Something that cannot take rows for a while: a channel without credit, an operator that asks for patience. Whatever leads to it waits.

/** What waits: it counts the obstacles that stand in its way. */
export interface Waiter {
  obstacles: number;
}

export class Obstacle {
  readonly #waiters: Waiter[] = [];
  readonly #wake: () => void;
  #depth = 0;

  /** `wake` is called when the way is free again. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get stands(): boolean {
    return this.#depth > 0;
  }

  attach(waiter: Waiter): void {
    this.#waiters.push(waiter);
    if (this.#depth > 0) waiter.obstacles++;
  }

  /** Several may raise it; it stands until all of them have lowered it again. */
  raise(): void {
    if (this.#depth++ > 0) return;
    for (const waiter of this.#waiters) waiter.obstacles++;
  }

  lower(): void {
    if (--this.#depth > 0) return;
    for (const waiter of this.#waiters) waiter.obstacles--;
    this.#wake();
  }
}
