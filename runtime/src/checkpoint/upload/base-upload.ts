// Uploads a base while it is being scanned: small ones wait in memory for the next checkpoint's file, large ones get a file.
import { assert } from "../../base/errors.ts";
import { blockSizeBytes, type StateBlock, type StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { DataFileWriter } from "../format/data-file-writer.ts";
import type { Range } from "../store/lineage.ts";
import { specIdsByTable, withSpecIds } from "./spec-ids.ts";
import type { Uploader } from "./uploader.ts";

/** Whose base it is, and where in the order of checkpoints its scan began. */
export interface BaseAbout {
  readonly uid: string;
  readonly subtask: number;
  readonly keyGroups: Range;
  /** The operator's tables, as its captures have them. */
  readonly tables: readonly StoredTableSpec[];
  /** The last checkpoint whose capture was taken before the scan began; 0 when there was none. */
  readonly sinceCheckpointId: number;
}

export class BaseUpload {
  readonly #uploader: Uploader;
  readonly #about: BaseAbout;
  readonly #specIds: ReadonlyMap<string, string>;
  #waiting: StateBlock[] = [];
  #waitingBytes = 0;
  #file: { readonly path: string; readonly writer: DataFileWriter } | undefined;
  #storedBytes = 0;
  #state: "open" | "done" = "open";

  constructor(uploader: Uploader, about: BaseAbout) {
    this.#uploader = uploader;
    this.#about = about;
    this.#specIds = specIdsByTable(withSpecIds(about.tables));
  }

  /** Takes a slice of the scan over. Resolves when there is room for the next: call it one at a time. */
  async add(blocks: readonly StateBlock[]): Promise<void> {
    assert(this.#state === "open", "a base takes slices until it ends");
    this.#waiting.push(...blocks);
    for (const block of blocks) this.#waitingBytes += blockSizeBytes(block);
    if (this.#file === undefined && this.#waitingBytes <= this.#uploader.smallBaseBytes) return;
    const taken = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#file ??= this.#uploader.openDataFile(this.#about.sinceCheckpointId);
    this.#storedBytes += await this.#file.writer.addBlocks(this.#about.uid, "base", this.#specIds, taken);
  }

  /**
   * The scan is over, and `endCheckpointId` is the last checkpoint whose capture was taken before it was: the base goes into the
   * first checkpoint after that one.
   */
  async finish(endCheckpointId: number): Promise<void> {
    assert(this.#state === "open", "a base ends once");
    this.#state = "done";
    const { uid, subtask, keyGroups, tables, sinceCheckpointId } = this.#about;
    const memory = this.#uploader.memoryOf(uid, subtask);
    const about = { sinceCheckpointId, endCheckpointId, range: keyGroups, tables };
    if (this.#file === undefined) {
      memory.base = { ready: { ...about, content: { kind: "blocks", blocks: this.#waiting } }, uploadedIn: undefined };
      return;
    }
    const { path, writer } = this.#file;
    try {
      const written = await writer.finish();
      const content = { kind: "file", file: { path, ...written }, sizeBytes: this.#storedBytes } as const;
      memory.base = { ready: { ...about, content }, uploadedIn: undefined };
    } catch (error) {
      await writer.abort();
      throw error;
    } finally {
      this.#uploader.settled(path);
    }
  }

  /** Drops what was uploaded. */
  async cancel(): Promise<void> {
    if (this.#state === "done") return;
    this.#state = "done";
    this.#waiting = [];
    if (this.#file === undefined) return;
    this.#uploader.settled(this.#file.path);
    await this.#file.writer.abort();
  }
}
