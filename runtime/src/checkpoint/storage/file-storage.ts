// Snapshot storage in a folder of a file system: temporary file, fsync, rename; conditional writes by link and by offer.
import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, link, mkdir, open, opendir, readFile, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import type { ObjectVersion, ObjectWriter, SnapshotStorage, StoredObject } from "../../core/ports/snapshot-storage.ts";
import { replaceFile } from "./conditional-replace.ts";
import { mapped, systemCode } from "./file-errors.ts";
import { checkObjectPath, comparePaths } from "./object-path.ts";
import { offerFiles } from "./offer-files.ts";
import { objectConflict, storageUnreachable } from "./storage-errors.ts";

/** Where unfinished files are, below the root: on the same file system as what they become. */
const temporaryFolder = ".tmp";
const maxAttempts = 5;
/** Between two looks at somebody else's offer, ms. */
const lookMs = 3;

export class FileStorage implements SnapshotStorage {
  readonly url: string;
  readonly #root: string;
  readonly #deadlineMs: number;
  readonly #clock: Clock;

  /** `root` is an absolute path of a folder, `url` its URL without a slash at the end. */
  constructor(url: string, root: string, deadlineMs: number, clock: Clock) {
    this.url = url;
    this.#root = root;
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
  }

  async put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    const writer = this.openWriter(path);
    try {
      for (const chunk of content instanceof Uint8Array ? [content] : content) await writer.write(chunk);
      await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  openWriter(path: string): ObjectWriter {
    const target = this.#file(path);
    let temporary: { readonly name: string; readonly handle: FileHandle } | undefined;
    let finished = false;
    const drop = async (): Promise<void> => {
      if (temporary === undefined) return;
      const { name, handle } = temporary;
      temporary = undefined;
      await handle.close().catch(() => undefined);
      await unlink(name).catch(() => undefined);
    };
    return {
      write: (chunk) =>
        mapped(this.url, path, async () => {
          temporary ??= await this.#openTemporary();
          await writeAll(temporary.handle, chunk);
        }),
      finish: () =>
        mapped(this.url, path, async () => {
          temporary ??= await this.#openTemporary();
          await temporary.handle.sync();
          await temporary.handle.close();
          const { name } = temporary;
          await this.#place(target, () => rename(name, target));
          temporary = undefined;
          finished = true;
        }),
      abort: async () => {
        if (!finished) await drop();
      },
    };
  }

  async create(path: string, content: Uint8Array): Promise<ObjectVersion> {
    const target = this.#file(path);
    await mapped(this.url, path, async () => {
      const name = await this.#writeTemporary(content);
      try {
        await this.#place(target, () => link(name, target));
      } catch (error) {
        if (systemCode(error) === "EEXIST") throw objectConflict(this.url, path, error);
        // A file system without hard links: an offer takes their part.
        if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(systemCode(error))) throw error;
        await this.#replace(path, content, (current) => current === undefined);
      } finally {
        await unlink(name).catch(() => undefined);
      }
    });
    return versionOf(content);
  }

  async replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion> {
    await mapped(this.url, path, () => this.#replace(path, content, (current) => current !== undefined && versionOf(current) === version));
    return versionOf(content);
  }

  async #replace(path: string, content: Uint8Array, isExpected: (current: Buffer | undefined) => boolean): Promise<void> {
    const target = this.#file(path);
    const files = offerFiles(async (token) => {
      const folder = join(this.#root, temporaryFolder, token);
      await mkdir(folder, { recursive: true });
      await writeNew(join(folder, token), content);
      return folder;
    });
    const outcome = await replaceFile(files, {
      target,
      offer: join(dirname(target), `.${basename(target)}.offer`),
      isUnchanged: async () => isExpected(await readFile(target).catch(missing)),
      newToken: () => randomBytes(12).toString("hex"),
      now: () => performance.now(),
      pause: () => sleep(lookMs * (0.5 + Math.random())),
      deadlineMs: this.#deadlineMs,
    });
    if (outcome === "conflict") throw objectConflict(this.url, path);
    if (outcome === "late") {
      throw storageUnreachable(this.url, new Error(`others were changing ${path} all the time`), this.#deadlineMs);
    }
    await syncFolder(dirname(target));
  }

  async get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }> {
    const content = await mapped(this.url, path, () => readFile(this.#file(path)));
    return { content, version: versionOf(content) };
  }

  getRange(path: string, start: number, end: number): Promise<Buffer> {
    return mapped(this.url, path, async () => {
      const handle = await open(this.#file(path), "r");
      try {
        const size = (await handle.stat()).size;
        const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(end, size) - start));
        let done = 0;
        while (done < buffer.length) {
          const { bytesRead } = await handle.read(buffer, done, buffer.length - done, start + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return buffer.subarray(0, done);
      } finally {
        await handle.close();
      }
    });
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    for await (const object of this.#walk(folder, prefix)) yield object;
  }

  async *#walk(folder: string, prefix: string): AsyncIterable<StoredObject> {
    const entries: { readonly path: string; readonly isFolder: boolean }[] = [];
    try {
      for await (const entry of await opendir(join(this.#root, folder))) {
        // Names with a dot in front are temporary files and offers.
        if (entry.name.startsWith(".")) continue;
        entries.push({ path: `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`, isFolder: entry.isDirectory() });
      }
    } catch (error) {
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return;
      await mapped(this.url, folder, () => Promise.reject(error as Error));
    }
    // A folder sorts with its slash, so that the order is that of whole paths.
    entries.sort((a, b) => comparePaths(a.path, b.path));
    for (const { path, isFolder } of entries) {
      if (isFolder) {
        if (path.startsWith(prefix) || prefix.startsWith(path)) yield* this.#walk(path, prefix);
      } else if (path.startsWith(prefix)) {
        const found = await stat(join(this.#root, path)).catch(() => undefined);
        if (found !== undefined) yield { path, sizeBytes: found.size, modifiedMs: found.mtimeMs };
      }
    }
  }

  async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const file = this.#file(path);
      await mapped(this.url, path, () => rm(file, { force: true }));
      await this.#removeEmptyFolders(dirname(file));
    }
  }

  async cleanUnfinished(olderThanMs: number): Promise<number> {
    const folder = join(this.#root, temporaryFolder);
    let removed = 0;
    try {
      for await (const entry of await opendir(folder)) {
        const name = join(folder, entry.name);
        const found = await stat(name).catch(() => undefined);
        if (found === undefined || this.#clock.now() - found.mtimeMs < olderThanMs) continue;
        await rm(name, { recursive: true, force: true });
        removed++;
      }
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
    }
    return removed;
  }

  async close(): Promise<void> {}

  #file(path: string): string {
    checkObjectPath(path);
    return join(this.#root, path);
  }

  async #openTemporary(): Promise<{ readonly name: string; readonly handle: FileHandle }> {
    const name = join(this.#root, temporaryFolder, randomBytes(12).toString("hex"));
    try {
      return { name, handle: await open(name, "wx") };
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
      await mkdir(dirname(name), { recursive: true });
      return { name, handle: await open(name, "wx") };
    }
  }

  async #writeTemporary(content: Uint8Array): Promise<string> {
    const { name, handle } = await this.#openTemporary();
    await writeThrough(name, handle, content);
    return name;
  }

  // Puts a finished temporary file in its place and makes that durable. A folder that was removed meanwhile (it was empty) is made again.
  async #place(target: string, act: () => Promise<void>): Promise<void> {
    const folder = dirname(target);
    for (let attempt = 1; ; attempt++) {
      try {
        await act();
        break;
      } catch (error) {
        if (systemCode(error) !== "ENOENT" || attempt === maxAttempts) throw error;
        await makeFolders(folder);
      }
    }
    await syncFolder(folder);
  }

  async #removeEmptyFolders(from: string): Promise<void> {
    for (let folder = from; folder.length > this.#root.length; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch {
        return;
      }
    }
  }
}

function versionOf(content: Uint8Array): ObjectVersion {
  return createHash("sha256").update(content).digest("hex");
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let done = 0;
  while (done < chunk.length) done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten;
}

async function writeNew(name: string, content: Uint8Array): Promise<void> {
  await writeThrough(name, await open(name, "wx"), content);
}

async function writeThrough(name: string, handle: FileHandle, content: Uint8Array): Promise<void> {
  try {
    await writeAll(handle, content);
    await handle.sync();
  } catch (error) {
    await unlink(name).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

function missing(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}

async function makeFolders(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  // New folders are durable once their parents are synced.
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; there is nothing more to be done there.
    if (systemCode(error) !== "EINVAL" && systemCode(error) !== "EPERM" && systemCode(error) !== "EISDIR") throw error;
  } finally {
    await handle.close();
  }
}

/** Opens `root`, which is made unless `mustExist`. */
export async function openFileStorage(
  url: string,
  root: string,
  options: { readonly mustExist: boolean; readonly deadlineMs: number; readonly clock: Clock },
): Promise<FileStorage> {
  const storage = new FileStorage(url, root, options.deadlineMs, options.clock);
  await mapped(url, "", async () => {
    if (!options.mustExist) await mkdir(root, { recursive: true });
    const found = await stat(root).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") throw new MillraceError("STORAGE_MISSING", url, "the folder does not exist", "check the path");
      throw error;
    });
    if (!found.isDirectory())
      throw new MillraceError("STORAGE_MISSING", url, "is not a folder", "name the folder that holds the snapshots");
  });
  return storage;
}
