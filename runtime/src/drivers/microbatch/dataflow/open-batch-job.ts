// Everything that one run of a job in batches has open: its storage with the logs, and its restored instances.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { systemClock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import { silentLog } from "../../../base/log.ts";
import type { CheckpointStore } from "../../../checkpoint/store/checkpoint-store.ts";
import { firstEpochOfRun } from "../../../checkpoint/store/latest-pointer.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import { entryMerging } from "../../../state/entry-merging.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { jobSnapshots } from "../../continuous/job-snapshots.ts";
import { makeWorkFolder } from "../../work-folder.ts";
import { BatchLog } from "../log/batch-log.ts";
import { type Recovery, recoverBatches } from "../log/recovery.ts";
import { checkRunEnd, writeRunEnd } from "../log/run-end.ts";
import type { BatchJobOptions } from "./batch-job-options.ts";
import { BatchTask } from "./batch-task.ts";

export interface OpenBatchJob {
  readonly batches: BatchTask;
  readonly batchLog: BatchLog;
  readonly store: CheckpointStore;
  readonly epoch: number;
  readonly recovery: Recovery;
  readonly restoredFrom: string | undefined;
  /** What is restored is one of the job's own checkpoints: a savepoint may be made from it. */
  readonly ownRestored: boolean;
  /** Writes down that this run ends with a savepoint: no driver of it goes on. */
  endRun(savepoint: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens and restores; rejects with why the job cannot run. Whatever was opened is closed again then. */
export async function openBatchJob(options: BatchJobOptions): Promise<OpenBatchJob> {
  const log = options.log ?? silentLog;
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse())
      await one().catch((error: unknown) => log.warn("a part of the job could not be closed", { reason: messageOf(error) }));
  };
  try {
    return await open(options, opened, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(options: BatchJobOptions, opened: (() => Promise<void>)[], close: () => Promise<void>): Promise<OpenBatchJob> {
  const { dataflow, trigger, clock = systemClock, log = silentLog, maxParallelism = 128, run = 0, restore = {} } = options;
  const folder = await makeWorkFolder(undefined, log);
  opened.push(() => folder.remove());
  const start = await jobSnapshots({
    ...{ dataflow, maxParallelism, clock, log, run, merging: entryMerging, retained: options.retained ?? 3 },
    storage: options.checkpointLocation ?? pathToFileURL(join(folder.path, "checkpoint")).href,
    storageOptions: options.storageOptions ?? {},
    ...(restore.sinceRun === undefined ? {} : { sinceRun: restore.sinceRun }),
    initialSavepoint: restore.location,
    allowNonRestoredState: options.allowNonRestoredState ?? false,
    hasDeadLetterSink: options.deadLetterSink !== undefined,
    ...(options.openStorage === undefined ? {} : { openStorage: options.openStorage }),
  })();
  opened.push(() => start.close());
  const { epoch, ownRestored, nextCheckpointId, restoredFrom } = start;
  const [storage, store] = [start.storage as SnapshotStorage, start.store as CheckpointStore];
  const logs = `${dataflow.name}/`;
  if (run > 0) await checkRunEnd(storage, logs, run);
  const batchLog = new BatchLog(storage, logs, firstEpochOfRun(restore.sinceRun ?? 0));
  const lastBatchId = nextCheckpointId - 2;
  const recovery = await recoverBatches(batchLog, { lastBatchId, ownRestored }, `checkpoint location ${storage.url}/${dataflow.name}`);
  const workDirectory = join(folder.path, "state");
  await mkdir(workDirectory);
  const { saver, restore: restored, restoredSources, background } = start;
  const batches = await BatchTask.open({
    ...{ dataflow, clock, log, maxParallelism, workDirectory, saver, restoredSources, nextCheckpointId },
    jobName: dataflow.name,
    parallelism: options.parallelism ?? 1,
    bounded: trigger.kind !== "processingTime",
    stateBackend: options.stateBackend ?? memoryBackend(),
    checkpointIntervalMs: trigger.kind === "processingTime" ? Math.max(trigger.intervalMs, 1000) : 10_000,
    checkpoints: {
      ...{ intervalMs: Infinity, minPauseMs: 0, tolerableFailures: options.tolerableFailures ?? 10 },
      ...(options.checkpointTimeoutMs === undefined ? {} : { timeoutMs: options.checkpointTimeoutMs }),
    },
    badRows: options.badRows ?? { onBadRecord: "dead-letter", maxPerMinute: 1000 },
    ...(options.bufferBytes === undefined ? {} : { bufferBytes: options.bufferBytes }),
    ...(options.deadLetterSink === undefined ? {} : { deadLetterSink: options.deadLetterSink }),
    ...(restored === undefined ? {} : { restore: restored }),
    ...(background === undefined ? {} : { background }),
  });
  opened.push(() => batches.close());
  await start.sinksRestored();
  return {
    ...{ batches, batchLog, store, epoch, recovery, restoredFrom, ownRestored, close },
    endRun: async (savepoint) => {
      if (run > 0) await writeRunEnd(storage, logs, { run, savepoint });
    },
  };
}
