// The processes that a chaos program has started end with it, however it ends: by itself, by an error, or by a signal.
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";

/** Whoever stops a program at the keyboard, a tier whose time is over, a terminal that is closed. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class OwnChildren {
  readonly #running = new Set<ChildProcess>();

  constructor() {
    process.on("exit", () => {
      // Also one that is stopped (SIGSTOP) ends by this one.
      for (const child of this.#running) child.kill("SIGKILL");
    });
    // A signal ends a process without "exit" unless somebody listens; the exit code is the one that a shell would give.
    for (const signal of signals) process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }

  /** Gives the child back. */
  add<Child extends ChildProcess>(child: Child): Child {
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }
}
