// Opens the snapshot that a deployment names, checks that the job may start from it, and gives a slice its part.
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { SnapshotRef } from "../../../checkpoint/store/checkpoint-store.ts";
import { openSnapshot } from "../../../checkpoint/store/open-snapshot.ts";
import { checkRestore } from "../../../checkpoint/store/restore-check.ts";
import { Restored } from "../../../checkpoint/store/restored.ts";
import { StoredSnapshot } from "../../../checkpoint/store/stored-snapshot.ts";
import type { StorageOptions } from "../../../checkpoint/storage/open-storage.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { TaskRestore } from "../../task/task-parts.ts";
import { deadLetterUid } from "../../task/task-parts.ts";
import type { SnapshotLocation } from "../slot-protocol.ts";
import type { OpenedSnapshot } from "./slot-job.ts";

/** The kind under which the dead-letter sink's state is stored. */
export const deadLetterKind = "sink.dead-letters";

/** What a restored snapshot gives to a task. */
export function taskRestore(restored: Restored, location: SnapshotLocation): TaskRestore {
  return {
    checkpointId: location.checkpointId,
    committed: location.committed,
    keyedState: (uid, keyGroups) => restored.keyedState(uid, keyGroups),
    operatorState: (uid, list, subtask, parallelism) => restored.operatorState(uid, list, subtask, parallelism),
    sinkStates: (uid) => restored.sinkStates(uid),
    watermarkMs: (uid) => restored.watermarkMs(uid),
  };
}

/**
 * `own` is the storage that the slot writes to: its connections are warm, so what lies in it is read through it. What lies elsewhere is opened
 * for the time of the restore.
 */
export function snapshotOpener(
  dataflow: Dataflow,
  maxParallelism: number,
  storageOptions: StorageOptions,
  own: SnapshotStorage | undefined,
): (location: SnapshotLocation) => Promise<OpenedSnapshot> {
  const open = async (url: string): Promise<SnapshotRef> => {
    const below = own !== undefined && url.startsWith(`${own.url}/`) ? own : undefined;
    return below === undefined ? openSnapshot(url, storageOptions) : { storage: below, folder: `${url.slice(below.url.length + 1)}/` };
  };
  return async (location) => {
    const { storage: from, folder } = await open(location.url);
    const close = (): Promise<void> => (from === own ? Promise.resolve() : from.close());
    try {
      const restored = await Restored.load(await StoredSnapshot.open(from, folder, location.sha256));
      const nodes = [...dataflow.nodes.map(({ uid, kind }) => ({ uid, kind })), { uid: deadLetterUid, kind: deadLetterKind }];
      checkRestore(restored.manifest, nodes, { allowNonRestoredState: location.allowNonRestoredState, maxParallelism }, restored.url);
      return { restore: taskRestore(restored, location), close };
    } catch (error) {
      await close();
      throw error;
    }
  };
}
