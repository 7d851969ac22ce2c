// Ties a query to its checkpoint store: takes the epoch, restores, and publishes what each batch changed.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import { CheckpointStore, type SnapshotRef } from "../../checkpoint/store/checkpoint-store.ts";
import { openSnapshot } from "../../checkpoint/store/open-snapshot.ts";
import { checkRestore } from "../../checkpoint/store/restore-check.ts";
import type { Restored, RestoredSplits } from "../../checkpoint/store/restored.ts";
import type { UploadAck } from "../../checkpoint/upload/ack.ts";
import type { SubtaskSnapshot } from "../../checkpoint/upload/checkpoint-upload.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { BaseScanner, type ScannedTask } from "../continuous/base-scanner.ts";
import type { QueryRestore } from "./query-options.ts";

export interface QuerySnapshotOptions {
  readonly storage: SnapshotStorage;
  readonly storageOptions: StorageOptions;
  readonly dataflow: Dataflow;
  readonly run: number;
  readonly restore: QueryRestore;
  readonly allowNonRestoredState: boolean;
  readonly maxParallelism: number;
  readonly retained: number;
  readonly log: Log;
  readonly clock: Clock;
}

/** The list, beside the sink's state, that says which query wrote a snapshot. */
export const identityList = "query";

/** What an enumerator keeps, and which splits have ended. */
export interface SourceState {
  readonly enumerator: unknown;
  readonly finished: readonly string[];
}

export class QuerySnapshots {
  /** Fences earlier drivers: they can publish nothing any more. */
  readonly epoch: number;
  readonly restored: Restored | undefined;
  /** The restored snapshot is one of the query's own checkpoints, so its output may be left to commit. */
  readonly ownRestored: boolean;
  readonly #store: CheckpointStore;
  readonly #scanner: BaseScanner;
  readonly #kinds: ReadonlyMap<string, string>;

  private constructor(
    options: QuerySnapshotOptions,
    store: CheckpointStore,
    epoch: number,
    found: { readonly restored: Restored; readonly own: boolean } | undefined,
  ) {
    this.epoch = epoch;
    this.restored = found?.restored;
    this.ownRestored = found?.own ?? false;
    this.#store = store;
    this.#kinds = new Map(options.dataflow.nodes.map(({ uid, kind }) => [uid, kind]));
    this.#scanner = new BaseScanner(
      { due: (uid, keyGroups) => store.compactionDue(uid, keyGroups) === "base", start: (about) => store.startBase(about) },
      options.log,
    );
  }

  /** Takes the query over and restores what it goes on from. `check` and the restore itself reject with what they refuse. */
  static async open(options: QuerySnapshotOptions, check: (restored: Restored) => void): Promise<QuerySnapshots> {
    const { storage, dataflow, maxParallelism, retained, log, clock, allowNonRestoredState } = options;
    const store = CheckpointStore.open({
      storage,
      jobName: dataflow.name,
      jobId: dataflow.name,
      maxParallelism,
      planFingerprint: planFingerprint(planOf(dataflow)),
      retention: { count: retained },
      merging: entryMerging,
      clock,
      log,
    });
    const epoch = await store.acquireEpoch(options.run);
    const { sinceRun, location } = options.restore;
    const own = await store.latest(sinceRun);
    const ref = own ?? (location === undefined ? undefined : await openSnapshot(location, options.storageOptions));
    if (ref === undefined) return new QuerySnapshots(options, store, epoch, undefined);
    const nodes = dataflow.nodes.map(({ uid, kind }) => ({ uid, kind }));
    const foreign: readonly SnapshotRef[] = own === undefined ? [ref] : [];
    try {
      const restored = await store.restore(ref, (found) => {
        check(found);
        checkRestore(found.manifest, nodes, { allowNonRestoredState, maxParallelism }, found.url);
      });
      const made = new QuerySnapshots(options, store, epoch, { restored, own: own !== undefined });
      made.#opened.push(...foreign);
      return made;
    } catch (error) {
      for (const { storage: opened } of foreign) await opened.close();
      throw error;
    }
  }

  readonly #opened: SnapshotRef[] = [];

  /** The batch before the next one: ids rise over all runs at a location. -1 for none. */
  get lastBatchId(): number {
    return this.#store.nextCheckpointId - 2;
  }

  /** Makes a self-contained copy of a checkpoint of this query; with an id that was used before, says what came of it then. */
  savepoint(checkpointId: number, id: string): Promise<SavepointResult> {
    return this.#store.savepoint(checkpointId, id);
  }

  /** What came of the savepoint with this id; undefined when there is none. */
  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#store.savepointResult(id);
  }

  source(uid: string): RestoredSplits | undefined {
    return this.restored?.source(uid);
  }

  /** The double that the list of an operator holds under `key`; -Infinity where there is none. */
  number(uid: string, list: string, key: string): number {
    const value = this.restored?.operatorState(uid, list, 0, 1).find((entry) => entry.key === key)?.value;
    return value === undefined ? Number.NEGATIVE_INFINITY : new DataView(value.buffer, value.byteOffset, 8).getFloat64(0, true);
  }

  /** Publishes the state after a batch, with what executors wrote of it. Rejects with FENCED where another driver has taken the query over. */
  async publish(
    checkpointId: number,
    subtasks: readonly Omit<SubtaskSnapshot, "kind" | "subtask" | "parallelism">[],
    sources: ReadonlyMap<string, SourceState>,
    task: ScannedTask,
    acks: readonly UploadAck[] = [],
  ): Promise<string> {
    const tables = new Map(subtasks.flatMap(({ uid, keyed }) => (keyed === undefined ? [] : [[uid, keyed.tables] as const])));
    this.#scanner.captured(checkpointId, task, (uid) => tables.get(uid));
    const upload = this.#store.uploader.begin(checkpointId);
    try {
      for (const subtask of subtasks)
        await upload.addSubtask({ ...subtask, kind: this.#kinds.get(subtask.uid) ?? "unknown", subtask: 0, parallelism: 1 });
      const { url } = await this.#store.publish(checkpointId, [await upload.finish(), ...acks], sources);
      return url;
    } catch (error) {
      await upload.abort();
      throw error;
    } finally {
      upload.settled();
    }
  }

  /** A part of an operator's state should get a new base now. */
  baseDue(uid: string, keyGroups: { readonly from: number; readonly to: number }): boolean {
    return this.#store.compactionDue(uid, keyGroups) === "base";
  }

  /** Does a slice of a base, where one is due. */
  background(task: ScannedTask): void {
    this.#scanner.step(task);
  }

  markCommitted(checkpointId: number): Promise<void> {
    return this.#store.markCommitted(checkpointId);
  }

  async close(): Promise<void> {
    await this.#scanner.close();
    await this.#store.close();
    for (const { storage } of this.#opened) await storage.close();
  }
}
