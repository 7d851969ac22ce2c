// Ties a query to its checkpoint store: takes the epoch, restores, and publishes what each batch changed.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { CheckpointStore } from "../../checkpoint/store/checkpoint-store.ts";
import { checkRestore } from "../../checkpoint/store/restore-check.ts";
import type { Restored, RestoredSplits } from "../../checkpoint/store/restored.ts";
import type { SubtaskSnapshot } from "../../checkpoint/upload/checkpoint-upload.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { BaseScanner, type ScannedTask } from "../continuous/base-scanner.ts";

export interface QuerySnapshotOptions {
  readonly storage: SnapshotStorage;
  readonly dataflow: Dataflow;
  readonly maxParallelism: number;
  readonly retained: number;
  readonly log: Log;
  readonly clock: Clock;
}

/** What an enumerator keeps, and which splits have ended. */
export interface SourceState {
  readonly enumerator: unknown;
  readonly finished: readonly string[];
}

export class QuerySnapshots {
  /** Fences earlier drivers: they can publish nothing any more. */
  readonly epoch: number;
  readonly restored: Restored | undefined;
  readonly #store: CheckpointStore;
  readonly #scanner: BaseScanner;
  readonly #kinds: ReadonlyMap<string, string>;

  private constructor(options: QuerySnapshotOptions, store: CheckpointStore, epoch: number, restored: Restored | undefined) {
    this.epoch = epoch;
    this.restored = restored;
    this.#store = store;
    this.#kinds = new Map(options.dataflow.nodes.map(({ uid, kind }) => [uid, kind]));
    this.#scanner = new BaseScanner(
      { due: (uid, keyGroups) => store.compactionDue(uid, keyGroups) === "base", start: (about) => store.startBase(about) },
      options.log,
    );
  }

  /** Takes the query over and restores its newest state. Rejects with what the restore refuses. */
  static async open(options: QuerySnapshotOptions): Promise<QuerySnapshots> {
    const { storage, dataflow, maxParallelism, retained, log, clock } = options;
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
    const epoch = await store.acquireEpoch();
    const ref = await store.latest();
    const nodes = dataflow.nodes.map(({ uid, kind }) => ({ uid, kind }));
    const restored =
      ref === undefined
        ? undefined
        : await store.restore(ref, (found) =>
            checkRestore(found.manifest, nodes, { allowNonRestoredState: false, maxParallelism }, found.url),
          );
    return new QuerySnapshots(options, store, epoch, restored);
  }

  source(uid: string): RestoredSplits | undefined {
    return this.restored?.source(uid);
  }

  /** The double that the list of an operator holds under `key`; -Infinity where there is none. */
  number(uid: string, list: string, key: string): number {
    const value = this.restored?.operatorState(uid, list, 0, 1).find((entry) => entry.key === key)?.value;
    return value === undefined ? Number.NEGATIVE_INFINITY : new DataView(value.buffer, value.byteOffset, 8).getFloat64(0, true);
  }

  /** Publishes the state after a batch. Rejects with FENCED where another driver has taken the query over. */
  async publish(
    checkpointId: number,
    subtasks: readonly Omit<SubtaskSnapshot, "kind" | "subtask" | "parallelism">[],
    sources: ReadonlyMap<string, SourceState>,
    task: ScannedTask,
  ): Promise<void> {
    const tables = new Map(subtasks.flatMap(({ uid, keyed }) => (keyed === undefined ? [] : [[uid, keyed.tables] as const])));
    this.#scanner.captured(checkpointId, task, (uid) => tables.get(uid));
    const writer = this.#store.begin(checkpointId);
    try {
      for (const subtask of subtasks)
        await writer.addSubtask({ ...subtask, kind: this.#kinds.get(subtask.uid) ?? "unknown", subtask: 0, parallelism: 1 });
    } catch (error) {
      await writer.abort();
      throw error;
    }
    await writer.finish(sources);
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
  }
}
