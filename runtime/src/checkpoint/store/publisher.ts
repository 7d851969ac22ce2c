// Publishes checkpoints: data files are there already, then the manifest, then the `latest` pointer; afterwards what nobody needs goes.
import { createHash } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { assert, isMillraceError, MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { decodeManifest, encodeManifest } from "../format/manifest-codec.ts";
import type { AckFile, UploadAck } from "../upload/ack.ts";
import { BorrowedFiles } from "./borrowed-files.ts";
import { buildManifest } from "./build-manifest.ts";
import { checkpointFolder, manifestPath, resolveFrom } from "./layout.ts";
import { type PointerEntry, PointerWriter } from "./latest-pointer.ts";
import type { StatePart } from "./lineage.ts";
import { type Lineage, operatorRecords, type SourceRecord } from "./operator-record.ts";
import { type Retention, retain } from "./retention.ts";
import { type RolledDelta, withRolled } from "./roll-deltas.ts";
import type { StoredSnapshot } from "./stored-snapshot.ts";

export interface PublisherOptions {
  readonly storage: SnapshotStorage;
  /** The job's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  readonly jobName: string;
  readonly jobId: string;
  readonly maxParallelism: number;
  readonly planFingerprint: string;
  readonly createdBy: string;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PublishedCheckpoint {
  readonly checkpointId: number;
  readonly url: string;
  /** Bytes that were written for this checkpoint. */
  readonly writtenBytes: number;
  /** Bytes of all files that the checkpoint refers to. */
  readonly totalBytes: number;
  /** Checkpoints that are not kept any longer: their files can be deleted. */
  readonly dropped: readonly PointerEntry[];
}

export class Publisher {
  readonly #options: PublisherOptions;
  #pointer: PointerWriter | undefined;
  #lineage: Lineage = new Map();
  /** Files of the current lineage. */
  #files: ReadonlyMap<string, AckFile> = new Map();
  #borrowed: BorrowedFiles | undefined;
  readonly #pinned = new Map<number, number>();
  /** Rolled deltas that the next checkpoint takes in. */
  #rolled: readonly RolledDelta[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Takes the job over; returns the epoch. Earlier writers fail with FENCED from now on. */
  async acquireEpoch(run = 0): Promise<number> {
    const { storage, folder } = this.#options;
    this.#pointer = await PointerWriter.acquire(storage, folder, run);
    return this.#pointer.current.epoch;
  }

  get checkpoints(): readonly PointerEntry[] {
    return this.#writer.current.checkpoints;
  }

  get epoch(): number {
    return this.#writer.current.epoch;
  }

  /** State parts of the last published checkpoint, or of the restored snapshot before that. */
  partsOf(uid: string): readonly StatePart[] {
    return this.#lineage.get(uid)?.parts ?? [];
  }

  /** Files that checkpoints to come will refer to. */
  lineagePaths(): readonly string[] {
    return [
      ...[...this.#lineage.values()].flatMap(({ parts }) => parts.map((part) => part.path)),
      ...this.#rolled.map(({ file }) => file.path),
      ...(this.#borrowed?.copiedPaths() ?? []),
    ];
  }

  /** Rejects with FENCED when a later writer has taken over. */
  async checkEpoch(): Promise<void> {
    await this.#writer.check();
  }

  /** All uids with keyed state, and the parts that make it up. */
  lineages(): readonly { readonly uid: string; readonly parts: readonly StatePart[] }[] {
    return [...this.#lineage].map(([uid, { parts }]) => ({ uid, parts }));
  }

  /** Takes a rolled delta into the checkpoints to come. */
  addRolled(rolled: RolledDelta): void {
    this.#rolled = [...this.#rolled, rolled];
  }

  /** Starts from `snapshot`: its files are this job's own, or they are copied with the first checkpoint. */
  async startFrom(snapshot: StoredSnapshot, own: boolean): Promise<void> {
    const { storage, folder, jobId, log } = this.#options;
    const pathOf = (file: number): string => {
      return own
        ? resolveFrom(snapshot.folder, snapshot.manifest.files[file]?.path ?? "").slice(folder.length)
        : BorrowedFiles.markedPath(file);
    };
    this.#lineage = new Map(
      Object.entries(snapshot.manifest.operators).map(([uid, operator]) => {
        const specs = new Map(operator.tables.map((spec) => [spec.id, spec]));
        const parts = operator.state.map(({ file, tables, ...ref }) => ({
          ...ref,
          path: pathOf(file),
          specIds: tables.map((table) => operator.tables[table]?.id ?? ""),
        }));
        return [uid, { parts, specs }];
      }),
    );
    this.#files = new Map(
      snapshot.manifest.files.map(({ sizeBytes, sha256 }, number) => [pathOf(number), { path: pathOf(number), sizeBytes, sha256 }]),
    );
    this.#rolled = [];
    this.#borrowed = own ? undefined : new BorrowedFiles(snapshot, storage, folder, jobId);
    await this.#borrowed?.refer(log);
  }

  /**
   * Makes a checkpoint of what the uploaders wrote. May be tried again after a failure, with the same or new acks. Rejects with
   * FENCED when a later writer has taken over: then nothing was published and never will be by this writer.
   */
  async publish(
    checkpointId: number,
    acks: readonly UploadAck[],
    sources: ReadonlyMap<string, SourceRecord>,
  ): Promise<PublishedCheckpoint> {
    const pointer = this.#writer;
    await pointer.settleDoubt();
    const newest = pointer.current.checkpoints[0];
    assert(newest === undefined || newest.checkpointId <= checkpointId, `checkpoint ${checkpointId} comes after ${newest?.checkpointId}`);
    const { storage, folder, clock, retention } = this.#options;
    const { lineage: own, files: copied } =
      this.#borrowed === undefined
        ? { lineage: this.#lineage, files: [] }
        : await this.#borrowed.adopt(this.#lineage, this.epoch, checkpointId);
    const rolled = this.#rolled;
    const lineage = rolled.reduce(withRolledDelta, own);
    const operators = operatorRecords(acks, sources, lineage);
    const files = new Map(
      [...this.#files.values(), ...copied, ...rolled.map(({ file }) => file), ...acks.flatMap((ack) => ack.files)].map((file) => [
        file.path,
        file,
      ]),
    );
    const { jobName, jobId, maxParallelism, planFingerprint, createdBy } = this.#options;
    const createdMs = clock.now();
    const head = {
      kind: "checkpoint",
      jobName,
      jobId,
      checkpointId,
      epoch: this.epoch,
      planFingerprint,
      createdMs,
      createdBy,
      maxParallelism,
    } as const;
    const manifest = buildManifest(head, operators, files, "../");
    const content = encodeManifest(manifest);
    const path = manifestPath(checkpointFolder(checkpointId));
    const result = {
      checkpointId,
      url: `${storage.url}/${folder}${checkpointFolder(checkpointId).slice(0, -1)}`,
      writtenBytes:
        content.length + acks.reduce((sum, ack) => sum + ack.writtenBytes, 0) + copied.reduce((sum, file) => sum + file.sizeBytes, 0),
      totalBytes: content.length + manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    };
    let dropped: readonly PointerEntry[] = [];
    // An earlier try that seemed to fail may have come through: the pointer then has the checkpoint, and its manifest must stay.
    if (newest?.checkpointId !== checkpointId) {
      await this.#writeManifest(path, content);
      const entry: PointerEntry = {
        checkpointId,
        epoch: this.epoch,
        path,
        sha256: createHash("sha256").update(content).digest("hex"),
        createdMs,
      };
      const decided = retain([entry, ...pointer.current.checkpoints], retention, createdMs, new Set(this.#pinned.keys()));
      dropped = decided.dropped;
      await this.#publishPointer(pointer, decided.kept);
    }
    const used = new Set(operators.flatMap((operator) => operator.parts.map((part) => part.path)));
    this.#lineage = new Map(operators.map(({ uid, parts, specs }) => [uid, { parts, specs }]));
    this.#files = new Map([...files].filter(([name]) => used.has(name)));
    this.#rolled = this.#rolled.filter((one) => !rolled.includes(one));
    await this.#borrowed?.release(this.#options.log);
    this.#borrowed = undefined;
    return { ...result, dropped };
  }

  /** Keeps checkpoint `checkpointId` while `work` reads it. */
  async pinned<T>(checkpointId: number, work: () => Promise<T>): Promise<T> {
    this.#pinned.set(checkpointId, (this.#pinned.get(checkpointId) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#pinned.get(checkpointId) ?? 1) - 1;
      if (left === 0) this.#pinned.delete(checkpointId);
      else this.#pinned.set(checkpointId, left);
    }
  }

  async #publishPointer(pointer: PointerWriter, kept: readonly PointerEntry[]): Promise<void> {
    try {
      await pointer.publish(kept);
    } catch (error) {
      if (isMillraceError(error, "FENCED")) throw error;
      // It may have come through all the same; one more look tells, when the storage answers.
      await pointer.settleDoubt().catch((doubt: unknown) => {
        throw isMillraceError(doubt, "FENCED") ? doubt : error;
      });
      if (pointer.current.checkpoints[0]?.checkpointId !== kept[0]?.checkpointId) throw error;
    }
  }

  // A manifest that is there already was left by an attempt that was never published: by this writer, or by one before it.
  async #writeManifest(path: string, content: Buffer): Promise<void> {
    const { storage, folder } = this.#options;
    const full = `${folder}${path}`;
    try {
      await storage.create(full, content);
      return;
    } catch (error) {
      if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
    }
    const { content: there, version } = await storage.get(full);
    if (epochOf(there, full) > this.epoch) {
      throw new MillraceError(
        "FENCED",
        `${storage.url}/${full}`,
        "a later writer has written it",
        "stop this process: another one runs the job",
      );
    }
    await storage.replace(full, content, version);
  }

  get #writer(): PointerWriter {
    assert(this.#pointer !== undefined, "the epoch was acquired");
    return this.#pointer;
  }
}

function withRolledDelta(lineage: Lineage, rolled: RolledDelta): Lineage {
  const before = lineage.get(rolled.uid);
  if (before === undefined) return lineage;
  return new Map(lineage).set(rolled.uid, { parts: withRolled(before.parts, rolled), specs: before.specs });
}

// Damaged leftovers are nobody's.
function epochOf(content: Buffer, file: string): number {
  try {
    return decodeManifest(content, file).epoch;
  } catch {
    return 0;
  }
}
