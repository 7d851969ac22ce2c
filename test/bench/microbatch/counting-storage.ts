// A storage that counts the bytes which are written to it.
import type { SnapshotStorage } from "../../../runtime/src/core/ports/snapshot-storage.ts";

export interface Written {
  bytes: number;
}

/** `storage`, with what it is given counted in `written`. */
export function counting(storage: SnapshotStorage, written: Written): SnapshotStorage {
  const count = (content: Uint8Array | readonly Uint8Array[]): void => {
    const parts = content instanceof Uint8Array ? [content] : content;
    for (const part of parts) written.bytes += part.length;
  };
  return {
    url: storage.url,
    put: (path, content) => {
      count(content);
      return storage.put(path, content);
    },
    openWriter: (path) => {
      const writer = storage.openWriter(path);
      return {
        write: (chunk) => {
          count(chunk);
          return writer.write(chunk);
        },
        finish: () => writer.finish(),
        abort: () => writer.abort(),
      };
    },
    create: (path, content) => {
      count(content);
      return storage.create(path, content);
    },
    replace: (path, content, version) => {
      count(content);
      return storage.replace(path, content, version);
    },
    get: (path) => storage.get(path),
    getRange: (path, start, end) => storage.getRange(path, start, end),
    list: (prefix) => storage.list(prefix),
    delete: (paths) => storage.delete(paths),
    cleanUnfinished: (olderThanMs) => storage.cleanUnfinished(olderThanMs),
    close: () => storage.close(),
  };
}
