// Ties a job to its checkpoint store: takes the epoch, finds what to start from, checks it, and saves what barriers take.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import { CheckpointStore, type SnapshotRef } from "../../checkpoint/store/checkpoint-store.ts";
import { openSnapshot } from "../../checkpoint/store/open-snapshot.ts";
import { checkRestore } from "../../checkpoint/store/restore-check.ts";
import type { Restored } from "../../checkpoint/store/restored.ts";
import { openStorage, type StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import { deadLetterUid } from "../task/task-parts.ts";
import { BaseScanner } from "./base-scanner.ts";
import type { JobCapture, SavedSnapshot, SnapshotSaver } from "./checkpointer.ts";
import type { RestoredSource } from "./split-book.ts";
import type { RunStart } from "./supervisor.ts";

export interface JobSnapshotOptions {
  /** `file://` or `s3://`; undefined for a job that keeps nothing. */
  readonly storage: string | undefined;
  readonly storageOptions: StorageOptions;
  readonly dataflow: Dataflow;
  readonly maxParallelism: number;
  readonly retained: number;
  readonly initialSavepoint: string | undefined;
  readonly allowNonRestoredState: boolean;
  readonly merging: EntryMerging;
  readonly hasDeadLetterSink: boolean;
  readonly log: Log;
  readonly clock: Clock;
  /** The number of this deployment of the job; it fences those below it. Default 0. */
  readonly run?: number;
  /** Only a checkpoint of a run numbered so or above is gone on from. Default 0: whatever there is. */
  readonly sinceRun?: number;
  /** Opens `storage`. Default: what the URL's scheme says. */
  readonly openStorage?: (url: string, options: StorageOptions) => Promise<SnapshotStorage>;
}

/** A start, and what is known of the job's storage then. */
export interface SnapshotStart extends RunStart {
  readonly store: CheckpointStore | undefined;
  readonly storage: SnapshotStorage | undefined;
  /** Fences earlier writers; 0 without a storage. */
  readonly epoch: number;
  /** What is restored is one of the job's own checkpoints. */
  readonly ownRestored: boolean;
}

/** A function that prepares one attempt to run the job. */
export function jobSnapshots(options: JobSnapshotOptions): () => Promise<SnapshotStart> {
  return async () => {
    const opened: SnapshotStorage[] = [];
    try {
      return await begin(options, opened);
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  };
}

async function begin(options: JobSnapshotOptions, opened: SnapshotStorage[]): Promise<SnapshotStart> {
  const store = await openStore(options, opened);
  const epoch = (await store?.acquireEpoch(options.run)) ?? 0;
  const storage = opened[0];
  const own = await store?.latest(options.sinceRun);
  const ref = own ?? (await initialSnapshot(options, opened));
  const restored = ref === undefined ? undefined : await (store?.restore(ref, (found) => check(options, found)) ?? loadOnly(options, ref));
  const saver = store === undefined ? undefined : new StoreSaver(store, options);
  return {
    ...{ saver, store, storage, epoch, ownRestored: own !== undefined },
    restore: restored,
    restoredSources: restored === undefined ? new Map() : restoredSources(options.dataflow, restored),
    nextCheckpointId: store?.nextCheckpointId ?? (restored?.checkpointId ?? 0) + 1,
    restoredFrom: restored?.url,
    ...(saver === undefined ? {} : { background: (task) => saver.scanner.step(task) }),
    async sinksRestored() {
      // A savepoint of somebody else's is not written to.
      if (own !== undefined && restored?.manifest.kind === "checkpoint" && !restored.committed)
        await store?.markCommitted(restored.checkpointId);
    },
    async close() {
      await saver?.scanner.close();
      await store?.close();
      await closeAll(opened);
    },
  };
}

async function openStore(options: JobSnapshotOptions, opened: SnapshotStorage[]): Promise<CheckpointStore | undefined> {
  if (options.storage === undefined) return undefined;
  const storage = await (options.openStorage ?? openStorage)(options.storage, options.storageOptions);
  opened.push(storage);
  const { dataflow, maxParallelism, retained, merging, clock, log } = options;
  return CheckpointStore.open({
    storage,
    jobName: dataflow.name,
    jobId: dataflow.name,
    maxParallelism,
    planFingerprint: planFingerprint(planOf(dataflow)),
    retention: { count: retained },
    merging,
    clock,
    log,
  });
}

async function initialSnapshot(options: JobSnapshotOptions, opened: SnapshotStorage[]): Promise<SnapshotRef | undefined> {
  if (options.initialSavepoint === undefined) return undefined;
  const ref = await openSnapshot(options.initialSavepoint, options.storageOptions);
  opened.push(ref.storage);
  return ref;
}

async function loadOnly(options: JobSnapshotOptions, ref: SnapshotRef): Promise<Restored> {
  const store = CheckpointStore.open({
    storage: ref.storage,
    jobName: options.dataflow.name,
    jobId: options.dataflow.name,
    planFingerprint: "",
  });
  const restored = await store.load(ref);
  check(options, restored);
  return restored;
}

function check(options: JobSnapshotOptions, restored: Restored): void {
  const nodes = options.dataflow.nodes.map(({ uid, kind }) => ({ uid, kind }));
  if (options.hasDeadLetterSink || restored.uids.includes(deadLetterUid)) nodes.push({ uid: deadLetterUid, kind: deadLetterKind });
  const { allowNonRestoredState, maxParallelism } = options;
  checkRestore(restored.manifest, nodes, { allowNonRestoredState, maxParallelism }, restored.url);
}

const deadLetterKind = "sink.dead-letters";

function restoredSources(dataflow: Dataflow, restored: Restored): ReadonlyMap<string, RestoredSource> {
  const sources = new Map<string, RestoredSource>();
  for (const node of dataflow.nodes) {
    const source = node.body.kind === "source" ? restored.source(node.uid) : undefined;
    if (source !== undefined) sources.set(node.uid, source);
  }
  return sources;
}

async function closeAll(opened: readonly SnapshotStorage[]): Promise<void> {
  for (const storage of opened) await storage.close();
}

class StoreSaver implements SnapshotSaver {
  readonly scanner: BaseScanner;
  readonly #store: CheckpointStore;
  readonly #kinds: ReadonlyMap<string, string>;

  constructor(store: CheckpointStore, options: JobSnapshotOptions) {
    this.#store = store;
    this.#kinds = new Map([[deadLetterUid, deadLetterKind], ...options.dataflow.nodes.map(({ uid, kind }) => [uid, kind] as const)]);
    this.scanner = new BaseScanner(
      {
        due: (uid, keyGroups) => store.compactionDue(uid, keyGroups) === "base",
        start: (about) => store.startBase(about),
      },
      options.log,
    );
  }

  captured(capture: Pick<JobCapture, "checkpointId" | "task">, task: Parameters<BaseScanner["captured"]>[1]): void {
    const tables = new Map<string, readonly StoredTableSpec[]>();
    for (const { uid, subtask, keyed } of capture.task.operators) if (keyed !== undefined) tables.set(`${subtask} ${uid}`, keyed.tables);
    this.scanner.captured(capture.checkpointId, task, (uid, subtask) => tables.get(`${subtask} ${uid}`));
  }

  async save(capture: JobCapture): Promise<SavedSnapshot> {
    const writer = this.#store.begin(capture.checkpointId);
    try {
      for (const { uid, subtask, parallelism, keyGroups, keyed, lists, watermarkMs } of capture.task.operators) {
        const state = keyed === undefined ? {} : { keyGroups, keyed };
        await writer.addSubtask({ uid, kind: this.#kind(uid), subtask, parallelism, lists, watermarkMs, ...state });
      }
      for (const { uid, subtask, splits, splitWatermarks } of capture.task.sources) {
        const parallelism = capture.task.sources.filter((source) => source.uid === uid).length;
        const withTimes = splits.map((split) => ({ split, watermarkMs: splitWatermarks.get(split.id) ?? Number.NEGATIVE_INFINITY }));
        await writer.addSubtask({ uid, kind: this.#kind(uid), subtask, parallelism, splits: withTimes });
      }
      for (const [uid, states] of capture.sinkStates) {
        for (const [subtask, sinkState] of states.entries()) {
          await writer.addSubtask({ uid, kind: this.#kind(uid), subtask, parallelism: states.length, sinkState });
        }
      }
    } catch (error) {
      await writer.abort();
      throw error;
    }
    const { url, writtenBytes, totalBytes } = await writer.finish(sourceRecords(capture));
    return { location: url, writtenBytes, totalBytes };
  }

  savepoint(checkpointId: number, id: string): Promise<SavepointResult> {
    return this.#store.savepoint(checkpointId, id);
  }

  markCommitted(checkpointId: number, savepointId?: string): Promise<void> {
    return this.#store.markCommitted(checkpointId, savepointId);
  }

  #kind(uid: string): string {
    return this.#kinds.get(uid) ?? "unknown";
  }
}

// What enumerators keep, and which splits have ended: those that were handed out and that no reader holds any more.
function sourceRecords(capture: JobCapture): ReadonlyMap<string, { readonly enumerator: unknown; readonly finished: readonly string[] }> {
  const records = new Map<string, { readonly enumerator: unknown; readonly finished: readonly string[] }>();
  for (const [uid, { state, known }] of capture.enumerators) {
    const held = new Set(capture.task.sources.filter((source) => source.uid === uid).flatMap(({ splits }) => splits.map(({ id }) => id)));
    records.set(uid, { enumerator: state, finished: known.filter((id) => !held.has(id)) });
  }
  return records;
}
