// The errors of reading snapshots, in one wording.
import { isMillraceError, MillraceError } from "../../base/errors.ts";

/** A file of a snapshot that is damaged, cut off or gone. `at` is the byte offset of what was being read. */
export function snapshotCorrupt(file: string, at: number, problem: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "SNAPSHOT_CORRUPT",
    `${file} at byte ${at}`,
    problem,
    "start from another snapshot of `millrace savepoint list`; this one was damaged where it is stored",
    { cause },
  );
}

/** Turns the storage's word for a file that is gone into the snapshot's. */
export function missingIsCorrupt(file: string, error: unknown): unknown {
  return isMillraceError(error, "OBJECT_MISSING") ? snapshotCorrupt(file, 0, "the file is missing", error) : error;
}
