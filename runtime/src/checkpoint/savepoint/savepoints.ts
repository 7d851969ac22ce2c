// The savepoints of a job: made once per id, whoever asks and however often.
import type { Clock } from "../../base/clock.ts";
import { assert, isMillraceError, MillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import type { Compression } from "../format/data-file.ts";
import { isPathPart } from "../storage/object-path.ts";
import { checkpointFolder, committedName, savepointFolder, savepointResultFolder } from "../store/layout.ts";
import type { Publisher } from "../store/publisher.ts";
import { type SavepointResult, savepointResult, timesOf } from "./savepoint-result.ts";
import { writeSavepoint } from "./savepoint-writer.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";

export interface SavepointsOptions {
  readonly storage: SnapshotStorage;
  /** The job's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  readonly publisher: Publisher;
  readonly merging: EntryMerging | undefined;
  readonly compression: Compression;
  readonly clock: Clock;
}

export class Savepoints {
  readonly #options: SavepointsOptions;
  readonly #underWay = new Map<string, Promise<SavepointResult>>();

  constructor(options: SavepointsOptions) {
    this.#options = options;
  }

  async make(checkpointId: number, id: string): Promise<SavepointResult> {
    if (!isPathPart(id)) {
      throw new MillraceError(
        "SAVEPOINT_ID_INVALID",
        `savepoint "${id}"`,
        "is no good name for a folder",
        "use letters, digits and . _ - =",
      );
    }
    let result = this.#underWay.get(id);
    if (result === undefined) {
      result = this.#options.publisher
        .pinned(checkpointId, () => this.#makeOnce(checkpointId, id))
        .finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, result);
    }
    return result;
  }

  /** What came of the savepoint with this id; undefined when there is none, or it was disposed of. */
  async resultOf(id: string): Promise<SavepointResult | undefined> {
    return savepointResult(this.#options.storage, this.#options.folder, id);
  }

  /** The newest that there are, at most `limit`. */
  async results(limit: number): Promise<readonly SavepointResult[]> {
    const { storage, folder } = this.#options;
    const found: { readonly id: string; readonly modifiedMs: number }[] = [];
    const prefix = `${folder}${savepointResultFolder}`;
    for await (const { path, modifiedMs } of storage.list(prefix)) {
      if (path.endsWith(".json")) found.push({ id: path.slice(prefix.length, -".json".length), modifiedMs });
    }
    found.sort((a, b) => b.modifiedMs - a.modifiedMs);
    const results = await Promise.all(found.slice(0, limit).map(({ id }) => this.resultOf(id)));
    return results.filter((result) => result !== undefined);
  }

  async markCommitted(id: string, content: Buffer): Promise<void> {
    await this.#options.storage.put(`${this.#folderOf(id)}${committedName}`, content);
  }

  /** Folders that are being written, below the job's. */
  foldersUnderWay(): readonly string[] {
    return [...this.#underWay.keys()].map((id) => `${savepointFolder}${id}`);
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
  }

  #folderOf(id: string): string {
    return `${this.#options.folder}${savepointFolder}${id}/`;
  }

  async #makeOnce(checkpointId: number, id: string): Promise<SavepointResult> {
    const { storage, folder } = this.#options;
    const before = await this.resultOf(id);
    if (before !== undefined) return before;
    // Complete but for its result: whoever wrote it died in between.
    const written = (await this.#stored(this.#folderOf(id))) ?? (await this.#write(checkpointId, id));
    // The checkpoint may be gone by now if somebody else wrote the copy long ago.
    const cut = (await this.#stored(`${folder}${checkpointFolder(written.manifest.checkpointId)}`))?.manifest ?? written.manifest;
    const { url, manifest, totalBytes } = written;
    const result: SavepointResult = { id, url, checkpointId: manifest.checkpointId, totalBytes, ...timesOf(manifest, cut) };
    await storage.put(`${folder}${savepointResultFolder}${id}.json`, Buffer.from(`${JSON.stringify(result)}\n`));
    return result;
  }

  async #stored(folder: string): Promise<StoredSnapshot | undefined> {
    return StoredSnapshot.open(this.#options.storage, folder).catch((error: unknown) => {
      if (isMillraceError(error, "SNAPSHOT_MISSING")) return undefined;
      throw error;
    });
  }

  async #write(checkpointId: number, id: string): Promise<StoredSnapshot> {
    const { storage, folder, publisher, merging, compression, clock } = this.#options;
    assert(merging !== undefined, "a store that makes savepoints was opened with `merging`");
    const entry = publisher.checkpoints.find((one) => one.checkpointId === checkpointId);
    if (entry === undefined) {
      throw new MillraceError(
        "CHECKPOINT_GONE",
        `checkpoint ${checkpointId}`,
        "is not kept any longer",
        "take the savepoint from a newer checkpoint",
      );
    }
    const from = await StoredSnapshot.open(storage, `${folder}${checkpointFolder(checkpointId)}`, entry.sha256);
    const written = await writeSavepoint({ id, from, storage, folder: this.#folderOf(id), merging, compression, clock });
    if (from.committed) await this.markCommitted(id, (await storage.get(`${from.folder}${committedName}`)).content);
    return written;
  }
}
