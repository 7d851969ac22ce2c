// One run of a job in this process: from a restored snapshot (or nothing) until it ends, is stopped, or fails.
import { MillraceError } from "../../base/errors.ts";
import { WakeFlag } from "../../base/wake-flag.ts";
import type { DataflowNode, SourceBody } from "../../plan/dataflow.ts";
import { buildTask } from "../task/build-task.ts";
import type { SourceInstance } from "../task/source-instance.ts";
import type { Task } from "../task/task.ts";
import type { TaskParts } from "../task/task-parts.ts";
import { type CheckpointOptions, type CheckpointRecord, Checkpointer, type SnapshotSaver } from "./checkpointer.ts";
import { JobLoop } from "./job-loop.ts";
import { SplitAssigner } from "./split-assigner.ts";
import type { RestoredSource } from "./split-book.ts";

/** `keep`: the job goes on. `stop`: it ends at the cut, with no output after it. `drain`: windows are flushed first, as at the end of the input. */
export type SavepointMode = "keep" | "stop" | "drain";

export type RunOutcome = "ended" | "stopped" | "drained";

export interface JobRunParts extends Omit<TaskParts, "wake"> {
  readonly saver: SnapshotSaver | undefined;
  readonly checkpoints: CheckpointOptions;
  /** The id of the first checkpoint of this run. */
  readonly nextCheckpointId: number;
  readonly restoredSources: ReadonlyMap<string, RestoredSource>;
  /** A background duty between batches (base scans); true when it did something. */
  readonly background?: (task: Task) => void;
}

interface Request {
  readonly mode: SavepointMode | "checkpoint";
  readonly id: string | undefined;
  readonly resolve: (record: CheckpointRecord) => void;
  readonly reject: (error: unknown) => void;
}

export class JobRun {
  readonly task: Task;
  readonly loop: JobLoop;
  readonly checkpointer: Checkpointer;
  /** Settles with how the run ended; rejects with why it failed. Everything is closed by then. */
  done!: Promise<RunOutcome>;
  readonly #assigners: SplitAssigner[] = [];
  readonly #background: ((task: Task) => void) | undefined;
  readonly #requests: Request[] = [];
  #leaving: RunOutcome | undefined;
  #draining: Request | undefined;
  #closed = false;

  private constructor(parts: JobRunParts, task: Task, signal: WakeFlag) {
    this.task = task;
    this.#background = parts.background;
    this.loop = new JobLoop(task, parts.clock, signal, {
      betweenBatches: () => this.#betweenBatches(),
      isComplete: (source) => this.#isComplete(source),
      finished: () => "leave",
    });
    this.checkpointer = new Checkpointer({
      task,
      assigners: () => this.#assigners,
      saver: parts.saver,
      options: parts.checkpoints,
      clock: parts.clock,
      log: parts.log,
      nextId: parts.nextCheckpointId,
      fail: (error) => this.loop.fail(error),
      settled: () => signal.wake(),
    });
  }

  /** Builds and restores all instances, then starts. Rejects when something cannot be opened or restored; nothing runs then. */
  static async start(parts: JobRunParts): Promise<JobRun> {
    const signal = new WakeFlag();
    const task = await buildTask({ ...parts, wake: () => signal.wake() });
    const run = new JobRun(parts, task, signal);
    try {
      await run.#openSources(parts);
    } catch (error) {
      await run.#close();
      throw error;
    }
    run.done = run.#run();
    // Whoever started the run awaits `done`; until then a failure must not count as unhandled.
    run.done.catch(() => {});
    return run;
  }

  /** Takes a checkpoint or a savepoint. Settles when it is published and committed. */
  snapshot(mode: SavepointMode | "checkpoint", id?: string): Promise<CheckpointRecord> {
    if (this.#closed || this.#leaving !== undefined || this.#draining !== undefined) {
      return Promise.reject(
        new MillraceError("JOB_STOPPING", "the job", "is stopping already", "wait for it to end, and read its last checkpoint"),
      );
    }
    return new Promise((resolve, reject) => {
      this.#requests.push({ mode, id, resolve, reject });
      this.loop.signal.wake();
    });
  }

  async #run(): Promise<RunOutcome> {
    try {
      const how = await this.loop.run();
      if (how === "left") return this.#leaving ?? "stopped";
      await this.#finish();
      return this.#draining === undefined ? "ended" : "drained";
    } finally {
      this.#closed = true;
      this.checkpointer.stop();
      for (const request of this.#requests.splice(0))
        request.reject(new MillraceError("JOB_STOPPING", "the job", "has ended", "start it again"));
      await this.#close();
    }
  }

  async #openSources(parts: JobRunParts): Promise<void> {
    for (const node of parts.dataflow.nodes) {
      if (!isSource(node)) continue;
      const readers = this.task.sources.filter((source) => source.uid === node.uid);
      this.#assigners.push(
        await SplitAssigner.open(node, readers, parts, parts.restoredSources.get(node.uid), (error) => this.loop.fail(error)),
      );
    }
  }

  #isComplete(source: SourceInstance): boolean {
    const assigner = this.#assigners.find((candidate) => candidate.uid === source.uid);
    return this.#draining !== undefined || (assigner?.exhausted === true && source.exhausted);
  }

  #betweenBatches(): "go" | "hold" | "leave" {
    // After the cut of a stop nothing is processed any more: no output follows it.
    if (this.#leaving !== undefined) return this.checkpointer.inFlight ? "hold" : "leave";
    this.#background?.(this.task);
    if (this.checkpointer.inFlight || this.#draining !== undefined) return "go";
    const request = this.#requests.shift();
    if (request === undefined) {
      this.checkpointer.tick();
      return "go";
    }
    if (request.mode === "drain") {
      // The loop ends all sources, everything flows out, and `#finish` takes the savepoint.
      this.#draining = request;
      return "go";
    }
    this.#answer(request, this.checkpointer.take(request.id));
    if (request.mode !== "stop") return "go";
    this.#leaving = "stopped";
    return "hold";
  }

  #answer(request: Request, taken: Promise<CheckpointRecord>): void {
    taken.then(
      (record) => request.resolve(record),
      (error: unknown) => {
        request.reject(error);
        this.loop.fail(error);
      },
    );
  }

  // The end of the input, or of a drain: a last checkpoint makes the last output visible.
  async #finish(): Promise<void> {
    await this.checkpointer.settled();
    const request = this.#draining;
    try {
      const record = await this.checkpointer.take(request?.id);
      request?.resolve(record);
    } catch (error) {
      request?.reject(error);
      throw error;
    }
  }

  async #close(): Promise<void> {
    await this.checkpointer.settled();
    for (const assigner of this.#assigners) await assigner.close();
    await this.task.close();
  }
}

function isSource(node: DataflowNode): node is DataflowNode & { readonly body: SourceBody } {
  return node.body.kind === "source";
}
