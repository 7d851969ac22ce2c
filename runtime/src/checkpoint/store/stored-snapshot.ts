// A snapshot as it lies in a storage: its manifest, and its data files opened when they are needed.
import { createHash } from "node:crypto";
import { isMillraceError, MillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { StateBlock, StoredState } from "../../core/ports/state-backend.ts";
import type { IndexedBlock } from "../format/data-file.ts";
import { DataFileReader, readPayload } from "../format/data-file-reader.ts";
import type { Manifest, OperatorManifest, Payload, StateRef } from "../format/manifest.ts";
import { decodeManifest } from "../format/manifest-codec.ts";
import { missingIsCorrupt, snapshotCorrupt } from "../format/snapshot-errors.ts";
import { committedName, manifestPath, resolveFrom } from "./layout.ts";
import { overlaps, type Range } from "./lineage.ts";

export class StoredSnapshot {
  readonly storage: SnapshotStorage;
  /** The snapshot's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** The manifest's size. */
  readonly manifestBytes: number;
  /** True when the sinks' output of the snapshot is known to be committed. */
  readonly committed: boolean;
  readonly #readers = new Map<number, Promise<DataFileReader>>();

  private constructor(storage: SnapshotStorage, folder: string, manifest: Manifest, manifestBytes: number, committed: boolean) {
    this.storage = storage;
    this.folder = folder;
    this.manifest = manifest;
    this.manifestBytes = manifestBytes;
    this.committed = committed;
  }

  /**
   * Reads and checks the manifest in `folder`. Rejects with SNAPSHOT_MISSING, SNAPSHOT_CORRUPT (also when the manifest is not the
   * one with `sha256`), SNAPSHOT_FORMAT_UNKNOWN or SNAPSHOT_FIELD_UNKNOWN.
   */
  static async open(storage: SnapshotStorage, folder: string, sha256?: string): Promise<StoredSnapshot> {
    const path = manifestPath(folder);
    const file = `${storage.url}/${path}`;
    // Beside each other: a new leader's first checkpoint waits for both.
    const mark = storage.get(`${folder}${committedName}`).then(
      () => true,
      (error: unknown) => (isMillraceError(error, "OBJECT_MISSING") ? false : Promise.reject(error)),
    );
    // Whoever awaits it hears of a failure, unless the manifest's comes first.
    mark.catch(() => undefined);
    let content: Buffer;
    try {
      content = (await storage.get(path)).content;
    } catch (error) {
      if (!isMillraceError(error, "OBJECT_MISSING")) throw error;
      // What the pointer names must be there; what a person names may be a slip.
      if (sha256 !== undefined) throw missingIsCorrupt(file, error);
      throw new MillraceError(
        "SNAPSHOT_MISSING",
        `${storage.url}/${folder}`,
        "holds no manifest.json",
        "see `millrace savepoint list` for the snapshots there are",
        {
          cause: error,
        },
      );
    }
    const manifest = decodeManifest(content, file);
    if (sha256 !== undefined && createHash("sha256").update(content).digest("hex") !== sha256) {
      throw snapshotCorrupt(file, 0, "the manifest is not the one that was published");
    }
    return new StoredSnapshot(storage, folder, manifest, content.length, await mark);
  }

  get url(): string {
    return this.folder === "" ? this.storage.url : `${this.storage.url}/${this.folder.slice(0, -1)}`;
  }

  /** Bytes of all data files. */
  get totalBytes(): number {
    return this.manifest.files.reduce((sum, file) => sum + file.sizeBytes, this.manifestBytes);
  }

  /** Data file `number`, relative to the storage's root. */
  filePath(number: number): string {
    return resolveFrom(this.folder, this.manifest.files[number]?.path ?? "");
  }

  reader(number: number): Promise<DataFileReader> {
    let reader = this.#readers.get(number);
    if (reader === undefined) {
      reader = DataFileReader.open(this.storage, this.filePath(number), this.manifest.files[number]?.sizeBytes ?? 0);
      // A failure is for whoever awaits it; until then it must not count as unhandled.
      reader.catch(() => this.#readers.delete(number));
      this.#readers.set(number, reader);
    }
    return reader;
  }

  async payload(payload: Payload): Promise<Uint8Array> {
    if ("inline" in payload) return Buffer.from(payload.inline, "base64");
    return readPayload(this.storage, this.filePath(payload.file), payload);
  }

  operator(uid: string): OperatorManifest | undefined {
    return this.manifest.operators[uid];
  }

  /** The blocks that `ref` brings for `range`, in the order in which they apply. */
  async blocksOf(uid: string, ref: StateRef, range: Range): Promise<readonly IndexedBlock[]> {
    const from = Math.max(ref.from, range.from);
    const to = Math.min(ref.to, range.to);
    const { sections } = await this.reader(ref.file);
    const section = sections.find((one) => one.uid === uid && one.part === ref.part);
    if (section === undefined) {
      throw snapshotCorrupt(`${this.storage.url}/${this.filePath(ref.file)}`, 0, `the file has no ${ref.part} of operator ${uid}`);
    }
    return section.blocks.filter((block) => block.keyGroup >= from && block.keyGroup < to);
  }

  /** The keyed state of `uid` for a range of key groups; undefined when the snapshot has none. */
  keyedState(uid: string, range: Range): StoredState | undefined {
    const operator = this.operator(uid);
    if (operator === undefined || operator.tables.length === 0) return undefined;
    return { tables: operator.tables.map(({ spec }) => spec), blocks: () => this.#blocks(uid, operator, range) };
  }

  async *#blocks(uid: string, operator: OperatorManifest, range: Range): AsyncGenerator<StateBlock> {
    const specs = new Map(operator.tables.map(({ id, spec }) => [id, spec]));
    const refs = operator.state.filter((ref) => overlaps(ref, range)).sort(refOrder);
    // The indexes come side by side: with a request each, one after another would take seconds.
    await Promise.all([...new Set(refs.map((ref) => ref.file))].map((file) => this.reader(file)));
    for (const ref of refs) {
      const wanted = await this.blocksOf(uid, ref, range);
      const reader = await this.reader(ref.file);
      for await (const { block, bytes } of reader.read(wanted)) {
        const spec = specs.get(block.specId);
        if (spec === undefined)
          throw snapshotCorrupt(
            `${this.storage.url}/${this.filePath(ref.file)}`,
            block.offset,
            `the table spec ${block.specId} is not in the manifest`,
          );
        yield { table: block.table, keyGroup: block.keyGroup, entryCount: block.entryCount, bytes, spec };
      }
    }
  }
}

/** Bases first, then deltas by checkpoint. */
export function refOrder(a: StateRef, b: StateRef): number {
  if (a.kind !== b.kind) return a.kind === "base" ? -1 : 1;
  return a.checkpointId - b.checkpointId || a.from - b.from;
}
