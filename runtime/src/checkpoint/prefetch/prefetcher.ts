// Keeps copies of the newest checkpoint's data files on the local disk while a run stands by, so that its start only fetches what is newer.
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { checkpointFolder } from "../store/layout.ts";
import { readPointer } from "../store/latest-pointer.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";
import { copyName } from "./local-copies.ts";

export interface PrefetchOptions {
  readonly storage: SnapshotStorage;
  /** The job's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  /** Where the copies are; made when it is needed. */
  readonly directory: string;
  /** What all copies together may take. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WantedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const rangeBytes = 4 * 1024 * 1024;
const roundMs = 1000;
const unfinished = ".part";

/** What to fetch, and which copies to drop, so that at most `maxBytes` are kept: large files first, they are part of more checkpoints to come. */
export function decidePrefetch(
  wanted: readonly WantedFile[],
  copies: ReadonlySet<string>,
  maxBytes: number,
): { readonly fetch: readonly WantedFile[]; readonly drop: readonly string[] } {
  const kept = new Set<string>();
  const fetch: WantedFile[] = [];
  let bytes = 0;
  for (const file of [...wanted].sort((a, b) => b.sizeBytes - a.sizeBytes)) {
    if (bytes + file.sizeBytes > maxBytes) continue;
    bytes += file.sizeBytes;
    const name = copyName(file.path);
    kept.add(name);
    if (!copies.has(name)) fetch.push(file);
  }
  return { fetch, drop: [...copies].filter((name) => !kept.has(name)) };
}

export class Prefetcher {
  readonly #options: PrefetchOptions;
  #running: Promise<void> | undefined;
  #stopped = false;
  #wake: () => void = () => {};
  #lastProblem = "";

  constructor(options: PrefetchOptions) {
    this.#options = options;
  }

  /** Resolves when the first round is over, whatever came of it; goes on until `stop`. */
  start(): Promise<void> {
    const first = this.#round();
    this.#running = first.then(() => this.#follow());
    return first;
  }

  /** The copies stay. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(roundMs, resolve);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
      if (!this.#stopped) await this.#round();
    }
  }

  // It only saves time: what cannot be fetched now is fetched by the next round, or by the restore.
  async #round(): Promise<void> {
    try {
      await this.#fetchNewest();
      this.#lastProblem = "";
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== this.#lastProblem) this.#options.log.info("the newest checkpoint could not be fetched ahead", { reason: problem });
      this.#lastProblem = problem;
    }
  }

  async #fetchNewest(): Promise<void> {
    const { storage, folder, directory, maxBytes, log } = this.#options;
    const newest = (await readPointer(storage, folder))?.pointer.checkpoints[0];
    if (newest === undefined) return;
    const snapshot = await StoredSnapshot.open(storage, `${folder}${checkpointFolder(newest.checkpointId)}`, newest.sha256);
    const wanted = snapshot.manifest.files.map(({ sizeBytes, sha256 }, number) => ({ path: snapshot.filePath(number), sizeBytes, sha256 }));
    await mkdir(directory, { recursive: true });
    const copies = new Set(await readdir(directory));
    const { fetch, drop } = decidePrefetch(wanted, copies, maxBytes);
    for (const name of drop) await rm(join(directory, name), { force: true });
    let bytes = 0;
    for (const file of fetch) {
      if (this.#stopped) return;
      await this.#fetch(file);
      bytes += file.sizeBytes;
    }
    if (fetch.length > 0) log.debug("fetched ahead", { checkpointId: newest.checkpointId, files: fetch.length, bytes });
  }

  async #fetch({ path, sizeBytes, sha256 }: WantedFile): Promise<void> {
    const { storage, directory } = this.#options;
    const file = join(directory, copyName(path));
    const part = `${file}${unfinished}`;
    const hash = createHash("sha256");
    const handle = await open(part, "w");
    try {
      for (let at = 0; at < sizeBytes && !this.#stopped; at += rangeBytes) {
        const bytes = await storage.getRange(path, at, Math.min(sizeBytes, at + rangeBytes));
        hash.update(bytes);
        await handle.writeFile(bytes);
      }
    } finally {
      await handle.close();
    }
    if (hash.digest("hex") === sha256) await rename(part, file);
    else await rm(part, { force: true });
  }
}
