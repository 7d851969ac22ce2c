// Positions that the log can no longer continue from: how they are told from positions that it only cannot give yet, and their errors.
import { MillraceError } from "../../../base/errors.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import type { Isolation } from "../wire/offset-apis.ts";

/** What to do when the log no longer holds the offset to go on from: stop with an error, or go on from an end and lose the gap. */
export type OutOfRangePolicy = "fail" | "earliest" | "latest";

interface LostPosition {
  readonly splitId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * Where to go on from a position that a broker said is out of range: undefined to try again, because the log does hold it, or may
 * yet (`patient`); else the offset that the policy gives. Rejects with KAFKA_OFFSET_OUT_OF_RANGE where the policy is to fail.
 */
export async function findLostOffset(
  client: KafkaClient,
  { splitId, topic, partition, offset }: LostPosition,
  policy: OutOfRangePolicy,
  isolation: Isolation,
  patient: boolean,
): Promise<number | undefined> {
  const offsetAt = async (at: "earliest" | "latest", seen: Isolation): Promise<number> => {
    const [found] = await client.listOffsets([{ topic, partition, at }], seen);
    return found?.offset ?? 0;
  };
  const start = await offsetAt("earliest", "read_uncommitted");
  const end = await offsetAt("latest", "read_uncommitted");
  if (offset >= start && (offset <= end || patient)) return undefined;
  if (policy === "fail") throw offsetOutOfRange(splitId, offset, start, end);
  return policy === "earliest" ? start : offsetAt("latest", isolation);
}

function offsetOutOfRange(splitId: string, offset: number, start: number, end: number): MillraceError {
  return new MillraceError(
    "KAFKA_OFFSET_OUT_OF_RANGE",
    `split ${splitId}`,
    `offset ${offset} is not in the log, which holds ${start} to ${end}`,
    "set onOffsetOutOfRange to earliest or latest to go on without what is gone, or start from a newer savepoint",
  );
}

export function logTruncated(
  splitId: string,
  offset: number,
  epoch: number,
  end: { readonly epoch: number; readonly endOffset: number },
): MillraceError {
  return new MillraceError(
    "KAFKA_LOG_TRUNCATED",
    `split ${splitId}`,
    `records up to offset ${offset} of leader epoch ${epoch} were read, but the log now ends epoch ${end.epoch} at offset ${end.endOffset}`,
    "an unclean leader election lost records: restore an older snapshot, or set onOffsetOutOfRange to earliest or latest to go on from there",
  );
}

export function topicRecreated(splitId: string, topic: string): MillraceError {
  return new MillraceError(
    "KAFKA_TOPIC_RECREATED",
    `split ${splitId}`,
    `topic ${topic} is not the one that was read before: it was deleted and created again`,
    "start without the old snapshot, or rename the source's uid so that its positions are not restored",
  );
}
