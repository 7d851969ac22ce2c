// Writes a slice's part of a checkpoint to the snapshot storage, again and again until it is there.
import { systemClock } from "../../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import type { CheckpointUpload, SubtaskSnapshot } from "../../../checkpoint/upload/checkpoint-upload.ts";
import type { Uploader } from "../../../checkpoint/upload/uploader.ts";
import type { TaskCapture } from "../../task/captures.ts";

/** Nothing that trying again could mend. */
const fatalCodes: ReadonlySet<string> = new Set([
  "FENCED",
  "KAFKA_FENCED",
  "KAFKA_TRANSACTION_LOST",
  "STORAGE_DENIED",
  "CHECKPOINT_BACKLOG",
]);

export function isFatalForCheckpoints(error: unknown): boolean {
  return error instanceof MillraceError && fatalCodes.has(error.code);
}

const firstPauseMs = 1000;
const mostPauseMs = 30_000;

export interface RetryParts {
  readonly isOver: () => boolean;
  readonly onFailure: (reason: string, fatal: boolean) => void;
}

/** Tries until it succeeds, with growing pauses; undefined when the slice ended before. Rejects with a failure that cannot be mended. */
export async function untilDone<T>(attempt: () => Promise<T>, { isOver, onFailure }: RetryParts): Promise<T | undefined> {
  for (let pauseMs = firstPauseMs; !isOver(); pauseMs = Math.min(mostPauseMs, pauseMs * 2)) {
    try {
      return await attempt();
    } catch (error) {
      const fatal = isFatalForCheckpoints(error);
      onFailure(isMillraceError(error) ? `${error.code}: ${error.message}` : messageOf(error), fatal);
      if (fatal) throw error;
    }
    await new Promise<void>((resolve) => {
      systemClock.after(pauseMs, resolve);
    });
  }
  return undefined;
}

/** Which kind and how many instances an operator has. */
export interface OperatorFacts {
  kind(uid: string): string;
  parallelism(uid: string): number;
}

/**
 * One attempt to write a capture, with what its sinks prepared, in their order. A later attempt may bring the same capture again.
 */
export async function uploadCapture(
  uploader: Uploader,
  checkpointId: number,
  capture: TaskCapture,
  prepared: readonly Uint8Array[],
  facts: OperatorFacts,
): Promise<{ readonly ack: UploadAck; readonly upload: CheckpointUpload }> {
  const upload = uploader.begin(checkpointId);
  try {
    for (const subtask of subtaskSnapshots(capture, prepared, facts)) await upload.addSubtask(subtask);
    return { ack: await upload.finish(), upload };
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

function subtaskSnapshots(capture: TaskCapture, prepared: readonly Uint8Array[], facts: OperatorFacts): readonly SubtaskSnapshot[] {
  const operators = capture.operators.map(({ uid, subtask, parallelism, keyGroups, keyed, lists, watermarkMs }) => {
    const state = keyed === undefined ? {} : { keyGroups, keyed };
    return { uid, kind: facts.kind(uid), subtask, parallelism, lists, watermarkMs, ...state };
  });
  const sources = capture.sources.map(({ uid, subtask, splits, splitWatermarks }) => {
    const withTimes = splits.map((split) => ({ split, watermarkMs: splitWatermarks.get(split.id) ?? Number.NEGATIVE_INFINITY }));
    return { uid, kind: facts.kind(uid), subtask, parallelism: facts.parallelism(uid), splits: withTimes };
  });
  const sinks = capture.sinks.map(({ uid, subtask, parallelism, lists }, index) => {
    return { uid, kind: facts.kind(uid), subtask, parallelism, lists, sinkState: prepared[index] as Uint8Array };
  });
  return [...operators, ...sources, ...sinks];
}
