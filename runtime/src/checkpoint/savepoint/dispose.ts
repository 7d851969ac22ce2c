// Deletes a snapshot for good, if nobody needs it.
import { isMillraceError, MillraceError } from "../../base/errors.ts";
import { referenceFolder } from "../store/borrowed-files.ts";
import { readPointer } from "../store/latest-pointer.ts";
import { checkpointIdOf, manifestPath, savepointResultFolder } from "../store/layout.ts";
import type { StoredSnapshot } from "../store/stored-snapshot.ts";

/**
 * Deletes a savepoint whole, or what is left of a checkpoint that its job does not list. Rejects with SNAPSHOT_IN_USE when a job
 * lists the checkpoint, or starts from the savepoint and has not copied it yet (`force` ignores that).
 */
export async function disposeSnapshot(snapshot: StoredSnapshot, options: { readonly force: boolean }): Promise<readonly string[]> {
  const { storage, folder, manifest } = snapshot;
  const parent = parentOf(folder);
  const inUse = (by: string, next: string): MillraceError => new MillraceError("SNAPSHOT_IN_USE", snapshot.url, by, next);
  const name = folder.slice(parent.length, -1);
  if (manifest.kind === "checkpoint") {
    const listed = (await readPointer(storage, parent))?.pointer.checkpoints ?? [];
    if (listed.some((entry) => entry.checkpointId === checkpointIdOf(name))) {
      throw inUse(
        "it is one of its job's checkpoints",
        "let the job's retention delete it, or take a savepoint and delete the job's folder",
      );
    }
  }
  const references: string[] = [];
  for await (const { path } of storage.list(`${folder}${referenceFolder}`)) references.push(path);
  if (references.length > 0 && !options.force) {
    const users = references
      .map((path) =>
        path
          .split("/")
          .at(-1)
          ?.replace(/\.json$/, ""),
      )
      .join(", ");
    throw inUse(
      `job ${users} starts from it and has no checkpoint of its own yet`,
      "wait for that job's first checkpoint, or use --force when the job is gone",
    );
  }
  const deleted = [manifestPath(folder)];
  // The manifest first: from then on the snapshot does not exist, and what remains is swept if this is interrupted.
  await storage.delete(deleted);
  const rest: string[] = [];
  // A checkpoint's data files lie elsewhere, where others share them; the sweep of its job deletes them.
  for await (const { path } of storage.list(folder)) rest.push(path);
  const result =
    manifest.kind === "savepoint" && manifest.savepointId !== undefined ? await resultPath(snapshot, manifest.savepointId) : undefined;
  await storage.delete([...rest, ...(result === undefined ? [] : [result])]);
  return [...deleted, ...rest, ...(result === undefined ? [] : [result])];
}

// Where the job noted the savepoint's result, if it lies in the job's folder still and was not moved.
async function resultPath({ storage, folder }: StoredSnapshot, savepointId: string): Promise<string | undefined> {
  const path = `${parentOf(parentOf(folder))}${savepointResultFolder}${savepointId}.json`;
  try {
    await storage.get(path);
    return path;
  } catch (error) {
    if (isMillraceError(error, "OBJECT_MISSING")) return undefined;
    throw error;
  }
}

function parentOf(folder: string): string {
  return folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
}
