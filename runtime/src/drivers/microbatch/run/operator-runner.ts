// The operators of a query that keep state: opened and restored once, given each batch's rows, captured with each batch.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { KeyGroupRange, Operator, OperatorContext, OperatorMetrics } from "../../../core/operator/operator.ts";
import { endOfTime } from "../../../core/time/end-of-time.ts";
import type { KeyedStateBackend, StateBackendFactory, StateCapture } from "../../../core/ports/state-backend.ts";
import { mainOutput } from "../../../plan/dataflow.ts";
import { keyGroupRange } from "../../../plan/key-groups.ts";
import type { ScannedTask } from "../../continuous/base-scanner.ts";
import { type CapturedList, OperatorStateRegistry } from "../../task/operator-state-registry.ts";
import type { OperatorStage } from "../stages/stage.ts";

/** What one operator did in a batch. */
export interface OperatorFigures {
  rowsIn: number;
  rowsOut: number;
  lateRows: number;
  updateMs: number;
  removalMs: number;
}

export interface OperatorRunnerParts {
  readonly maxParallelism: number;
  readonly stateBackend: StateBackendFactory;
  readonly workDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly restored: Restored | undefined;
  /** Which part of the state is here; all of it without this. */
  readonly share?: { readonly subtask: number; readonly parallelism: number };
  /** The watermark of the last batch that was run, ms; -Infinity for none. */
  readonly watermarkMs: number;
}

/** What a batch changed in one operator. */
export interface OperatorCapture {
  readonly uid: string;
  readonly keyGroups: KeyGroupRange;
  readonly keyed: StateCapture;
  readonly lists: readonly CapturedList[];
  readonly watermarkMs: number;
}

/** One operator with its state, or with the key groups that are here. */
class RunningOperator {
  readonly stage: OperatorStage;
  readonly operator: Operator;
  readonly backend: KeyedStateBackend;
  readonly lists: OperatorStateRegistry;
  readonly keyGroups: KeyGroupRange;
  readonly subtask: number;
  figures: OperatorFigures = noFigures();
  /** Where its rows go during a batch. */
  target: ((batch: Batch) => void) | undefined;
  readonly #clock: Clock;
  #watermarkMs = -Infinity;

  constructor(stage: OperatorStage, backend: KeyedStateBackend, lists: OperatorStateRegistry, parts: OperatorRunnerParts) {
    this.#clock = parts.clock;
    this.subtask = (parts.share ?? whole).subtask;
    this.stage = stage;
    this.backend = backend;
    this.lists = lists;
    this.keyGroups = shareOf(parts);
    this.operator = stage.create(this.#context(parts));
  }

  #context(parts: OperatorRunnerParts): OperatorContext {
    const { uid } = this.stage;
    const metrics: OperatorMetrics = {
      count: (name, by) => {
        if (name === "late_records_dropped") this.figures.lateRows += by;
      },
      gauge() {},
    };
    const main = {
      emit: (batch: Batch): void => {
        this.figures.rowsOut += batch.count;
        this.target?.(batch);
      },
    };
    return {
      uid,
      ...(parts.share ?? whole),
      maxParallelism: parts.maxParallelism,
      keyGroups: this.keyGroups,
      clock: parts.clock,
      log: parts.log.child({ uid }),
      metrics,
      output: (name = mainOutput) => (name === mainOutput ? main : { emit: (batch) => metrics.count("late_records_dropped", batch.count) }),
      keyed: this.backend.state,
      state: this.lists,
      badRow: ({ code, reason, cause }) => {
        throw new MillraceError(code, `operator "${uid}"`, reason, "mend the function, or catch the error in it", { cause });
      },
      forwardWatermark() {},
      watermarkMs: () => this.#watermarkMs,
      enqueue: () => {
        throw new Error("assertion failed: an operator of a query works while it is called");
      },
      pause: () => () => {},
    };
  }

  get watermarkMs(): number {
    return this.#watermarkMs;
  }

  /** Timers of processing time fire with the batches. */
  fireProcessingTimers(): void {
    const nowMs = this.#clock.now();
    if ((this.operator.nextWakeMs?.() ?? Infinity) <= nowMs) this.operator.onProcessingTime?.(nowMs);
  }

  /** Event time of the query has come to `watermarkMs`. */
  advance(watermarkMs: number): void {
    // The core's watermark of an operator: no row at or before it is to come.
    const own = this.stage.late === "before" ? watermarkMs - 1 : watermarkMs;
    if (own <= this.#watermarkMs) return;
    this.#watermarkMs = own;
    this.operator.onWatermark?.(own);
    if (own >= endOfTime) this.operator.end?.();
    this.backend.onWatermark(own);
  }
}

export class OperatorRunner {
  readonly #running = new Map<OperatorStage, RunningOperator>();

  /** Opens the operators in the order of the plan. Rejects with what the state's restore refuses. */
  static async open(stages: readonly OperatorStage[], parts: OperatorRunnerParts): Promise<OperatorRunner> {
    const runner = new OperatorRunner();
    try {
      for (const stage of stages) await runner.#openOne(stage, parts);
    } catch (error) {
      await runner.close(parts.log);
      throw error;
    }
    return runner;
  }

  async #openOne(stage: OperatorStage, parts: OperatorRunnerParts): Promise<void> {
    const { maxParallelism, stateBackend, workDirectory, clock, restored } = parts;
    const { uid } = stage;
    const keyGroups = shareOf(parts);
    const { subtask, parallelism } = parts.share ?? whole;
    const directory = join(workDirectory, uid.replaceAll(/[^A-Za-z0-9_.-]/g, "_"));
    await mkdir(directory, { recursive: true });
    const backend = await stateBackend.open({ uid, keyGroups, maxParallelism, clock, directory });
    let running: RunningOperator;
    try {
      const lists = new OperatorStateRegistry((name) => restored?.operatorState(uid, name, subtask, parallelism) ?? []);
      running = new RunningOperator(stage, backend, lists, parts);
      const stored = restored?.keyedState(uid, keyGroups);
      if (stored !== undefined) await backend.restore(stored);
    } catch (error) {
      await backend.close();
      throw error;
    }
    this.#running.set(stage, running);
    // What was late for the batch before is late now; whatever that closes was given out then.
    if (stage.streaming && parts.watermarkMs > -Infinity) running.advance(parts.watermarkMs);
  }

  begin(): void {
    for (const running of this.#running.values()) running.figures = noFigures();
  }

  /** From now on the operator's rows go to `target`; returns the operator's input. */
  connect(stage: OperatorStage, target: (batch: Batch) => void): (batch: Batch, input: number) => void {
    const running = this.#of(stage);
    running.target = target;
    return (batch, input) => {
      if (batch.count === 0) return;
      const startedMs = performance.now();
      running.figures.rowsIn += batch.count;
      running.operator.process(batch, input);
      running.figures.updateMs += performance.now() - startedMs;
    };
  }

  /** All rows of the batch are in: what the trigger and the watermark give goes out. */
  finish(stage: OperatorStage, watermarkMs: number): void {
    const running = this.#of(stage);
    const startedMs = performance.now();
    running.fireProcessingTimers();
    running.operator.prepareSnapshot?.();
    if (watermarkMs > -Infinity) running.advance(watermarkMs);
    running.figures.removalMs += performance.now() - startedMs;
    running.target = undefined;
  }

  /** What the batch changed in state. The operators were flushed by `finish`. */
  capture(): readonly OperatorCapture[] {
    const kept = [...this.#running.values()].filter(({ stage }) => stage.streaming);
    return kept.map(({ stage, keyGroups, backend, lists, watermarkMs }) => ({
      uid: stage.uid,
      keyGroups,
      keyed: backend.capture(),
      lists: lists.capture(),
      watermarkMs,
    }));
  }

  /** The state as bases are read from it. */
  get scanned(): ScannedTask {
    return {
      operators: [...this.#running.values()].map((running) => {
        let slot = this.#slots.get(running);
        if (slot === undefined) {
          slot = { instance: { uid: running.stage.uid, subtask: running.subtask }, backend: running.backend, keyGroups: running.keyGroups };
          this.#slots.set(running, slot);
        }
        return slot;
      }),
    };
  }

  readonly #slots = new Map<RunningOperator, ScannedTask["operators"][number]>();

  /** When the next timer of processing time is due, ms since the epoch; Infinity for none. */
  nextWakeMs(): number {
    return Math.min(Infinity, ...[...this.#running.values()].map(({ operator }) => operator.nextWakeMs?.() ?? Infinity));
  }

  /** Per operator: what it did in this batch and what it holds. */
  status(): readonly {
    readonly stage: OperatorStage;
    readonly figures: OperatorFigures;
    readonly state: ReturnType<KeyedStateBackend["sizeBytes"]>;
  }[] {
    const kept = [...this.#running.values()].filter(({ stage }) => stage.streaming);
    return kept.map(({ stage, figures, backend }) => ({ stage, figures, state: backend.sizeBytes() }));
  }

  #of(stage: OperatorStage): RunningOperator {
    const running = this.#running.get(stage);
    if (running === undefined) throw new Error(`assertion failed: operator ${stage.uid} was not opened`);
    return running;
  }

  async close(log: Log): Promise<void> {
    for (const { stage, operator, backend } of this.#running.values()) {
      try {
        operator.close?.();
        await backend.close();
      } catch (error) {
        log.warn("an operator could not be closed", { uid: stage.uid, reason: messageOf(error) });
      }
    }
    this.#running.clear();
  }
}

const whole = { subtask: 0, parallelism: 1 };

function shareOf({ share = whole, maxParallelism }: OperatorRunnerParts): KeyGroupRange {
  return keyGroupRange(share.subtask, share.parallelism, maxParallelism);
}

function noFigures(): OperatorFigures {
  return { rowsIn: 0, rowsOut: 0, lateRows: 0, updateMs: 0, removalMs: 0 };
}
