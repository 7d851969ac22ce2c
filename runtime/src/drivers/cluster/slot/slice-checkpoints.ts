// The checkpoints of one slice: triggered or heard of by a barrier, captured, written, acknowledged, committed. One at a time.
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { CheckpointUpload } from "../../../checkpoint/upload/checkpoint-upload.ts";
import type { Uploader } from "../../../checkpoint/upload/uploader.ts";
import { releaseCapture, type TaskCapture } from "../../task/captures.ts";
import type { CompleteCut } from "../../task/cuts.ts";
import type { Task } from "../../task/task.ts";
import type { CheckpointTimes, FinishedSplits, SliceAck, SlotEvent } from "../slot-protocol.ts";
import { type OperatorFacts, untilDone, uploadCapture } from "./slice-upload.ts";

export type After = "go" | "hold" | "drain";

type Told<E> = E extends unknown ? Omit<E, "slice"> : never;
/** An event without its slice. */
export type SliceNews = Told<SlotEvent>;

interface Pending {
  readonly checkpointId: number;
  after: After;
  /** When the leader has asked for it here; else a barrier came first. */
  triggeredMs: number | undefined;
  /** The sources have emitted the barrier. */
  emitted: boolean;
  capture: TaskCapture | undefined;
  upload: CheckpointUpload | undefined;
  ack: SliceAck | undefined;
  times: CheckpointTimes | undefined;
  committing: boolean;
}

export interface SliceCheckpointParts {
  readonly task: Task;
  readonly uploader: Uploader | undefined;
  readonly log: Log;
  readonly facts: OperatorFacts;
  readonly alignmentTimeoutMs: number;
  readonly onCaptured: (checkpointId: number, capture: TaskCapture) => void;
  readonly tell: (news: SliceNews) => void;
  readonly fail: (error: unknown) => void;
  readonly wake: () => void;
  readonly isOver: () => boolean;
}

export class SliceCheckpoints {
  committedId = 0;
  readonly #parts: SliceCheckpointParts;
  #pending: Pending | undefined;
  /** When the last one came to this slice, by `performance.now()`. */
  #begunMs: number | undefined;
  /** A checkpoint that ended the slice is committed. */
  #isOver = false;

  constructor(parts: SliceCheckpointParts) {
    this.#parts = parts;
    parts.task.cuts.onComplete = (cut) => this.#captured(cut);
  }

  /** The checkpoint that has begun here and is not committed. */
  get pending(): { readonly checkpointId: number; readonly after: After; readonly ack?: SliceAck } | undefined {
    if (this.#pending === undefined) return undefined;
    const { checkpointId, after, ack } = this.#pending;
    return { checkpointId, after, ...(ack === undefined ? {} : { ack }) };
  }

  /** Since the last one came to this slice, ms; undefined before the first. */
  get ageMs(): number | undefined {
    return this.#begunMs === undefined ? undefined : performance.now() - this.#begunMs;
  }

  /** The slice is to process nothing more: its part of a checkpoint that ends it is captured. */
  get isHolding(): boolean {
    return this.#isOver || (this.#pending?.capture !== undefined && this.#pending.after !== "go");
  }

  /** The sources of the slice are to end, so that everything flows out. */
  get isDraining(): boolean {
    return this.#pending?.after === "drain";
  }

  /** The leader wants a checkpoint. Asked again it is answered again. */
  trigger(checkpointId: number, after: After): void {
    if (checkpointId <= this.committedId) return this.#parts.tell({ kind: "committed", checkpointId });
    const pending = this.#begin(checkpointId);
    if (pending === undefined) return;
    pending.triggeredMs ??= performance.now();
    pending.after = after;
    if (pending.ack !== undefined) this.#acknowledge(pending);
    this.#parts.wake();
  }

  /** A barrier has come from another slot. */
  heardOf(checkpointId: number): void {
    if (checkpointId > this.committedId) this.#begin(checkpointId);
  }

  #begin(checkpointId: number): Pending | undefined {
    const pending = this.#pending;
    if (pending?.checkpointId === checkpointId) return pending;
    if (pending !== undefined) {
      this.#parts.fail(
        new MillraceError(
          "CHECKPOINT_OVERLAP",
          `checkpoint ${checkpointId}`,
          `it begins while checkpoint ${pending.checkpointId} is not committed`,
          "the job restarts from its last checkpoint; report it, for a leader never does this",
        ),
      );
      return undefined;
    }
    this.#begunMs = performance.now();
    this.#pending = {
      checkpointId,
      after: "go",
      triggeredMs: undefined,
      emitted: false,
      capture: undefined,
      upload: undefined,
      ack: undefined,
      times: undefined,
      committing: false,
    };
    return this.#pending;
  }

  /** Called between batches: emits the barrier when it is time, and lets it overtake what it has waited for too long. */
  step(nowMs: number): void {
    const { task, alignmentTimeoutMs } = this.#parts;
    const pending = this.#pending;
    if (pending?.triggeredMs !== undefined && !pending.emitted && nowMs >= this.#emitDueMs(pending)) {
      pending.emitted = true;
      task.trigger({ checkpointId: pending.checkpointId, sinceMs: nowMs, drain: pending.after === "drain" });
    }
    const barrier = task.cuts.last;
    if (barrier === undefined || barrier.drain || nowMs < barrier.sinceMs + alignmentTimeoutMs) return;
    if (task.cuts.current?.unaligned === false) task.cuts.overtake();
    for (const channel of task.exchange?.outbound ?? []) channel.force(barrier.checkpointId);
  }

  // Rows that a snapshot had in flight go first, but are not waited for longer than for others; a drain's barrier comes after the end of all
  // sources and all rows.
  #emitDueMs({ after, triggeredMs }: Pending): number {
    const { task, alignmentTimeoutMs } = this.#parts;
    if (triggeredMs === undefined) return Infinity;
    if (after === "drain") return !task.isReplaying && task.sources.every((source) => source.ended) ? triggeredMs : Infinity;
    return task.isReplaying ? triggeredMs + alignmentTimeoutMs : triggeredMs;
  }

  /** When `step` has to be called although nothing happens, by `performance.now()`. */
  get dueMs(): number {
    const { task, alignmentTimeoutMs } = this.#parts;
    const pending = this.#pending;
    const emitMs = pending === undefined || pending.emitted ? Infinity : this.#emitDueMs(pending);
    const barrier = task.cuts.last;
    if (barrier === undefined || barrier.drain) return emitMs;
    const waits =
      task.cuts.current?.unaligned === false ||
      (task.exchange?.outbound.some((channel) => channel.holdsBarrier(barrier.checkpointId)) ?? false);
    return Math.min(emitMs, waits ? barrier.sinceMs + alignmentTimeoutMs : Infinity);
  }

  #captured({ checkpointId, capture, times }: CompleteCut): void {
    const pending = this.#begin(checkpointId);
    if (pending === undefined) return;
    pending.capture = capture;
    this.#parts.onCaptured(checkpointId, capture);
    this.#write(pending, capture, times).catch((error: unknown) => this.#parts.fail(error));
    this.#parts.wake();
  }

  async #write(pending: Pending, capture: TaskCapture, cut: CompleteCut["times"]): Promise<void> {
    const { uploader, facts, tell, isOver } = this.#parts;
    const { checkpointId } = pending;
    const startedMs = performance.now();
    // What the sinks need to be able to commit is part of the checkpoint; a sink that cannot prepare cannot go on.
    const prepared = await Promise.all(capture.sinks.map((sink) => sink.prepared));
    const finishedSplits = capture.sources
      .filter(({ finished }) => finished.length > 0)
      .map(({ uid, subtask, finished }) => ({ uid, subtask, splitIds: finished }));
    const done =
      uploader === undefined
        ? { ack: { checkpointId, files: [], subtasks: [], writtenBytes: 0 }, upload: undefined }
        : await untilDone(() => uploadCapture(uploader, checkpointId, capture, prepared, facts), {
            isOver,
            onFailure: (reason, fatal) => tell({ kind: "uploadFailed", checkpointId, reason, fatal }),
          });
    if (done === undefined) return;
    if (uploader === undefined) releaseCapture(capture);
    pending.upload = done.upload;
    pending.ack = { checkpointId, ack: done.ack, finishedSplits };
    pending.times = { ...cut, uploadMs: performance.now() - startedMs };
    this.#acknowledge(pending);
  }

  #acknowledge({ ack, times }: Pending): void {
    if (ack !== undefined && times !== undefined) this.#parts.tell({ kind: "acknowledged", ...ack, times });
  }

  /** The checkpoint is published: its output becomes visible. */
  commit(checkpointId: number): void {
    if (checkpointId <= this.committedId) return this.#parts.tell({ kind: "committed", checkpointId });
    const pending = this.#pending;
    if (pending?.checkpointId !== checkpointId || pending.ack === undefined) {
      this.#parts.log.warn("a checkpoint is to be committed that is not acknowledged here", { checkpointId });
      return;
    }
    if (pending.committing) return;
    pending.committing = true;
    this.#commit(pending).catch((error: unknown) => this.#parts.fail(error));
  }

  async #commit(pending: Pending): Promise<void> {
    const { task, uploader, log, tell, isOver, wake } = this.#parts;
    const { checkpointId } = pending;
    const done = await untilDone(() => Promise.all(task.sinks.map((sink) => sink.writer.commit(checkpointId))), {
      isOver,
      onFailure: (reason, fatal) => tell({ kind: "commitFailed", checkpointId, reason, fatal }),
    });
    if (done === undefined) return;
    pending.upload?.settled();
    uploader?.confirm(checkpointId);
    for (const [index, source] of task.sources.entries()) {
      // Only tells the outside how far the job is; losing it loses nothing.
      await source.reader.checkpointCompleted?.(pending.capture?.sources[index]?.splits ?? []).catch((error: unknown) => {
        log.warn("source was not told of the checkpoint", { uid: source.uid, reason: messageOf(error) });
      });
    }
    this.committedId = checkpointId;
    this.#isOver ||= pending.after !== "go";
    this.#pending = undefined;
    tell({ kind: "committed", checkpointId });
    wake();
  }

  /** Splits that were read to their end up to now. */
  finishedSplits(): readonly FinishedSplits[] {
    return this.#parts.task.sources
      .filter((source) => source.finished.length > 0)
      .map((source) => ({ uid: source.uid, subtask: source.subtask, splitIds: [...source.finished] }));
  }
}
