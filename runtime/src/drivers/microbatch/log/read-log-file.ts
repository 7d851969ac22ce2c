// Reads a file of a query's folder: JSON that is checked, because people copy, restore and edit such folders.
import { MillraceError } from "../../../base/errors.ts";
import { parseShape, type Shape } from "../../../checkpoint/format/shape.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";

/** Rejects with OBJECT_MISSING, or with QUERY_LOG_CORRUPT for anything that is not of this shape. */
export async function readLogFile<T>(storage: SnapshotStorage, path: string, shape: Shape<T>): Promise<T> {
  const { content } = await storage.get(path);
  const file = `${storage.url}/${path}`;
  return parseShape(
    shape,
    content,
    file,
    (problem) =>
      new MillraceError(
        "QUERY_LOG_CORRUPT",
        file,
        `cannot be read: ${problem}`,
        "restore the file, or start anew with another checkpoint location",
      ),
  );
}
