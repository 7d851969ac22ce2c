// The instances of a dataflow, given one batch at a time: everything that was planned goes through, then one barrier takes the cut.
import { WakeFlag } from "../../../base/wake-flag.ts";
import type { SourceBody } from "../../../plan/dataflow.ts";
import { type CheckpointOptions, type CheckpointRecord, Checkpointer, type SnapshotSaver } from "../../continuous/checkpointer.ts";
import { JobLoop } from "../../continuous/job-loop.ts";
import { SplitAssigner } from "../../continuous/split-assigner.ts";
import type { RestoredSource } from "../../continuous/split-book.ts";
import { buildTask } from "../../task/build-task.ts";
import type { Task } from "../../task/task.ts";
import type { TaskParts } from "../../task/task-parts.ts";
import { BatchInputs } from "./batch-inputs.ts";

export interface BatchTaskParts extends Omit<TaskParts, "wake"> {
  /** The run ends with what is there at its start. */
  readonly bounded: boolean;
  readonly saver: SnapshotSaver | undefined;
  readonly checkpoints: CheckpointOptions;
  /** The id of the first batch's checkpoint. */
  readonly nextCheckpointId: number;
  readonly restoredSources: ReadonlyMap<string, RestoredSource>;
  /** A background duty (base scans). */
  readonly background?: (task: Task) => void;
}

export class BatchTask {
  readonly task: Task;
  readonly inputs: BatchInputs;
  readonly #parts: BatchTaskParts;
  readonly #loop: JobLoop;
  readonly #signal: WakeFlag;
  readonly #checkpointer: Checkpointer;
  readonly #assigners: SplitAssigner[] = [];
  #turned = false;
  #isAborted: () => boolean = () => false;

  private constructor(parts: BatchTaskParts, task: Task, inputs: BatchInputs, signal: WakeFlag) {
    this.#parts = parts;
    this.task = task;
    this.inputs = inputs;
    this.#signal = signal;
    this.#loop = new JobLoop(task, parts.clock, signal, {
      betweenBatches: () => this.#betweenBlocks(),
      isComplete: ({ uid }) => inputs.isComplete(uid),
      finished: () => "leave",
    });
    this.#checkpointer = new Checkpointer({
      ...{ task, saver: parts.saver, clock: parts.clock, log: parts.log, nextId: parts.nextCheckpointId },
      // One comes with each batch, and none by itself.
      options: { ...parts.checkpoints, intervalMs: Infinity },
      assigners: () => this.#assigners,
      fail: (error) => this.#loop.fail(error),
      settled: () => {},
    });
  }

  /** Builds and restores all instances. Rejects with what one of them refuses; everything is closed then. */
  static async open(parts: BatchTaskParts): Promise<BatchTask> {
    const signal = new WakeFlag();
    const inputs = new BatchInputs(parts.dataflow, parts.clock, parts.bounded);
    const task = await buildTask({ ...parts, dataflow: inputs.dataflow, wake: () => signal.wake() });
    const opened = new BatchTask(parts, task, inputs, signal);
    try {
      for (const node of inputs.dataflow.nodes) {
        if (node.body.kind !== "source") continue;
        const readers = task.sources.filter((source) => source.uid === node.uid);
        const source = node as typeof node & { readonly body: SourceBody };
        const failed = (error: unknown): void => opened.#loop.fail(error);
        opened.#assigners.push(await SplitAssigner.open(source, readers, parts, parts.restoredSources.get(node.uid), failed));
      }
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** Event time before the next batch: the least of the sources that have not ended; -Infinity for none yet. */
  get watermarkMs(): number {
    const open = this.task.sources.filter(({ ended }) => !ended);
    return open.length === 0 ? Infinity : Math.min(...open.map(({ watermarkMs }) => watermarkMs));
  }

  /** Something is due that needs no records: a timer, a source's end, a split that has fallen silent. */
  isDue(nowMs: number): boolean {
    const { operators, sources } = this.task;
    if (operators.some(({ instance }) => (instance.operator.nextWakeMs?.() ?? Infinity) <= nowMs)) return true;
    return sources.some((source) => source.hasNews || (!source.ended && this.inputs.isComplete(source.uid)));
  }

  /** When the next timer of processing time is due, ms. */
  get nextWakeMs(): number {
    return Math.min(Infinity, ...this.task.operators.map(({ instance }) => instance.operator.nextWakeMs?.() ?? Infinity));
  }

  /** Takes everything that was planned through the instances, and what follows from it. False when it was given up. */
  async process(isAborted: () => boolean): Promise<boolean> {
    this.#turned = false;
    this.#isAborted = isAborted;
    await this.#loop.run();
    return !isAborted();
  }

  /** Cuts behind the batch, publishes the cut, and lets the sinks commit. */
  checkpoint(): Promise<CheckpointRecord> {
    return this.#checkpointer.take(undefined);
  }

  /** Ends a wait of the batch under way, so that it sees that it is given up. */
  wake(): void {
    this.#signal.wake();
  }

  #betweenBlocks(): "go" | "leave" {
    if (this.#isAborted()) return "leave";
    this.#parts.background?.(this.task);
    for (const source of this.task.sources) source.rowsAtHand(this.inputs.waitingSplits(source.reader));
    if (this.#turned && this.#isThrough()) return "leave";
    // Timers, silent splits and ends of splits are seen by a turn without records, behind which the loop must not rest.
    if (!this.#turned || (this.inputs.hasNoBlocks && !this.task.busy)) setImmediate(() => this.#signal.wake());
    this.#turned = true;
    return "go";
  }

  #isThrough(): boolean {
    const { busy, isReplaying, sources } = this.task;
    if (!this.inputs.isDrained || busy || isReplaying) return false;
    return !sources.some((source) => !source.ended && this.inputs.isComplete(source.uid));
  }

  async close(): Promise<void> {
    this.#checkpointer.stop();
    await this.#checkpointer.settled();
    for (const assigner of this.#assigners) await assigner.close();
    await this.task.close();
  }
}
