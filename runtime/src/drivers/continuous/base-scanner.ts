// Background bases: reads an instance's state in slices between batches and hands them to the upload, one instance at a time.
import type { Log } from "../../base/log.ts";
import { messageOf } from "../../base/errors.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { BaseScan, KeyedStateBackend, StateBlock, StoredTableSpec } from "../../core/ports/state-backend.ts";

/** How much is encoded between two batches: about a tenth of a millisecond of work. */
const sliceBytes = 128 * 1024;

/** An operator instance with keyed state. */
export interface ScannedSlot {
  readonly instance: { readonly uid: string; readonly subtask: number };
  readonly backend: KeyedStateBackend | undefined;
  readonly keyGroups: KeyGroupRange;
}

/** What has instances with state: a task, or a query in batches. */
export interface ScannedTask {
  readonly operators: readonly ScannedSlot[];
}

/** The uploading half of a base: `BaseUpload` of the checkpoint store. */
export interface BaseTarget {
  add(blocks: readonly StateBlock[]): Promise<void>;
  finish(endCheckpointId: number): Promise<void>;
  cancel(): Promise<void>;
}

export interface BaseTargets {
  due(uid: string, keyGroups: KeyGroupRange): boolean;
  start(about: {
    readonly uid: string;
    readonly subtask: number;
    readonly keyGroups: KeyGroupRange;
    readonly tables: readonly StoredTableSpec[];
    readonly sinceCheckpointId: number;
  }): BaseTarget;
}

interface Running {
  readonly slot: ScannedSlot;
  readonly scan: BaseScan;
  readonly target: BaseTarget;
  uploading: boolean;
}

export class BaseScanner {
  readonly #targets: BaseTargets;
  readonly #log: Log;
  readonly #tables = new Map<ScannedSlot, readonly StoredTableSpec[]>();
  #running: Running | undefined;
  #lastCaptured = 0;
  #checked = 0;
  /** The slot whose base ended last: it gets no second one before its first is published. */
  #waitFor = new Map<ScannedSlot, number>();

  constructor(targets: BaseTargets, log: Log) {
    this.#targets = targets;
    this.#log = log;
  }

  /** A barrier has captured the task: what scans relate to. */
  captured(
    checkpointId: number,
    task: ScannedTask,
    tablesOf: (uid: string, subtask: number) => readonly StoredTableSpec[] | undefined,
  ): void {
    this.#lastCaptured = checkpointId;
    for (const slot of task.operators) {
      const tables = tablesOf(slot.instance.uid, slot.instance.subtask);
      if (tables !== undefined) this.#tables.set(slot, tables);
    }
  }

  /** Something may be due that was not at the last checkpoint. */
  lookAgain(): void {
    this.#checked = -1;
  }

  /** Does a slice, when there is one to do; called between batches. */
  step(task: ScannedTask): void {
    const running = this.#running;
    if (running === undefined) {
      // What is due changes only with a checkpoint.
      if (this.#checked === this.#lastCaptured) return;
      this.#checked = this.#lastCaptured;
      this.#begin(task);
      return;
    }
    if (running.uploading) return;
    const blocks = running.scan.next(sliceBytes);
    running.uploading = true;
    const work = blocks === null ? this.#finish(running) : running.target.add(blocks);
    work.then(
      () => {
        running.uploading = false;
      },
      (error: unknown) => this.#abandon(running, error),
    );
  }

  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    running.scan.cancel();
    await running.target.cancel();
  }

  #begin(task: ScannedTask): void {
    for (const slot of task.operators) {
      const { backend, keyGroups, instance } = slot;
      const tables = this.#tables.get(slot);
      if (backend === undefined || tables === undefined || tables.length === 0) continue;
      if ((this.#waitFor.get(slot) ?? -1) >= this.#lastCaptured) continue;
      if (!this.#targets.due(instance.uid, keyGroups)) continue;
      const target = this.#targets.start({
        uid: instance.uid,
        subtask: instance.subtask,
        keyGroups,
        tables,
        sinceCheckpointId: this.#lastCaptured,
      });
      this.#running = { slot, scan: backend.startBase(), target, uploading: false };
      return;
    }
  }

  async #finish(running: Running): Promise<void> {
    const endedAt = this.#lastCaptured;
    await running.target.finish(endedAt);
    // It is part of the next checkpoint; only after that one is it known whether another is due.
    this.#waitFor.set(running.slot, endedAt + 1);
    this.#running = undefined;
  }

  // A base is an optimisation: without it the deltas stay, and a later checkpoint asks again.
  #abandon(running: Running, error: unknown): void {
    this.#log.warn("a base could not be written", { uid: running.slot.instance.uid, reason: messageOf(error) });
    running.scan.cancel();
    running.target.cancel().catch(() => {});
    this.#running = undefined;
  }
}
