// The errors of keyed state that several files raise.
import { MillraceError } from "../base/errors.ts";

/** Stored state that is not what a block of state is: truncated, damaged, or of another format. */
export function corruptState(subject: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError("STATE_CORRUPT", subject, problem, "restore from another snapshot; this one was damaged where it is stored", {
    cause,
  });
}

/** Stored state that today's tables cannot take. */
export function incompatibleState(subject: string, problem: string, next: string): MillraceError {
  return new MillraceError("STATE_SCHEMA_INCOMPATIBLE", subject, problem, next);
}

/** A stored table that the operator no longer declares. */
export function unknownTable(uid: string, name: string): MillraceError {
  return new MillraceError(
    "STATE_TABLE_UNKNOWN",
    `state table "${name}" of ${uid}`,
    "it is in the snapshot, but the operator no longer declares it",
    "declare it again, or start with allowNonRestoredState to drop it",
  );
}
