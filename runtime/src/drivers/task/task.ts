// A task: the operator instances of one thread, and the steps that its loop is made of.
import type { Clock } from "../../base/clock.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { KeyedStateBackend } from "../../core/ports/state-backend.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { BadRowPolicy } from "./bad-row-policy.ts";
import type { Barrier } from "./barrier.ts";
import type { TaskCapture } from "./captures.ts";
import { type CompleteCut, Cuts } from "./cuts.ts";
import { Entry, type InboundEntry, type ReplayEntry, type SourceEntry } from "./entries.ts";
import type { OperatorInstance } from "./operator-instance.ts";
import type { OperatorStateRegistry } from "./operator-state-registry.ts";
import type { SinkInstance } from "./sink-instance.ts";
import type { SourceInstance } from "./source-instance.ts";
import { TaskMetrics } from "./task-metrics.ts";
import type { Way } from "./way.ts";

export interface OperatorSlot {
  readonly instance: OperatorInstance;
  readonly backend: KeyedStateBackend | undefined;
  readonly lists: OperatorStateRegistry;
  readonly keyGroups: KeyGroupRange;
  readonly parallelism: number;
  /** Where what it gives out by itself, at a time, leads to. */
  readonly way: Way;
}

export class Task {
  readonly sources: SourceInstance[] = [];
  /** In plan order, so that flushing goes downstream. */
  readonly operators: OperatorSlot[] = [];
  /** Those of the dataflow, then those of dead letters. */
  readonly sinks: SinkInstance[] = [];
  readonly letterSinks: SinkInstance[] = [];
  /** In the order in which they are asked: what is nearest to the sinks first, sources last. */
  readonly entries: Entry[] = [];
  readonly sourceEntries: SourceEntry[] = [];
  readonly inboundEntries: InboundEntry[] = [];
  readonly replayEntries: ReplayEntry[] = [];
  /** All ways that a checkpoint may hold up. */
  readonly ways: Way[] = [];
  readonly metrics: TaskMetrics = new TaskMetrics();
  readonly cuts: Cuts;
  badRows!: BadRowPolicy;
  /** Undefined for a task that has everything in its own thread. */
  exchange: Exchange | undefined;
  /** Where the error was thrown that ends the task, and at which record, where that is known. */
  failedAt:
    | { readonly uid: string; readonly subtask: number; readonly record?: { readonly splitId: string; readonly position: number } }
    | undefined;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #closers: (() => Promise<void>)[] = [];
  #mailbox: (() => void)[] = [];

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
    this.cuts = new Cuts(this);
  }

  /** True while rows that a snapshot had in flight are not all back on their way. */
  get isReplaying(): boolean {
    return this.replayEntries.some((entry) => !entry.isOver);
  }

  /** An error is on its way out of an instance; the first to say so is the innermost. */
  blame(uid: string, subtask: number, record: { readonly splitId?: string; readonly position?: number } = {}): void {
    const { splitId, position } = record;
    this.failedAt ??= { uid, subtask, ...(splitId === undefined || position === undefined ? {} : { record: { splitId, position } }) };
  }

  enqueue(work: () => void): void {
    this.#mailbox.push(work);
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  /** Runs what came back from asynchronous work. */
  runMailbox(): boolean {
    if (this.#mailbox.length === 0) return false;
    const work = this.#mailbox;
    this.#mailbox = [];
    for (const run of work) run();
    this.cuts.passDrained();
    return true;
  }

  /** One step of every entry whose way is open. False when there was nothing to do anywhere. */
  step(): boolean {
    let worked = false;
    for (const entry of this.entries) if (entry.isOpen && entry.step()) worked = true;
    this.badRows.flush();
    return worked;
  }

  /** Ends the sources that are complete. True when there was one. */
  endSources(isComplete: (source: SourceInstance) => boolean): boolean {
    const ending = this.sourceEntries.filter((entry) => entry.mayPoll && isComplete(entry.source)).map(({ source }) => source);
    // All of them count before the first one ends: what follows from its end must not go ahead of what follows from theirs.
    for (const source of ending) source.activate();
    for (const source of ending) source.end();
    return ending.length > 0;
  }

  /** Fires processing-time timers that are due and returns when the next one is. */
  fireTimers(): number {
    const nowMs = this.#clock.now();
    let nextMs = Infinity;
    for (const { instance, way } of this.operators) {
      const operator = instance.operator;
      let wakeMs = operator.nextWakeMs?.() ?? Infinity;
      if (wakeMs <= nowMs) {
        // A timer that has to wait for room is looked at again when there is some.
        if (!way.isOpen) continue;
        operator.onProcessingTime?.(nowMs);
        wakeMs = operator.nextWakeMs?.() ?? Infinity;
      }
      nextMs = Math.min(nextMs, wakeMs);
    }
    return nextMs;
  }

  /** True while operators have asynchronous work under way. */
  get busy(): boolean {
    return this.#mailbox.length > 0 || this.operators.some(({ instance }) => instance.operator.busy?.() === true);
  }

  /** All sources have ended, here and wherever rows come from, and everything that they gave has gone through. */
  get isFinished(): boolean {
    if (!this.sources.every((source) => source.ended) || this.busy || this.isReplaying) return false;
    if (this.exchange === undefined) return true;
    return this.exchange.isQuiet && this.exchange.inbound.every((channel) => channel.hasEnded);
  }

  /** A checkpoint of a task that has everything in its own thread: nothing is in flight, so one pass takes the whole cut. */
  capture(checkpointId: number): TaskCapture {
    let complete: CompleteCut | undefined;
    this.cuts.onComplete = (cut) => {
      complete = cut;
    };
    this.cuts.trigger({ checkpointId, sinceMs: performance.now(), drain: false });
    if (complete === undefined) throw new Error("the barrier has not come to every instance in one pass");
    return (complete as CompleteCut).capture;
  }

  /** The sources emit a barrier; `cuts.onComplete` tells when the task's part of the checkpoint is complete. */
  trigger(barrier: Barrier): void {
    this.cuts.trigger(barrier);
  }

  /** A way is free of the barrier that held it. */
  released(way: Way): void {
    if (!(way instanceof Entry)) return;
    way.release();
    this.#wake();
  }

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Closes everything, last opened first; the first failure is thrown after all were tried. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
