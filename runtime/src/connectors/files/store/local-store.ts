// Files on this machine, to read.
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { ByteStream, FileStore, FoundFile, RandomFile } from "./file-store.ts";
import { below, isHidden, type Location } from "./location.ts";
import { changed, localError } from "./store-errors.ts";

export class LocalStore implements FileStore {
  readonly #location: Location;

  constructor(location: Location) {
    this.#location = location;
  }

  async list(): Promise<readonly FoundFile[]> {
    const { base, matches } = this.#location;
    try {
      const top = await stat(base);
      if (!top.isDirectory()) return [{ path: base, modifiedMs: top.mtimeMs }];
      const found: FoundFile[] = [];
      await this.#walk("", async (name) => {
        if (matches !== undefined && !matches(name)) return;
        const path = below(base, name);
        // A file may go between the listing and now.
        const entry = await stat(path).catch((error: unknown) => {
          if (isGone(error)) return undefined;
          throw localError(path, error, "read");
        });
        if (entry?.isFile() === true) found.push({ path, modifiedMs: entry.mtimeMs });
      });
      return found;
    } catch (error) {
      throw localError(base, error, "read");
    }
  }

  // Every file below the base by its name there, without hidden ones.
  async #walk(directory: string, visit: (name: string) => Promise<void>): Promise<void> {
    const path = directory === "" ? this.#location.base : below(this.#location.base, directory);
    const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
      if (directory !== "" && isGone(error)) return [];
      throw localError(path, error, "read");
    });
    for (const entry of entries) {
      const name = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (isHidden(entry.name)) continue;
      if (entry.isDirectory()) await this.#walk(name, visit);
      else await visit(name);
    }
  }

  async openStream(path: string, fromByte: number): Promise<ByteStream> {
    const handle = await openFile(path);
    try {
      const { size } = await handle.stat();
      if (size < fromByte) throw changed(path, `has ${size} bytes, but reading is to go on at byte ${fromByte}`);
    } catch (error) {
      await handle.close();
      throw localError(path, error, "read");
    }
    return new LocalStream(path, handle, fromByte);
  }

  async openRandom(path: string): Promise<RandomFile> {
    const handle = await openFile(path);
    const { size } = await handle.stat();
    return {
      sizeBytes: size,
      async slice(start, end) {
        const bytes = new Uint8Array(end - start);
        let done = 0;
        while (done < bytes.length) {
          const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done).catch((error: unknown) => {
            throw localError(path, error, "read");
          });
          if (bytesRead === 0) throw changed(path, `ends at byte ${start + done}, before byte ${end}`);
          done += bytesRead;
        }
        return bytes.buffer;
      },
      close: () => handle.close(),
    };
  }

  async close(): Promise<void> {}
}

class LocalStream implements ByteStream {
  readonly #path: string;
  readonly #handle: FileHandle;
  #next: number;

  constructor(path: string, handle: FileHandle, fromByte: number) {
    this.#path = path;
    this.#handle = handle;
    this.#next = fromByte;
  }

  async read(target: Buffer, at: number, length: number): Promise<number> {
    const { bytesRead } = await this.#handle.read(target, at, length, this.#next).catch((error: unknown) => {
      throw localError(this.#path, error, "read");
    });
    this.#next += bytesRead;
    // A file that is followed may have been cut off: what is written now would never be read.
    if (bytesRead === 0 && (await this.#handle.stat()).size < this.#next) {
      throw changed(this.#path, `was cut off: ${basename(this.#path)} is shorter than what was read of it`);
    }
    return bytesRead;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    throw localError(path, error, "read");
  }
}
