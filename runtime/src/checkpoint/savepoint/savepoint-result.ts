// What became of a savepoint, as it is kept beside it for clients that died before they heard.
import { isMillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { Manifest } from "../format/manifest.ts";
import { decodeManifest } from "../format/manifest-codec.ts";
import { count, number, objectWith, parseShape, type Shape, text } from "../format/shape.ts";
import { snapshotCorrupt } from "../format/snapshot-errors.ts";
import { manifestPath, savepointFolder, savepointResultFolder } from "../store/layout.ts";

export interface SavepointResult {
  readonly id: string;
  readonly url: string;
  readonly checkpointId: number;
  readonly totalBytes: number;
  /** Of the manifest. */
  readonly formatVersion: number;
  /** When the checkpoint that it was made of was complete: nothing that happened later is in it. */
  readonly cutAtMs: number;
  readonly completedAtMs: number;
}

// What an earlier version wrote does not have the times.
type StoredResult = Pick<SavepointResult, "id" | "url" | "checkpointId" | "totalBytes"> & Partial<SavepointResult>;
const storedShape: Shape<StoredResult> = objectWith(
  { id: text, url: text, checkpointId: count, totalBytes: count },
  { formatVersion: count, cutAtMs: number, completedAtMs: number },
);

/** `cut` is the manifest of the checkpoint under it, or the savepoint's own. */
export function timesOf(manifest: Manifest, cut: Manifest): Pick<SavepointResult, "formatVersion" | "cutAtMs" | "completedAtMs"> {
  const { formatVersion, createdAt } = manifest;
  return { formatVersion, cutAtMs: Date.parse(cut.createdAt), completedAtMs: Date.parse(createdAt) };
}

/** What came of the savepoint with this id; undefined when there is none, or it was disposed of. `jobFolder` has a slash at its end. Rejects with SNAPSHOT_CORRUPT. */
export async function savepointResult(storage: SnapshotStorage, jobFolder: string, id: string): Promise<SavepointResult | undefined> {
  try {
    const file = `${jobFolder}${savepointResultFolder}${id}.json`;
    const { content } = await storage.get(file);
    const result = parseShape(storedShape, content, `${storage.url}/${file}`, (problem) =>
      snapshotCorrupt(`${storage.url}/${file}`, 0, problem),
    );
    const path = manifestPath(`${jobFolder}${savepointFolder}${id}/`);
    const manifest = decodeManifest((await storage.get(path)).content, `${storage.url}/${path}`);
    return { ...timesOf(manifest, manifest), ...result };
  } catch (error) {
    if (isMillraceError(error, "OBJECT_MISSING")) return undefined;
    throw error;
  }
}
