// A job's checkpoints and savepoints: what a driver opens, restores from, writes to, and closes.
import { type Clock, systemClock } from "../../base/clock.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import { type Log, silentLog } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import type { Compression } from "../format/data-file.ts";
import { isPathPart } from "../storage/object-path.ts";
import type { UploadAck } from "../upload/ack.ts";
import type { BaseAbout, BaseUpload } from "../upload/base-upload.ts";
import type { CheckpointUpload, SubtaskSnapshot } from "../upload/checkpoint-upload.ts";
import { Collector } from "./collector.ts";
import { type CompactionOptions, decideCompaction, defaultCompaction } from "./compaction-policy.ts";
import { checkpointFolder, checkpointIdOf, committedName } from "./layout.ts";
import { type PointerEntry, readPointer, runOfEpoch } from "./latest-pointer.ts";
import type { Range } from "./lineage.ts";
import type { SourceRecord } from "./operator-record.ts";
import { Publisher, type PublishedCheckpoint } from "./publisher.ts";
import { Restored } from "./restored.ts";
import { defaultRetention, type Retention } from "./retention.ts";
import type { SavepointResult } from "../savepoint/savepoint-result.ts";
import { Savepoints } from "../savepoint/savepoints.ts";
import { rollDeltas } from "./roll-deltas.ts";
import { StoredSnapshot } from "./stored-snapshot.ts";
import { Uploader } from "../upload/uploader.ts";

export interface CheckpointStoreOptions {
  readonly storage: SnapshotStorage;
  readonly jobName: string;
  /** Names the job's folder in the storage; stable across restarts. Letters, digits and `. _ - =`. */
  readonly jobId: string;
  /** Default 128. */
  readonly maxParallelism?: number;
  /** `planFingerprint(plan)`. */
  readonly planFingerprint: string;
  /** Such as `millrace 0.1.0`. */
  readonly createdBy?: string;
  readonly retention?: Partial<Retention>;
  readonly compaction?: Partial<CompactionOptions>;
  /** Of blocks in data files. Default zstd. */
  readonly compression?: Compression;
  /** Files that no checkpoint refers to are deleted when they are older than this, ms. Default one hour. */
  readonly orphanAgeMs?: number;
  /** How to merge encoded entries; needed for savepoints. */
  readonly merging?: EntryMerging;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface SnapshotRef {
  readonly storage: SnapshotStorage;
  /** The snapshot's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  /** Of the manifest, where the pointer tells. */
  readonly sha256?: string;
}

const sweepIntervalMs = 6 * 3_600_000;
const maxCarriedBytes = 512 * 1024 * 1024;

export class CheckpointStore {
  readonly #options: CheckpointStoreOptions;
  readonly #storage: SnapshotStorage;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #compaction: CompactionOptions;
  readonly #publisher: Publisher;
  readonly #collector: Collector;
  /** Writes this process's part; the other half, publishing, may one day be elsewhere. */
  readonly uploader: Uploader;
  readonly #savepoints: Savepoints;
  #restoredId = 0;
  #cleaning: Promise<void> = Promise.resolve();
  #rolling: Promise<void> | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: CheckpointStoreOptions) {
    const { storage, jobName, jobId, planFingerprint, maxParallelism = 128, createdBy = "millrace", compression = "zstd" } = options;
    this.#options = options;
    this.#storage = storage;
    this.#folder = `${jobId}/`;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#compaction = { ...defaultCompaction, ...options.compaction };
    const common = { storage, folder: this.#folder, clock: this.#clock, log: this.#log };
    const retention = { ...defaultRetention, ...options.retention };
    this.#publisher = new Publisher({ ...common, jobName, jobId, maxParallelism, planFingerprint, createdBy, retention });
    this.#collector = new Collector(common);
    this.#savepoints = new Savepoints({ ...common, publisher: this.#publisher, merging: options.merging, compression });
    this.uploader = new Uploader({ ...common, compression, smallBaseBytes: this.#compaction.smallBaseBytes, maxCarriedBytes });
  }

  /** Throws OPTION_INVALID for options that cannot be. Reads and writes nothing yet. */
  static open(options: CheckpointStoreOptions): CheckpointStore {
    if (!isPathPart(options.jobId)) {
      throw new MillraceError(
        "OPTION_INVALID",
        `job id "${options.jobId}"`,
        "names a folder and is no good name for one",
        "use letters, digits and . _ - =",
      );
    }
    if ((options.retention?.count ?? 1) < 1) {
      throw new MillraceError("OPTION_INVALID", "option retention.count", "is below 1", "keep at least one checkpoint");
    }
    return new CheckpointStore(options);
  }

  /** Takes the job over; every earlier writer fails with FENCED from now on. Call it once, before anything is written. `run`: see `PointerWriter.acquire`. */
  async acquireEpoch(run = 0): Promise<number> {
    const epoch = await this.#publisher.acquireEpoch(run);
    this.uploader.setEpoch(epoch);
    return epoch;
  }

  /** The newest checkpoint of a run numbered `sinceRun` or above; undefined where there is none. */
  async latest(sinceRun = 0): Promise<SnapshotRef | undefined> {
    return this.#refTo((await readPointer(this.#storage, this.#folder))?.pointer.checkpoints[0], sinceRun);
  }

  /** The same as the storage had it when the epoch was taken. Needs the epoch: nobody else adds to it since. */
  newest(sinceRun = 0): SnapshotRef | undefined {
    return this.#refTo(this.#publisher.checkpoints[0], sinceRun);
  }

  /** All published checkpoints, newest first. */
  async checkpoints(): Promise<readonly SnapshotRef[]> {
    const found = await readPointer(this.#storage, this.#folder);
    return (found?.pointer.checkpoints ?? []).flatMap((entry) => this.#refTo(entry, 0) ?? []);
  }

  /** Reads a snapshot without changing anything. */
  async load(ref: SnapshotRef): Promise<Restored> {
    return Restored.load(await StoredSnapshot.open(ref.storage, ref.folder, ref.sha256));
  }

  /**
   * Makes `ref` what the next checkpoint builds on. Needs the epoch. A snapshot that is not one of this job's checkpoints is
   * copied into the job's folder with the first checkpoint; until then it must stay, and is marked as used. `check` may throw to
   * refuse the snapshot before anything is marked (see `checkRestore`).
   */
  async restore(ref: SnapshotRef, check?: (restored: Restored) => void): Promise<Restored> {
    // The same checkpoint may have been named by another way to it.
    const name = `${ref.storage.url}/${ref.folder}`.slice(`${this.#storage.url}/${this.#folder}`.length, -1);
    const own = checkpointIdOf(name) !== undefined && `${ref.storage.url}/${ref.folder}` === `${this.#storage.url}/${this.#folder}${name}/`;
    const snapshot = own
      ? await StoredSnapshot.open(this.#storage, `${this.#folder}${name}/`, ref.sha256)
      : await StoredSnapshot.open(ref.storage, ref.folder, ref.sha256);
    const restored = await Restored.load(snapshot);
    check?.(restored);
    this.uploader.reset();
    await this.#publisher.startFrom(snapshot, own);
    this.#restoredId = snapshot.manifest.checkpointId;
    return restored;
  }

  /** The id that the next checkpoint must have at least: ids rise over all runs of a job. Needs the epoch. */
  get nextCheckpointId(): number {
    return Math.max(this.#publisher.checkpoints[0]?.checkpointId ?? 0, this.#restoredId) + 1;
  }

  /** Begins a checkpoint. After a failure the same id may be begun again with the same captures, or a higher one with new ones. */
  begin(checkpointId: number): CheckpointWriter {
    return new CheckpointWriter(this.uploader.begin(checkpointId), (ack, sources) => this.publish(checkpointId, [ack], sources));
  }

  /** Publishes a checkpoint from the messages of all processes that took part. Rejects with FENCED for ever once it has. */
  async publish(
    checkpointId: number,
    acks: readonly UploadAck[],
    sources: ReadonlyMap<string, SourceRecord> = new Map(),
  ): Promise<PublishedCheckpoint> {
    await this.#cleaning;
    const published = await this.#publisher.publish(checkpointId, acks, sources);
    this.uploader.confirm(checkpointId);
    this.#cleaning = this.#clean(published).catch((error: unknown) => {
      // Nothing is wrong with the checkpoint: what was not deleted now is deleted by a later sweep.
      this.#log.warn("old checkpoints could not be deleted", { reason: messageOf(error) });
    });
    this.#rollWhereDue(checkpointId);
    return published;
  }

  /** `base` when an instance's state should get a new base now: then scan it, with `startBase`. */
  compactionDue(uid: string, keyGroups: Range): "none" | "base" {
    const { kind } = decideCompaction(this.#publisher.partsOf(uid), keyGroups, this.#compaction);
    // Deltas are rolled by the store itself, if it can.
    return kind === "roll" && this.#options.merging !== undefined ? "none" : kind === "none" ? "none" : "base";
  }

  /** Begins the upload of a base; see `BaseAbout` and `BaseUpload.finish` for the order it needs. */
  startBase(about: BaseAbout): BaseUpload {
    return this.uploader.startBase(about);
  }

  /** Records that all sinks have committed checkpoint `checkpointId`; and so the savepoint made from it, if its id is given. */
  async markCommitted(checkpointId: number, savepointId?: string): Promise<void> {
    const content = Buffer.from(
      `${JSON.stringify({ epoch: this.#publisher.epoch, committedAt: new Date(this.#clock.now()).toISOString() })}\n`,
    );
    await this.#storage.put(`${this.#folder}${checkpointFolder(checkpointId)}${committedName}`, content);
    if (savepointId !== undefined) await this.#savepoints.markCommitted(savepointId, content);
  }

  /**
   * Makes a self-contained copy of a published checkpoint under `savepoints/<id>`. With an id that was used before, returns what
   * came of it then. Rejects with SAVEPOINT_ID_INVALID, CHECKPOINT_GONE, SNAPSHOT_CORRUPT or a storage error.
   */
  savepoint(checkpointId: number, id: string): Promise<SavepointResult> {
    return this.#savepoints.make(checkpointId, id);
  }

  /** The job's newest savepoints, at most `limit`. */
  savepointResults(limit: number): Promise<readonly SavepointResult[]> {
    return this.#savepoints.results(limit);
  }

  /** What came of the savepoint with this id; undefined when there is none. */
  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#savepoints.resultOf(id);
  }

  /** Deletes files that nothing refers to and that are older than `orphanAgeMs`; happens by itself after the first checkpoint, and every six hours. */
  async sweep(): Promise<readonly string[]> {
    // Whoever was fenced must not delete: the files it does not know may be its successor's.
    await this.#publisher.checkEpoch();
    return this.#collector.sweep(
      () => ({ listed: this.#publisher.checkpoints, needed: this.#needed() }),
      this.#options.orphanAgeMs ?? 3_600_000,
    );
  }

  /** Waits for deletions under way. The storage stays open: it is its opener's. */
  async close(): Promise<void> {
    await this.#cleaning;
    await this.#rolling;
    await this.#savepoints.settled();
  }

  #refTo(entry: PointerEntry | undefined, sinceRun: number): SnapshotRef | undefined {
    if (entry === undefined || runOfEpoch(entry.epoch) < sinceRun) return undefined;
    const { checkpointId, sha256 } = entry;
    return { storage: this.#storage, folder: `${this.#folder}${checkpointFolder(checkpointId)}`, sha256 };
  }

  async #clean(published: PublishedCheckpoint): Promise<void> {
    await this.#collector.collect(published.dropped, this.#publisher.checkpoints, this.#needed());
    // Now and then again, for what failed to be deleted since.
    if (this.#clock.now() - this.#sweptAtMs < sweepIntervalMs) return;
    this.#sweptAtMs = this.#clock.now();
    await this.sweep();
  }

  // One operator at a time, in the background: the next checkpoint takes in what is ready by then.
  #rollWhereDue(checkpointId: number): void {
    const { merging, maxParallelism = 128 } = this.#options;
    if (merging === undefined || this.#rolling !== undefined) return;
    for (const { uid, parts } of this.#publisher.lineages()) {
      const decided = decideCompaction(parts, { from: 0, to: maxParallelism }, this.#compaction);
      if (decided.kind !== "roll") continue;
      this.#rolling = this.#publisher
        .pinned(checkpointId, async () => {
          const entry = this.#publisher.checkpoints.find((one) => one.checkpointId === checkpointId);
          const snapshot = await StoredSnapshot.open(this.#storage, `${this.#folder}${checkpointFolder(checkpointId)}`, entry?.sha256);
          const rolled = await rollDeltas(snapshot, uid, decided.parts, merging, this.uploader);
          if (rolled === undefined) return;
          this.#publisher.addRolled(rolled);
          this.uploader.settled(rolled.file.path);
        })
        .catch((error: unknown) => this.#log.warn("deltas could not be rolled", { uid, reason: messageOf(error) }))
        .finally(() => {
          this.#rolling = undefined;
        });
      return;
    }
  }

  #needed(): ReadonlySet<string> {
    return new Set([...this.#publisher.lineagePaths(), ...this.uploader.unconfirmedPaths(), ...this.#savepoints.foldersUnderWay()]);
  }
}

/** One checkpoint of a job that runs in this process: its upload, then its publication. */
export class CheckpointWriter {
  readonly #upload: CheckpointUpload;
  readonly #publish: (ack: UploadAck, sources: ReadonlyMap<string, SourceRecord>) => Promise<PublishedCheckpoint>;

  constructor(
    upload: CheckpointUpload,
    publish: (ack: UploadAck, sources: ReadonlyMap<string, SourceRecord>) => Promise<PublishedCheckpoint>,
  ) {
    this.#upload = upload;
    this.#publish = publish;
  }

  /** Writes the state of one instance; several may be under way. All instances with state must be added. */
  addSubtask(snapshot: SubtaskSnapshot): Promise<void> {
    return this.#upload.addSubtask(snapshot);
  }

  /** Completes the data file and publishes the checkpoint. `sources`: by uid, what the split enumerators keep. */
  async finish(sources: ReadonlyMap<string, SourceRecord> = new Map()): Promise<PublishedCheckpoint> {
    try {
      return await this.#publish(await this.#upload.finish(), sources);
    } catch (error) {
      await this.#upload.abort();
      throw error;
    } finally {
      this.#upload.settled();
    }
  }

  /** Gives the checkpoint up. What was captured is written with the next one. */
  abort(): Promise<void> {
    return this.#upload.abort();
  }
}
