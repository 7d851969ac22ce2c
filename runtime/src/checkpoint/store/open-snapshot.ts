// From a snapshot's URL, as people give it, to what a store restores from.
import { openStorage, splitStorageUrl, type StorageOptions } from "../storage/open-storage.ts";
import type { SnapshotRef } from "./checkpoint-store.ts";

/**
 * Opens the storage of `file:///.../savepoints/before-upgrade`, `.../chk-7` or the same below s3://. Whoever calls closes
 * `ref.storage`. Rejects with OPTION_INVALID, STORAGE_MISSING, STORAGE_DENIED or STORAGE_UNREACHABLE.
 */
export async function openSnapshot(url: string, options: StorageOptions = {}): Promise<SnapshotRef> {
  const { parent, name } = splitStorageUrl(url);
  return { storage: await openStorage(parent, { ...options, mustExist: true }), folder: `${name}/` };
}
