// The two logs of a query: what each batch reads, written before it runs, and that it was committed, written after.
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import { count, json, listOf, number, numberOrNull, object, oneOf, recordOf, type Shape, text } from "../../../checkpoint/format/shape.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { SourceSplit } from "../../../core/ports/source.ts";
import { readLogFile } from "./read-log-file.ts";

/** What a batch reads of one source. */
export interface SourceRange {
  readonly from: readonly SourceSplit[];
  readonly to: readonly SourceSplit[];
  /** Records by split. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface OffsetEntry {
  readonly version: 1;
  readonly batchId: number;
  readonly epoch: number;
  /** When the batch was planned: what the current time is within it. */
  readonly timestampMs: number;
  /** Event time before the batch; null for none yet. */
  readonly watermarkMs: number | null;
  readonly sources: Readonly<Record<string, SourceRange>>;
}

export interface CommitEntry {
  readonly version: 1;
  readonly batchId: number;
  readonly epoch: number;
  readonly committedAtMs: number;
}

const splits = listOf(object({ id: text, position: json }));
const offsetShape: Shape<OffsetEntry> = object({
  version: oneOf(1),
  batchId: count,
  epoch: count,
  timestampMs: number,
  watermarkMs: numberOrNull,
  sources: recordOf(object({ from: splits, to: splits, counts: recordOf(count) })),
});

/** How many entries are kept: enough to look back, and never the one that a restart needs. */
const keptBatches = 100;

export class BatchLog {
  readonly #storage: SnapshotStorage;
  readonly #folder: string;
  readonly #leastEpoch: number;

  /** `folder` is the query's, below the storage's root. Entries of epochs below `leastEpoch` are of runs that this one does not go on from. */
  constructor(storage: SnapshotStorage, folder: string, leastEpoch = 0) {
    this.#storage = storage;
    this.#folder = folder;
    this.#leastEpoch = leastEpoch;
  }

  async lastOffsets(): Promise<OffsetEntry | undefined> {
    const last = await this.#last("offsets");
    if (last === undefined) return undefined;
    const entry = await this.offsets(last);
    return entry.epoch < this.#leastEpoch ? undefined : entry;
  }

  async offsets(batchId: number): Promise<OffsetEntry> {
    return readLogFile(this.#storage, this.#path("offsets", batchId), offsetShape);
  }

  async lastCommit(): Promise<number | undefined> {
    return this.#last("commits");
  }

  /**
   * Writes down what a batch reads. Undefined when that is done; else the entry of another driver that was there first, to be run
   * instead. Rejects with FENCED where that driver has taken the query over.
   */
  async plan(entry: OffsetEntry): Promise<OffsetEntry | undefined> {
    try {
      await this.#storage.create(this.#path("offsets", entry.batchId), encode(entry));
      return undefined;
    } catch (error) {
      if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
      const other = await this.offsets(entry.batchId);
      if (other.epoch < this.#leastEpoch) {
        await this.#storage.put(this.#path("offsets", entry.batchId), encode(entry));
        return undefined;
      }
      if (other.epoch <= entry.epoch) return other;
      throw new MillraceError(
        "FENCED",
        `query at ${this.#storage.url}/${this.#folder}`,
        `another driver has taken it over (epoch ${other.epoch}, this one has ${entry.epoch})`,
        "stop one of the two drivers, or give each a checkpoint location of its own",
      );
    }
  }

  /** Writes a plan in place of one that came to nothing: its driver was fenced before anything of the batch was published. */
  async replan(entry: OffsetEntry): Promise<void> {
    await this.#storage.put(this.#path("offsets", entry.batchId), encode(entry));
  }

  async commit(entry: CommitEntry): Promise<void> {
    await this.#storage.put(this.#path("commits", entry.batchId), encode(entry));
    if (entry.batchId % 10 === 0) await this.#trim(entry.batchId);
  }

  async #trim(batchId: number): Promise<void> {
    const until = batchId - keptBatches;
    if (until <= 0) return;
    for (const kind of ["offsets", "commits"] as const) {
      const old: string[] = [];
      for await (const { path } of this.#storage.list(`${this.#folder}${kind}/`)) if (idOf(path) < until) old.push(path);
      await this.#storage.delete(old);
    }
  }

  async #last(kind: "offsets" | "commits"): Promise<number | undefined> {
    let last: number | undefined;
    for await (const { path } of this.#storage.list(`${this.#folder}${kind}/`)) last = Math.max(last ?? 0, idOf(path));
    return last;
  }

  #path(kind: "offsets" | "commits", batchId: number): string {
    return `${this.#folder}${kind}/${String(batchId).padStart(12, "0")}.json`;
  }
}

function idOf(path: string): number {
  return Number(/(\d+)\.json$/.exec(path)?.[1] ?? Number.NaN);
}

function encode(entry: object): Buffer {
  return Buffer.from(`${JSON.stringify(entry)}\n`);
}
