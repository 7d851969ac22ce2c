// A storage that reads what it can from copies on the local disk. Data files never change and their names are never used twice, so a copy that
// was whole once stays right.
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";

/** The name of a copy in its folder; no part of a path in a storage holds a plus sign. */
export function copyName(path: string): string {
  return path.replaceAll("/", "+");
}

/** `storage`, but ranges of files that have a copy in `directory` come from there. Copies may come and go while it is in use. */
export function withLocalCopies(storage: SnapshotStorage, directory: string): SnapshotStorage {
  return {
    url: storage.url,
    put: (path, content) => storage.put(path, content),
    openWriter: (path) => storage.openWriter(path),
    create: (path, content) => storage.create(path, content),
    replace: (path, content, version) => storage.replace(path, content, version),
    get: (path) => storage.get(path),
    getRange: async (path, start, end) =>
      (await readCopy(join(directory, copyName(path)), start, end)) ?? storage.getRange(path, start, end),
    list: (prefix) => storage.list(prefix),
    delete: (paths) => storage.delete(paths),
    cleanUnfinished: (olderThanMs) => storage.cleanUnfinished(olderThanMs),
    close: () => storage.close(),
  };
}

// Undefined where there is no copy, or the disk does not give it: the storage has it too.
async function readCopy(file: string, start: number, end: number): Promise<Buffer | undefined> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(file, "r");
    const { size } = await handle.stat();
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(end, size) - start));
    let read = 0;
    while (read < bytes.length) {
      const { bytesRead } = await handle.read(bytes, read, bytes.length - read, start + read);
      if (bytesRead === 0) return undefined;
      read += bytesRead;
    }
    return bytes;
  } catch {
    return undefined;
  } finally {
    await handle?.close();
  }
}
