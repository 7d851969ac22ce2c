// That a run of a query is over for good: written before anybody is told, so that a driver of it that starts again does not go on.
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import { count, object, type Shape, text } from "../../../checkpoint/format/shape.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import { readLogFile } from "./read-log-file.ts";

interface RunEnd {
  readonly run: number;
  readonly savepoint: string;
}

const endShape: Shape<RunEnd> = object({ run: count, savepoint: text });
const path = (folder: string): string => `${folder}ended.json`;

export async function writeRunEnd(storage: SnapshotStorage, folder: string, end: RunEnd): Promise<void> {
  await storage.put(path(folder), Buffer.from(`${JSON.stringify(end)}\n`));
}

/** Throws QUERY_ENDED where this run was stopped with a savepoint, and QUERY_LOG_CORRUPT where that cannot be told. */
export async function checkRunEnd(storage: SnapshotStorage, folder: string, run: number): Promise<void> {
  let end: RunEnd;
  try {
    end = await readLogFile(storage, path(folder), endShape);
  } catch (error) {
    if (isMillraceError(error, "OBJECT_MISSING")) return;
    throw error;
  }
  if (end.run !== run) return;
  throw new MillraceError(
    "QUERY_ENDED",
    `run ${run} of the query at ${storage.url}/${folder}`,
    `was stopped with savepoint ${end.savepoint}`,
    "start a run with a higher number from that savepoint",
  );
}
