// Opens the snapshot that a deployment names, checks that the job may start from it, and gives a slice its part.
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

export function snapshotOpener(
  dataflow: Dataflow,
  maxParallelism: number,
  storageOptions: StorageOptions,
): (location: SnapshotLocation) => Promise<OpenedSnapshot> {
  return async (location) => {
    const { storage, folder } = await openSnapshot(location.url, storageOptions);
    try {
      const restored = await Restored.load(await StoredSnapshot.open(storage, folder, location.sha256));
      const nodes = [...dataflow.nodes.map(({ uid, kind }) => ({ uid, kind })), { uid: deadLetterUid, kind: deadLetterKind }];
      checkRestore(restored.manifest, nodes, { allowNonRestoredState: location.allowNonRestoredState, maxParallelism }, restored.url);
      return { restore: taskRestore(restored, location), close: () => storage.close() };
    } catch (error) {
      await storage.close();
      throw error;
    }
  };
}
