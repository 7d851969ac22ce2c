// The life of an application in one process, as a table of moves.
import type { TaskStatus } from "./task-set.ts";

/**
 * `created`: not started. `rebalancing`: waits for the group. `restoring`: has tasks that do not run yet. `running`: all of its tasks
 * run. `error`: has failed and is about to be closed. `closed`: for good.
 */
export type EmbeddedState = "created" | "rebalancing" | "restoring" | "running" | "error" | "closed";

export interface EmbeddedHealth {
  readonly state: EmbeddedState;
  /** All of its tasks run and have their state. */
  readonly ready: boolean;
  readonly tasks: readonly TaskStatus[];
}

const moves: Readonly<Record<EmbeddedState, readonly EmbeddedState[]>> = {
  created: ["rebalancing", "error", "closed"],
  rebalancing: ["restoring", "running", "error", "closed"],
  restoring: ["rebalancing", "running", "error", "closed"],
  running: ["rebalancing", "restoring", "error", "closed"],
  error: ["closed"],
  closed: [],
};

export type StateListener = (state: EmbeddedState, before: EmbeddedState) => void;

export class AppState {
  readonly #listeners: StateListener[] = [];
  #current: EmbeddedState = "created";

  get current(): EmbeddedState {
    return this.#current;
  }

  /** True from the first failure or the close on: nothing new begins. */
  get isOver(): boolean {
    return this.#current === "error" || this.#current === "closed";
  }

  listen(listener: StateListener): void {
    this.#listeners.push(listener);
  }

  /** Moves on, where that is a move at all. */
  to(next: EmbeddedState): void {
    const before = this.#current;
    if (next === before) return;
    if (!moves[before].includes(next)) throw new Error(`an application cannot go from ${before} to ${next}`);
    this.#current = next;
    for (const listener of this.#listeners) listener(next, before);
  }
}
