// A task: all operator instances of one thread, and the steps that its loop is made of.
import type { Clock } from "../../base/clock.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { KeyedStateBackend, StateCapture } from "../../core/ports/state-backend.ts";
import type { SourceSplit } from "../../core/ports/source.ts";
import type { BadRowPolicy } from "./bad-row-policy.ts";
import type { InstanceCounters, OperatorInstance } from "./operator-instance.ts";
import type { CapturedList, OperatorStateRegistry } from "./operator-state-registry.ts";
import type { SinkInstance } from "./sink-instance.ts";
import type { SourceInstance } from "./source-instance.ts";
import { TaskMetrics } from "./task-metrics.ts";

export interface OperatorSlot {
  readonly instance: OperatorInstance;
  readonly backend: KeyedStateBackend | undefined;
  readonly lists: OperatorStateRegistry;
  readonly keyGroups: KeyGroupRange;
  readonly parallelism: number;
}

export interface OperatorCapture {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly keyed: StateCapture | undefined;
  readonly lists: readonly CapturedList[];
  readonly watermarkMs: number;
}

export interface SourceCapture {
  readonly uid: string;
  readonly subtask: number;
  readonly splits: readonly SourceSplit[];
  readonly splitWatermarks: ReadonlyMap<string, number>;
}

export interface SinkCapture {
  readonly uid: string;
  readonly subtask: number;
  /** What `prepare` gives: the cut is made, the rest settles in the background. */
  readonly prepared: Promise<Uint8Array>;
}

/** Everything that a barrier takes from a task, at one instant. */
export interface TaskCapture {
  readonly operators: readonly OperatorCapture[];
  readonly sources: readonly SourceCapture[];
  readonly sinks: readonly SinkCapture[];
}

export class Task {
  readonly sources: SourceInstance[] = [];
  /** In plan order, so that flushing goes downstream. */
  readonly operators: OperatorSlot[] = [];
  readonly sinks: SinkInstance[] = [];
  readonly metrics: TaskMetrics = new TaskMetrics();
  badRows!: BadRowPolicy;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #closers: (() => Promise<void>)[] = [];
  #mailbox: (() => void)[] = [];
  #pauses = 0;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  counters(uid: string, subtask: number): InstanceCounters {
    return this.metrics.counters(uid, subtask);
  }

  enqueue(work: () => void): void {
    this.#mailbox.push(work);
    this.#wake();
  }

  /** Stops polling until the returned function is called; calling it twice counts once. */
  pause(): () => void {
    this.#pauses++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#pauses--;
      this.#wake();
    };
  }

  get paused(): boolean {
    return this.#pauses > 0;
  }

  /** Runs what came back from asynchronous work. */
  runMailbox(): boolean {
    if (this.#mailbox.length === 0) return false;
    const work = this.#mailbox;
    this.#mailbox = [];
    for (const run of work) run();
    return true;
  }

  /** One block of every source. False when there was nothing anywhere. */
  pollSources(): boolean {
    let worked = false;
    for (const source of this.sources) {
      // An operator may have asked for a pause while an earlier source was processed.
      if (this.paused) break;
      if (!source.ended && source.step()) worked = true;
    }
    this.badRows.flush();
    return worked;
  }

  /** Ends the sources that are complete. True when there was one. */
  endSources(isComplete: (source: SourceInstance) => boolean): boolean {
    const ending = this.sources.filter((source) => !source.ended && isComplete(source));
    // All of them count before the first one ends: what follows from its end must not go ahead of what follows from theirs.
    for (const source of ending) source.activate();
    for (const source of ending) source.end();
    return ending.length > 0;
  }

  /** Fires processing-time timers that are due and returns when the next one is. */
  fireTimers(): number {
    const nowMs = this.#clock.now();
    let nextMs = Infinity;
    for (const { instance } of this.operators) {
      const operator = instance.operator;
      let wakeMs = operator.nextWakeMs?.() ?? Infinity;
      if (wakeMs <= nowMs) {
        operator.onProcessingTime?.(nowMs);
        wakeMs = operator.nextWakeMs?.() ?? Infinity;
      }
      nextMs = Math.min(nextMs, wakeMs);
    }
    return nextMs;
  }

  /** The sinks that ask for patience. */
  fullSinks(): readonly Promise<void>[] {
    const waits: Promise<void>[] = [];
    for (const sink of this.sinks) {
      const wait = sink.writer.ready();
      if (wait !== undefined) waits.push(wait);
    }
    return waits;
  }

  /** True while operators have asynchronous work under way. */
  get busy(): boolean {
    return this.#mailbox.length > 0 || this.operators.some(({ instance }) => instance.operator.busy?.() === true);
  }

  /** The barrier: nothing is in flight between instances of a thread, so one pass takes the whole cut. */
  capture(checkpointId: number): TaskCapture {
    for (const { instance } of this.operators) instance.operator.prepareSnapshot?.();
    this.badRows.flush();
    return {
      operators: this.operators.map(({ instance, backend, lists, keyGroups, parallelism }) => ({
        uid: instance.uid,
        subtask: instance.subtask,
        parallelism,
        keyGroups,
        keyed: backend?.capture(),
        lists: lists.capture(),
        watermarkMs: instance.watermarkMs,
      })),
      sources: this.sources.map((source) => ({
        uid: source.uid,
        subtask: source.subtask,
        splits: source.reader.snapshot(),
        splitWatermarks: source.splitWatermarks(),
      })),
      sinks: this.sinks.map((sink) => ({ uid: sink.uid, subtask: sink.subtask, prepared: owned(sink.writer.prepare(checkpointId)) })),
    };
  }

  /** Tells state backends how far event time has come, for their clean-up. */
  advanceState(): void {
    for (const { instance, backend } of this.operators) backend?.onWatermark(instance.watermarkMs);
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

// A rejection is handled by whoever awaits the capture; this keeps it from counting as unhandled until then.
function owned<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
