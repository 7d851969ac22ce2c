// Runs the tasks of steps on the executors, as the decision says: sends, takes results, tries again, gives up.
import type { Clock } from "../../../../base/clock.ts";
import { MillraceError } from "../../../../base/errors.ts";
import type { Log } from "../../../../base/log.ts";
import type { ExecutorMessage, ExecutorTask, OutputRef, TaskResult } from "../messages.ts";
import type { ExecutorPool, TaskOutcome } from "./executor-pool.ts";
import { TaskSet, type TaskSetOptions } from "./task-set.ts";

export interface StepTask {
  readonly preferred: string | undefined;
  /** Made when it is sent: what it refers to may have moved since. */
  make(): ExecutorTask;
}

interface Step {
  readonly set: TaskSet;
  readonly tasks: ReadonlyMap<string, StepTask>;
  readonly results: Map<string, TaskResult>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly mend: ((missing: OutputRef) => Promise<void>) | undefined;
}

/** Failures that another executor would have as well: the query's own. */
const ownFaults: ReadonlySet<string> = new Set([
  ...["FUNCTION_FAILED", "DATAFRAME_BAD_RECORD", "DATAFRAME_COMPUTE", "DATAFRAME_RANGE", "DATAFRAME_INPUT_CHANGED", "FENCED"],
]);
const lookMs = 100;

export class StepRunner implements TaskOutcome {
  readonly #pool: ExecutorPool;
  readonly #options: TaskSetOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #steps = new Set<Step>();
  #cancelLook: (() => void) | undefined;
  #nextTask = 1;
  #isWaiting = false;
  #givesUpWaiting = false;
  #closed: MillraceError | undefined;

  constructor(pool: ExecutorPool, options: TaskSetOptions, clock: Clock, log: Log) {
    this.#pool = pool;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  /** From now on steps that wait while no executor is there are given up with JOB_STOPPING, as are those that wait already. */
  giveUpWaiting(): void {
    this.#givesUpWaiting = true;
    this.#pump();
  }

  /** Results in the order of the tasks. Rejects with EXECUTOR_TASK_FAILED, or with a task's failure that is the query's own. */
  async run(tasks: readonly StepTask[], mend?: (missing: OutputRef) => Promise<void>): Promise<readonly TaskResult[]> {
    if (this.#closed !== undefined) throw this.#closed;
    if (tasks.length === 0) return [];
    const named = new Map(tasks.map((task) => [`task-${this.#nextTask++}`, task]));
    const set = new TaskSet(
      [...named].map(([id, { preferred }]) => ({ id, preferred })),
      this.#options,
      this.#clock.now(),
    );
    const results = new Map<string, TaskResult>();
    await new Promise<void>((resolve, reject) => {
      this.#steps.add({ set, tasks: named, results, resolve, reject, mend });
      this.#pump();
    });
    return [...named.keys()].map((id) => results.get(id) as TaskResult);
  }

  #pump(): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
    for (const step of this.#steps) {
      for (const { taskId, attempt, executorId } of step.set.next(this.#pool.places(), this.#clock.now())) {
        if (attempt > 0) this.#log.info("task started again", { taskId, attempt, executorId });
        this.#pool.send(executorId, { kind: "run", taskId, attempt, task: (step.tasks.get(taskId) as StepTask).make() });
      }
    }
    const waits = this.#pool.active.length === 0 && [...this.#steps].some(({ set }) => set.hasPending);
    if (waits && !this.#isWaiting) this.#log.warn("no executor is there: the batch waits", {});
    this.#isWaiting = waits;
    if (waits && this.#givesUpWaiting) return this.close();
    // Waiting for a busy executor, and slow tasks, are seen by looking again.
    if (this.#steps.size > 0) this.#cancelLook = this.#clock.after(lookMs, () => this.#pump());
  }

  done(executorId: string, { taskId, attempt, result }: Extract<ExecutorMessage, { readonly kind: "done" }>): void {
    const step = this.#stepOf(taskId);
    if (step === undefined) return this.#discard(executorId, taskId, attempt, result);
    const { counts, cancel } = step.set.succeeded(taskId, attempt, this.#clock.now());
    if (!counts) return this.#discard(executorId, taskId, attempt, result);
    for (const other of cancel) this.#pool.send(other.executorId, { kind: "cancel", taskId, attempt: other.attempt });
    step.results.set(taskId, result);
    if (step.set.isDone) this.#end(step, step.resolve);
    this.#pump();
  }

  // Its state, if it has any, is dropped when the checkpoint is published without it.
  #discard(executorId: string, _taskId: string, _attempt: number, result: TaskResult): void {
    this.#pool.send(executorId, { kind: "release", outputs: [result.output.output], groups: [] });
  }

  failed(executorId: string, message: Extract<ExecutorMessage, { readonly kind: "failed" }>): void {
    const { taskId, attempt, code, missing } = message;
    const step = this.#stepOf(taskId);
    if (step === undefined) return;
    if (missing !== undefined && step.mend !== undefined) {
      // The task is not to blame, nor is its executor: what it needs is made again first.
      step
        .mend(missing)
        .then(() => step.set.putBack(taskId, attempt, this.#clock.now()))
        .then(
          () => this.#pump(),
          (error: unknown) => this.#end(step, () => step.reject(error)),
        );
      return;
    }
    const isOwnFault = ownFaults.has(code);
    this.#log.warn("task failed", { taskId, attempt, executorId, code, reason: message.message });
    if (!isOwnFault) this.#pool.noteFailure(executorId);
    if (step.set.failed(taskId, attempt, isOwnFault, this.#clock.now()) === "over") {
      const error = isOwnFault
        ? new MillraceError(code, `executor ${executorId}`, message.message, "see the message")
        : new MillraceError(
            "EXECUTOR_TASK_FAILED",
            `task ${taskId}, attempt ${attempt + 1} on executor ${executorId}`,
            message.message,
            "mend the cause; the next start runs the batch again",
          );
      this.#end(step, () => step.reject(error));
    }
    this.#pump();
  }

  lost(executorId: string): void {
    for (const { set } of this.#steps) set.lost(executorId, this.#clock.now());
    this.#pump();
  }

  changed(): void {
    this.#pump();
  }

  #stepOf(taskId: string): Step | undefined {
    return [...this.#steps].find(({ tasks }) => tasks.has(taskId));
  }

  #end(step: Step, settle: () => void): void {
    if (!this.#steps.delete(step)) return;
    for (const { taskId, attempt, executorId } of step.set.running()) this.#pool.send(executorId, { kind: "cancel", taskId, attempt });
    settle();
  }

  /** The query is over: nothing is waited for any more. */
  close(): void {
    this.#closed = new MillraceError("JOB_STOPPING", "the query", "has ended", "start it again");
    this.#cancelLook?.();
    for (const step of this.#steps) this.#end(step, () => step.reject(this.#closed));
  }
}
