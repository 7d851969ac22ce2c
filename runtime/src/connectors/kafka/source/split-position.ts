// What a snapshot stores of a partition: where it goes on, in which log, and where it ends if it does.
import { MillraceError } from "../../../base/errors.ts";
import type { SourceSplit } from "../../../core/ports/source.ts";

export interface SplitPosition {
  /** The next record to read. */
  readonly offset: number;
  /** Leader epoch of the last record read, -1 for none: tells whether the log still holds it (KIP-320). */
  readonly leaderEpoch: number;
  /** Empty where it was not known. */
  readonly topicId: string;
  /** The first offset that is not read any more; only of bounded sources. */
  readonly endOffset?: number;
}

export interface PartitionSplit extends SplitPosition {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Throws POSITION_INVALID for what is not a position of this connector. */
export function partitionSplit(split: SourceSplit, uid: string): PartitionSplit {
  const match = /^(.+)-(\d+)$/.exec(split.id);
  const { offset, leaderEpoch = -1, topicId = "", endOffset } = (split.position ?? {}) as Partial<SplitPosition>;
  const valid =
    match !== null &&
    isOffset(offset) &&
    Number.isInteger(leaderEpoch) &&
    typeof topicId === "string" &&
    (endOffset === undefined || isOffset(endOffset));
  if (!valid) {
    const problem = `split ${split.id} at ${JSON.stringify(split.position)} is not a Kafka partition with an offset`;
    throw new MillraceError("POSITION_INVALID", `kafka source ${uid}`, problem, "restore a snapshot of this source, or rename its uid");
  }
  return {
    id: split.id,
    topic: match[1] as string,
    partition: Number(match[2]),
    offset,
    leaderEpoch,
    topicId,
    ...(endOffset === undefined ? {} : { endOffset }),
  };
}
