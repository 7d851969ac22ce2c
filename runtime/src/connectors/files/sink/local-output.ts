// Output on this machine: files are written under `.inprogress/` and renamed when they are committed.
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MillraceError } from "../../../base/errors.ts";
import { localError } from "../store/store-errors.ts";
import type { OpenFile, OutputStore, PendingFile } from "./output-store.ts";

const inProgress = ".inprogress";

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

export class LocalOutput implements OutputStore {
  readonly #base: string;
  #prepared: Promise<unknown> | undefined;

  constructor(base: string) {
    this.#base = base;
  }

  async create(name: string): Promise<OpenFile> {
    const path = join(this.#base, name);
    const partName = name.slice(name.lastIndexOf("/") + 1);
    const directory = join(this.#base, inProgress);
    const temporary = join(directory, partName);
    try {
      this.#prepared ??= mkdir(directory, { recursive: true });
      await this.#prepared;
      return new LocalFile(await open(temporary, "wx"), temporary, path);
    } catch (error) {
      throw localError(temporary, error, "write");
    }
  }

  async commit(files: readonly PendingFile[]): Promise<void> {
    const directories = new Set<string>();
    for (const file of files) {
      if (file.kind !== "local") continue;
      try {
        const made = await mkdir(dirname(file.path), { recursive: true });
        // A directory that is new is safe once the one that holds it is.
        for (const parent of parentsOf(dirname(file.path), made)) directories.add(parent);
        await rename(file.temporary, file.path);
      } catch (error) {
        if (!isMissing(error)) throw localError(file.path, error, "write");
        await assertCommitted(file.path, file.temporary);
      }
      directories.add(dirname(file.path));
    }
    // A rename is safe once its directory is.
    for (const directory of directories) await syncDirectory(directory);
  }

  async publish(name: string, content: Uint8Array): Promise<void> {
    const path = join(this.#base, name);
    const temporary = join(this.#base, inProgress, name.slice(name.lastIndexOf("/") + 1));
    try {
      await mkdir(dirname(temporary), { recursive: true });
      const made = await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, content, { flush: true });
      await rename(temporary, path);
      for (const parent of parentsOf(dirname(path), made)) await syncDirectory(parent);
    } catch (error) {
      throw localError(path, error, "write");
    }
    await syncDirectory(dirname(path));
  }

  async removeLeftovers(isLeft: (partName: string) => boolean, kept: readonly PendingFile[]): Promise<void> {
    const directory = join(this.#base, inProgress);
    const keep = new Set(kept.map((file) => (file.kind === "local" ? file.temporary : "")));
    try {
      for (const name of await readdir(directory)) {
        const path = join(directory, name);
        if (isLeft(name) && !keep.has(path))
          await unlink(path).catch((error: unknown) => (isMissing(error) ? undefined : Promise.reject(error)));
      }
    } catch (error) {
      if (!isMissing(error)) throw localError(directory, error, "write");
    }
  }

  async close(): Promise<void> {}
}

/** The directories that hold new ones, from the one above `made`, the uppermost new one, down to the one above `directory`. */
export function parentsOf(directory: string, made: string | undefined): readonly string[] {
  if (made === undefined) return [];
  const parents: string[] = [];
  for (let at = directory; ; at = dirname(at)) {
    parents.unshift(dirname(at));
    if (at === made || dirname(at) === at) return parents;
  }
}

async function assertCommitted(path: string, temporary: string): Promise<void> {
  const committed = await stat(path).catch(() => undefined);
  if (committed?.isFile() === true) return;
  const problem = `neither it nor ${temporary} is there: output of a checkpoint is lost`;
  throw new MillraceError(
    "FILES_COMMIT_LOST",
    path,
    problem,
    "restore the directory, or start from an older snapshot and remove the newer output",
  );
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r").catch((error: unknown) => {
    throw localError(directory, error, "write");
  });
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class LocalFile implements OpenFile {
  readonly #handle: FileHandle;
  readonly #temporary: string;
  readonly #path: string;

  constructor(handle: FileHandle, temporary: string, path: string) {
    this.#handle = handle;
    this.#temporary = temporary;
    this.#path = path;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) at += (await this.#handle.write(bytes, at, bytes.length - at)).bytesWritten;
    } catch (error) {
      throw localError(this.#temporary, error, "write");
    }
  }

  async finish(): Promise<PendingFile> {
    try {
      await this.#handle.sync();
      await this.#handle.close();
    } catch (error) {
      throw localError(this.#temporary, error, "write");
    }
    // Its bytes are safe now; so must its name be, by which a later run commits it.
    await syncDirectory(dirname(this.#temporary));
    return { kind: "local", temporary: this.#temporary, path: this.#path };
  }

  async abort(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await unlink(this.#temporary).catch(() => {});
  }
}
