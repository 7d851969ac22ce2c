// A savepoint that several processes write side by side: each uploads the state of its instances, and one of them puts the manifest in place.
import { isMillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { encodeManifest } from "../format/manifest-codec.ts";
import { buildManifest, type ManifestHead } from "../store/build-manifest.ts";
import { committedName, manifestPath, savepointFolder, savepointResultFolder } from "../store/layout.ts";
import { operatorRecords } from "../store/operator-record.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";
import type { UploadAck } from "../upload/ack.ts";
import { Uploader } from "../upload/uploader.ts";
import { dropLeftovers, savepointFileName } from "./savepoint-writer.ts";
import { type SavepointResult, timesOf } from "./savepoint-result.ts";

/** Parts wait in memory below this size; above it they are uploaded while they are being read. */
const smallBytes = 1024 * 1024;

/** Writes one process's part of savepoint `id`. `jobFolder` has a slash at its end. */
export function savepointUploader(storage: SnapshotStorage, jobFolder: string, id: string): Uploader {
  return new Uploader({
    storage,
    folder: `${jobFolder}${savepointFolder}${id}/`,
    compression: "zstd",
    smallBaseBytes: smallBytes,
    maxCarriedBytes: 0,
    nameFile: savepointFileName,
  });
}

/**
 * Puts the manifest of what `acks` wrote in place. Whoever does it first decides: the savepoint that is there is the result for all others.
 * Output of the savepoint's cut is committed already.
 */
export async function assembleSavepoint(
  storage: SnapshotStorage,
  jobFolder: string,
  head: Omit<ManifestHead, "kind" | "savepointId"> & { readonly savepointId: string },
  acks: readonly UploadAck[],
): Promise<SavepointResult> {
  const id = head.savepointId;
  const folder = `${jobFolder}${savepointFolder}${id}/`;
  const files = new Map(acks.flatMap((ack) => ack.files).map((file) => [file.path, file]));
  const manifest = buildManifest({ ...head, kind: "savepoint" }, operatorRecords(acks, new Map(), new Map()), files, "");
  const committedAt = new Date(head.createdMs).toISOString();
  await storage.put(`${folder}${committedName}`, Buffer.from(`${JSON.stringify({ epoch: head.epoch, committedAt })}\n`));
  try {
    await storage.create(manifestPath(folder), encodeManifest(manifest));
  } catch (error) {
    if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
  }
  const written = await StoredSnapshot.open(storage, folder);
  await dropLeftovers(written);
  const { url, totalBytes } = written;
  const result = { id, url, checkpointId: written.manifest.checkpointId, totalBytes, ...timesOf(written.manifest, written.manifest) };
  await storage.put(`${jobFolder}${savepointResultFolder}${id}.json`, Buffer.from(`${JSON.stringify(result)}\n`));
  return result;
}
