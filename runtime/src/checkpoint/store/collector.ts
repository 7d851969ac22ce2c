// Deletes what nobody refers to any longer. The order is such that a crash after any step leaves no snapshot that lacks a file.
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { checkpointFolder, checkpointIdOf, committedName, dataFolder, manifestPath, savepointFolder } from "./layout.ts";
import type { PointerEntry } from "./latest-pointer.ts";
import { StoredSnapshot } from "./stored-snapshot.ts";

/** A stream that is this old has no writer any more: large savepoints take hours, not days. */
const unfinishedAgeMs = 24 * 3_600_000;

export interface CollectorOptions {
  readonly storage: SnapshotStorage;
  /** The job's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class Collector {
  readonly #options: CollectorOptions;
  /** The data files of checkpoints, relative to the job's folder: read once each. */
  readonly #paths = new Map<number, ReadonlySet<string>>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Deletes checkpoints that the pointer lists no more, and those of their data files that neither `kept` nor `needed` refer to. */
  async collect(dropped: readonly PointerEntry[], kept: readonly PointerEntry[], needed: ReadonlySet<string>): Promise<void> {
    if (dropped.length === 0) return;
    const { storage, folder, log } = this.#options;
    const keptPaths = new Set(needed);
    for (const entry of kept) for (const path of await this.#pathsOf(entry)) keptPaths.add(path);
    for (const entry of dropped) {
      // The file list first, while the manifest is there; then the manifest, so that no snapshot is ever seen without its files.
      const paths = await this.#pathsOf(entry).catch((error: unknown) => {
        log.warn("dropped checkpoint cannot be read; the sweep will find its files", {
          checkpointId: entry.checkpointId,
          reason: messageOf(error),
        });
        return new Set<string>();
      });
      const of = checkpointFolder(entry.checkpointId);
      await storage.delete([`${folder}${manifestPath(of)}`]);
      await storage.delete([
        `${folder}${of}${committedName}`,
        ...[...paths].filter((path) => !keptPaths.has(path)).map((path) => `${folder}${path}`),
      ]);
      this.#paths.delete(entry.checkpointId);
    }
  }

  /**
   * Finds and deletes what crashes have left: checkpoints that were never published or not wholly deleted, data files that no listed
   * checkpoint needs, savepoints without a manifest. Only what is older than `olderThanMs`: younger files may be of a checkpoint
   * that is being written. `now` tells the listed checkpoints and what is needed besides: data
   * files, and folders of savepoints being written. It is asked after the storage was listed, so that whatever the listing shows is
   * known by then if anybody needs it. Returns the deleted paths.
   */
  async sweep(
    now: () => { readonly listed: readonly PointerEntry[]; readonly needed: ReadonlySet<string> },
    olderThanMs: number,
  ): Promise<readonly string[]> {
    const { storage, folder, clock, log } = this.#options;
    const found: { readonly path: string; readonly isOld: boolean }[] = [];
    for await (const { path, modifiedMs } of storage.list(folder)) {
      found.push({ path: path.slice(folder.length), isOld: clock.now() - modifiedMs >= olderThanMs });
    }
    const { listed, needed } = now();
    const kept = new Set(needed);
    for (const entry of listed) for (const path of await this.#pathsOf(entry)) kept.add(path);
    const ids = new Set(listed.map((entry) => entry.checkpointId));
    const newest = Math.max(0, ...ids);
    const complete = new Set(
      found
        .map(({ path }) => path)
        .filter((path) => path.startsWith(savepointFolder) && path.endsWith("/manifest.json"))
        .map(savepointOf),
    );
    const orphans = found.filter(({ path, isOld }) => {
      if (!isOld) return false;
      if (path.startsWith(dataFolder)) return !kept.has(path);
      const checkpointId = checkpointIdOf(path.split("/")[0] ?? "");
      // A number above the newest may be of a checkpoint that is being published.
      if (checkpointId !== undefined) return !ids.has(checkpointId) && checkpointId < newest;
      return (
        path.startsWith(savepointFolder) &&
        path.split("/").length > 2 &&
        !complete.has(savepointOf(path)) &&
        !needed.has(`${savepointFolder}${savepointOf(path)}`)
      );
    });
    const paths = orphans.map(({ path }) => path);
    const manifests = paths.filter((path) => path.endsWith("/manifest.json"));
    await storage.delete(manifests.map((path) => `${folder}${path}`));
    await storage.delete(paths.filter((path) => !manifests.includes(path)).map((path) => `${folder}${path}`));
    await storage.cleanUnfinished(Math.max(olderThanMs, unfinishedAgeMs));
    if (paths.length > 0) log.info("orphaned snapshot files deleted", { count: paths.length });
    return paths;
  }

  async #pathsOf(entry: PointerEntry): Promise<ReadonlySet<string>> {
    let paths = this.#paths.get(entry.checkpointId);
    if (paths === undefined) {
      const { storage, folder } = this.#options;
      const snapshot = await StoredSnapshot.open(storage, `${folder}${checkpointFolder(entry.checkpointId)}`, entry.sha256);
      paths = new Set(snapshot.manifest.files.map((_file, number) => snapshot.filePath(number).slice(folder.length)));
      this.#paths.set(entry.checkpointId, paths);
    }
    return paths;
  }
}

function savepointOf(path: string): string {
  return path.split("/")[1] ?? "";
}
