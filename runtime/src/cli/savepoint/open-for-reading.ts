// Opens a snapshot that a person named, and closes its storage when the work is done.
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import { openSnapshot } from "../../checkpoint/store/open-snapshot.ts";
import { StoredSnapshot } from "../../checkpoint/store/stored-snapshot.ts";

export async function withSnapshot<T>(url: string, options: StorageOptions, work: (snapshot: StoredSnapshot) => Promise<T>): Promise<T> {
  const { storage, folder } = await openSnapshot(url, options);
  try {
    return await work(await StoredSnapshot.open(storage, folder));
  } finally {
    await storage.close();
  }
}
