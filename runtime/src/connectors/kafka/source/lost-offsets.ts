// The errors of a position that the log can no longer continue from.
import { MillraceError } from "../../../base/errors.ts";

export function offsetOutOfRange(splitId: string, offset: number, logStartOffset: number, highWatermark: number): MillraceError {
  const range = highWatermark < 0 ? "" : `, which holds ${logStartOffset} to ${highWatermark}`;
  return new MillraceError(
    "KAFKA_OFFSET_OUT_OF_RANGE",
    `split ${splitId}`,
    `offset ${offset} is not in the log${range}`,
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
