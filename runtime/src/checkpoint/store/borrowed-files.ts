// Files of a snapshot that belongs to somebody else: copied into the job's folder with the first checkpoint, so that a job never
// depends on a savepoint that its owner may delete.
import { createHash } from "node:crypto";
import { isMillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { missingIsCorrupt, snapshotCorrupt } from "../format/snapshot-errors.ts";
import type { AckFile } from "../upload/ack.ts";
import type { StatePart } from "./lineage.ts";
import type { Lineage } from "./operator-record.ts";
import type { StoredSnapshot } from "./stored-snapshot.ts";
import { dataFileName } from "../upload/uploader.ts";

const copyBytes = 4 * 1024 * 1024;
export const referenceFolder = "references/";

/** Marks parts that lie in another snapshot; no path in a job's folder starts so. */
const mark = "@";

export class BorrowedFiles {
  readonly #from: StoredSnapshot;
  readonly #to: SnapshotStorage;
  readonly #folder: string;
  readonly #jobId: string;
  readonly #copies = new Map<string, AckFile>();

  /** `folder` is the job's, below the root of `to`. */
  constructor(from: StoredSnapshot, to: SnapshotStorage, folder: string, jobId: string) {
    this.#from = from;
    this.#to = to;
    this.#folder = folder;
    this.#jobId = jobId;
  }

  static markedPath(file: number): string {
    return `${mark}${file}`;
  }

  /** Notes in the snapshot that this job needs it, so that `millrace savepoint dispose` refuses. */
  async refer(log: Log): Promise<void> {
    try {
      await this.#from.storage.put(this.#reference, Buffer.from(JSON.stringify({ job: `${this.#to.url}/${this.#folder}` })));
    } catch (error) {
      if (!isMillraceError(error, "STORAGE_DENIED")) throw error;
      log.warn("snapshot cannot be marked as used: keep it until the first checkpoint is complete", { snapshot: this.#from.url });
    }
  }

  async release(log: Log): Promise<void> {
    await this.#from.storage.delete([this.#reference]).catch((error: unknown) => {
      log.warn("snapshot is still marked as used", { snapshot: this.#from.url, reason: String(error) });
    });
  }

  copiedPaths(): readonly string[] {
    return [...this.#copies.values()].map((file) => file.path);
  }

  get #reference(): string {
    return `${this.#from.folder}${referenceFolder}${this.#jobId}.json`;
  }

  /** Copies what `lineage` borrows, and returns it with the copies in place of the originals. What was copied stays so when this is called again. */
  async adopt(
    lineage: Lineage,
    epoch: number,
    checkpointId: number,
  ): Promise<{ readonly lineage: Lineage; readonly files: readonly AckFile[] }> {
    const borrowed = new Set(
      [...lineage.values()].flatMap(({ parts }) => parts.map((part) => part.path)).filter((path) => path.startsWith(mark)),
    );
    for (const path of borrowed) {
      if (!this.#copies.has(path)) this.#copies.set(path, await this.#copy(Number(path.slice(mark.length)), epoch, checkpointId));
    }
    const here = (part: StatePart): StatePart => ({ ...part, path: this.#copies.get(part.path)?.path ?? part.path });
    const adopted = new Map([...lineage].map(([uid, { parts, specs }]) => [uid, { parts: parts.map(here), specs }]));
    return { lineage: adopted, files: [...this.#copies.values()] };
  }

  async #copy(number: number, epoch: number, checkpointId: number): Promise<AckFile> {
    const path = `data/${dataFileName(epoch, checkpointId)}`;
    const source = this.#from.filePath(number);
    const { sizeBytes, sha256 } = this.#from.manifest.files[number] as { readonly sizeBytes: number; readonly sha256: string };
    const writer = this.#to.openWriter(`${this.#folder}${path}`);
    const hash = createHash("sha256");
    try {
      for (let start = 0; start < sizeBytes; start += copyBytes) {
        const end = Math.min(sizeBytes, start + copyBytes);
        const bytes = await this.#from.storage.getRange(source, start, end);
        if (bytes.length !== end - start) throw snapshotCorrupt(`${this.#from.storage.url}/${source}`, start, "the file was cut off");
        hash.update(bytes);
        await writer.write(bytes);
      }
      if (hash.digest("hex") !== sha256)
        throw snapshotCorrupt(`${this.#from.storage.url}/${source}`, 0, "the checksum of the file does not match");
      await writer.finish();
    } catch (error) {
      await writer.abort();
      throw missingIsCorrupt(`${this.#from.storage.url}/${source}`, error);
    }
    return { path, sizeBytes, sha256 };
  }
}
