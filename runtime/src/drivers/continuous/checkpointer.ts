// When checkpoints happen and what they go through: cut, prepared, published, committed. One at a time, in order.
import type { Clock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import { releaseCapture, type TaskCapture } from "../task/captures.ts";
import type { Task } from "../task/task.ts";
import type { SplitAssigner } from "./split-assigner.ts";

/** The whole job's state at one instant, with everything the sinks need to commit later. */
export interface JobCapture {
  readonly checkpointId: number;
  readonly task: TaskCapture;
  readonly enumerators: ReadonlyMap<string, { readonly state: unknown; readonly known: readonly string[] }>;
  /** By uid, one entry per sink instance in order of the subtask. */
  readonly sinkStates: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** A published snapshot. */
export interface SavedSnapshot {
  readonly location: string;
  /** Bytes written for this snapshot: what changed. */
  readonly writtenBytes: number;
  /** Bytes of all data that the snapshot refers to. */
  readonly totalBytes: number;
}

/** Where captures go; absent for a job without snapshot storage. */
export interface SnapshotSaver {
  /** A barrier has just captured the task; called synchronously. */
  captured(capture: Pick<JobCapture, "checkpointId" | "task">, task: Task): void;
  save(capture: JobCapture): Promise<SavedSnapshot>;
  /** Makes a self-contained copy of a checkpoint that was just saved. */
  savepoint(checkpointId: number, id: string): Promise<SavepointResult>;
  markCommitted(checkpointId: number, savepointId?: string): Promise<void>;
}

export type CheckpointPhase = "writing" | "committing" | "completed" | "failed";

/** One checkpoint as `/v1/checkpoints` shows it. */
export interface CheckpointRecord {
  readonly id: number;
  phase: CheckpointPhase;
  readonly triggeredAtMs: number;
  readonly savepointId: string | undefined;
  /** The copy that was made of it, of a job in one process. */
  savepoint?: SavepointResult;
  /** How long processing stood still for the cut, ms; of a job on several slots the longest of them. */
  cutMs: number;
  durationMs: number | undefined;
  location: string | undefined;
  writtenBytes: number;
  totalBytes: number;
  /** Why attempts failed, the last few. */
  readonly failures: string[];
  /** Of a job on several slots: the longest time between the first and the last barrier at a slice, ms. */
  alignmentMs?: number;
  /** The longest upload of a slice, ms. */
  uploadMs?: number;
  /** Bytes of rows in flight that are part of it. */
  inFlightBytes?: number;
  /** Barriers overtook rows. */
  unaligned?: boolean;
}

export interface CheckpointOptions {
  /** Time between the starts of two checkpoints, ms; Infinity for none but the last. */
  readonly intervalMs: number;
  /** The least time between the end of one and the start of the next, ms. */
  readonly minPauseMs: number;
  /** How many attempts to write or commit one checkpoint may fail before the job fails. */
  readonly tolerableFailures: number;
  /** How long one may take, ms: each time that passes counts as a failed attempt, while it goes on. Default Infinity. */
  readonly timeoutMs?: number;
}

// Between two attempts: 1 s, 2 s, 4 s ... up to this.
const maxRetryMs = 30_000;
// Nothing that a retry could mend.
const fatalCodes: ReadonlySet<string> = new Set(["FENCED", "KAFKA_FENCED", "KAFKA_TRANSACTION_LOST", "STORAGE_DENIED"]);

const historyLength = 50;

export class Checkpointer {
  readonly history: CheckpointRecord[] = [];
  readonly #task: Task;
  readonly #assigners: () => readonly SplitAssigner[];
  readonly #saver: SnapshotSaver | undefined;
  readonly #options: CheckpointOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #fail: (error: unknown) => void;
  readonly #settled: () => void;
  #nextId: number;
  #dueMs: number;
  #running: Promise<CheckpointRecord> | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(parts: {
    readonly task: Task;
    readonly assigners: () => readonly SplitAssigner[];
    readonly saver: SnapshotSaver | undefined;
    readonly options: CheckpointOptions;
    readonly clock: Clock;
    readonly log: Log;
    readonly nextId: number;
    readonly fail: (error: unknown) => void;
    /** Called when a checkpoint is no longer under way: what waits for that may begin. */
    readonly settled: () => void;
  }) {
    this.#task = parts.task;
    this.#assigners = parts.assigners;
    this.#saver = parts.saver;
    this.#options = parts.options;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#fail = parts.fail;
    this.#settled = parts.settled;
    this.#nextId = parts.nextId;
    this.#dueMs = parts.clock.now() + parts.options.intervalMs;
  }

  get inFlight(): boolean {
    return this.#running !== undefined;
  }

  /** The last completed checkpoint. */
  get last(): CheckpointRecord | undefined {
    return this.history.findLast((record) => record.phase === "completed");
  }

  /** Called between batches: starts a checkpoint when its time has come and none is under way. */
  tick(): void {
    if (this.#running !== undefined || this.#clock.now() < this.#dueMs) return;
    this.#start(undefined).catch((error: unknown) => this.#fail(error));
  }

  /** Takes a checkpoint now, after the one under way; with an id also a savepoint. Must be called between batches. */
  async take(savepointId: string | undefined): Promise<CheckpointRecord> {
    if (this.#running !== undefined) throw new Error("a checkpoint is under way: wait for `settled` first");
    return this.#start(savepointId);
  }

  /** Settles when no checkpoint is under way, whatever became of it. */
  async settled(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  #start(savepointId: string | undefined): Promise<CheckpointRecord> {
    const id = this.#nextId++;
    const triggeredAtMs = this.#clock.now();
    this.#dueMs = triggeredAtMs + this.#options.intervalMs;
    const startedMs = performance.now();
    const capture = this.#task.capture(id);
    this.#saver?.captured({ checkpointId: id, task: capture }, this.#task);
    const enumerators = new Map(
      this.#assigners().map((assigner) => [assigner.uid, { state: assigner.enumeratorState(), known: assigner.knownSplits() }]),
    );
    const record: CheckpointRecord = {
      id,
      phase: "writing",
      triggeredAtMs,
      savepointId,
      cutMs: performance.now() - startedMs,
      durationMs: undefined,
      location: undefined,
      writtenBytes: 0,
      totalBytes: 0,
      failures: [],
    };
    this.history.push(record);
    if (this.history.length > historyLength) this.history.shift();
    const { tooLate, end } = this.#watchTime(record);
    this.#running = Promise.race([this.#complete(record, capture, enumerators), tooLate]).finally(() => {
      end();
      this.#running = undefined;
      record.durationMs = performance.now() - startedMs;
      this.#dueMs = Math.max(this.#dueMs, this.#clock.now() + this.#options.minPauseMs);
      this.#settled();
    });
    return this.#running;
  }

  // A storage that neither answers nor fails must not let the job run on without checkpoints and without a word. Who comes after takes a new
  // epoch, so what an abandoned checkpoint still writes is fenced off.
  #watchTime(record: CheckpointRecord): { readonly tooLate: Promise<never>; readonly end: () => void } {
    const { timeoutMs = Infinity, tolerableFailures } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    let late = 0;
    let cancel = (): void => {};
    const wait = (): void => {
      cancel = this.#clock.after(timeoutMs, () => {
        const reason = `not complete within ${formatDuration(timeoutMs)}, still ${record.phase}`;
        noteFailure(record, reason);
        this.#log.warn("checkpoint is late", { checkpointId: record.id, phase: record.phase, failures: ++late });
        if (late <= tolerableFailures) return wait();
        record.phase = "failed";
        const error = checkpointFailed(record, reason);
        reject(error);
        this.#fail(error);
      });
    };
    if (timeoutMs !== Infinity) wait();
    return { tooLate: promise, end: () => cancel() };
  }

  async #complete(record: CheckpointRecord, task: TaskCapture, enumerators: JobCapture["enumerators"]): Promise<CheckpointRecord> {
    try {
      const sinkStates = new Map<string, Uint8Array[]>();
      for (const sink of task.sinks) {
        const states = sinkStates.get(sink.uid) ?? [];
        states[sink.subtask] = await sink.prepared;
        sinkStates.set(sink.uid, states);
      }
      await this.#save(record, { checkpointId: record.id, task, enumerators, sinkStates });
      record.phase = "committing";
      await this.#commit(record, task);
      record.phase = "completed";
    } catch (error) {
      record.phase = "failed";
      throw error;
    }
    this.#log.debug("checkpoint completed", { checkpointId: record.id, cutMs: record.cutMs, writtenBytes: record.writtenBytes });
    return record;
  }

  async #save(record: CheckpointRecord, capture: JobCapture): Promise<void> {
    if (this.#saver === undefined) {
      releaseCapture(capture.task);
      if (record.savepointId !== undefined) this.#requireSaver();
      return;
    }
    const saver = this.#saver;
    // What was captured cannot be captured again, so the same checkpoint is written until it succeeds; processing goes on meanwhile.
    const saved = await this.#persist(record, "write", () => saver.save(capture));
    record.location = saved.location;
    record.writtenBytes = saved.writtenBytes;
    record.totalBytes = saved.totalBytes;
    const { savepointId } = record;
    if (savepointId === undefined) return;
    const savepoint = await this.#persist(record, "savepoint", () => saver.savepoint(record.id, savepointId));
    record.location = savepoint.url;
    record.savepoint = savepoint;
  }

  async #commit(record: CheckpointRecord, task: TaskCapture): Promise<void> {
    await this.#persist(record, "commit", () => Promise.all(this.#task.sinks.map((sink) => sink.writer.commit(record.id))));
    const saver = this.#saver;
    if (saver !== undefined) await this.#persist(record, "commit", () => saver.markCommitted(record.id, record.savepointId));
    for (const [index, source] of this.#task.sources.entries()) {
      // Only tells the outside how far the job is; losing it loses nothing.
      await source.reader.checkpointCompleted?.(task.sources[index]?.splits ?? []).catch((error: unknown) => {
        this.#log.warn("source was not told of the checkpoint", { uid: source.uid, reason: messageOf(error) });
      });
    }
  }

  // Tries again with growing pauses, as often as the options tolerate.
  async #persist<T>(record: CheckpointRecord, step: string, attempt: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        const reason = `${step}: ${messageOf(error)}`;
        noteFailure(record, reason);
        this.#log.warn("checkpoint attempt failed", { checkpointId: record.id, step, reason: messageOf(error), failures });
        const fatal = error instanceof MillraceError && fatalCodes.has(error.code);
        if (fatal || this.#stopped || failures > this.#options.tolerableFailures) {
          throw checkpointFailed(record, reason, error);
        }
        await this.#pause(Math.min(maxRetryMs, 1000 * 2 ** (failures - 1)));
      }
    }
  }

  /** No further attempts: the job is going down. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(pauseMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  #requireSaver(): SnapshotSaver {
    if (this.#saver === undefined) {
      throw new MillraceError(
        "SAVEPOINT_NO_STORAGE",
        "savepoint",
        "the job has no snapshot storage",
        "set checkpoint.storage to a file:// or s3:// URL",
      );
    }
    return this.#saver;
  }
}

function noteFailure(record: CheckpointRecord, reason: string): void {
  record.failures.push(reason);
  if (record.failures.length > 10) record.failures.shift();
}

function checkpointFailed(record: CheckpointRecord, reason: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "CHECKPOINT_FAILED",
    `checkpoint ${record.id}`,
    reason,
    "mend the cause; the job goes on from the last complete one",
    cause === undefined ? {} : { cause },
  );
}
