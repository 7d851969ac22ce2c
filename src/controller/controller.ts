// A controller: workers that take keys from its queue and reconcile them, one worker per key.
import { isClusterError } from "../ports/cluster-error.ts";
import { type Machine, messageOf } from "../ports/machine.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { Workqueue } from "./workqueue.ts";

export interface Reconciled {
  /** Look again after this, though nothing changes. */
  readonly requeueAfterMs?: number;
}

export interface ControllerParts {
  readonly name: string;
  readonly machine: Machine;
  readonly workers: number;
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Reconciled>;
  readonly metrics?: ControllerMetrics;
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export class Controller {
  readonly name: string;
  readonly queue: Workqueue;
  readonly #parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.name = parts.name;
    this.#parts = parts;
    const { clock, random } = parts.machine;
    this.queue = new Workqueue({
      clock,
      random,
      ...(parts.minBackoffMs === undefined ? {} : { minBackoffMs: parts.minBackoffMs }),
      ...(parts.maxBackoffMs === undefined ? {} : { maxBackoffMs: parts.maxBackoffMs }),
    });
  }

  /** Works until `signal` aborts; what a worker has begun it ends. */
  async run(signal: AbortSignal): Promise<void> {
    const close = (): void => this.queue.close();
    signal.addEventListener("abort", close);
    if (signal.aborted) close();
    await Promise.all(Array.from({ length: this.#parts.workers }, () => this.#work(signal)));
    signal.removeEventListener("abort", close);
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await this.queue.next();
      if (key === undefined || signal.aborted) return;
      await this.#one(key, signal);
      this.queue.done(key);
    }
  }

  async #one(key: string, signal: AbortSignal): Promise<void> {
    const { machine, metrics, name } = this.#parts;
    const startedMs = machine.clock.now();
    let result: "success" | "error" | "conflict" = "success";
    try {
      const { requeueAfterMs } = await this.#parts.reconcile(key, signal);
      this.queue.forget(key);
      if (requeueAfterMs !== undefined) this.queue.addAfter(key, requeueAfterMs, "resync");
    } catch (error) {
      // Somebody else has written: nothing is wrong, look again.
      result = isClusterError(error, "conflict") ? "conflict" : "error";
      this.queue.retry(key, isClusterError(error) ? error.retryAfterMs : undefined);
      const fields = { controller: name, key, reason: messageOf(error), failures: this.queue.failuresOf(key) };
      if (result === "conflict") machine.log.debug("reconcile met a conflict", fields);
      else machine.log.warn("reconcile failed", fields);
    } finally {
      metrics?.reconciled(name, result, machine.clock.now() - startedMs);
    }
  }
}
