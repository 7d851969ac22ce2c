// One task's part of a savepoint: reads its state, which stands still, and uploads it as what an instance of a job would have written.
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import { savepointUploader } from "../../../checkpoint/savepoint/savepoint-parts.ts";
import type { CheckpointUpload } from "../../../checkpoint/upload/checkpoint-upload.ts";
import type { Uploader } from "../../../checkpoint/upload/uploader.ts";
import { keyGroupRange } from "../../../plan/key-groups.ts";
import type { OperatorCapture, TaskCapture } from "../../task/captures.ts";
import type { OperatorSlot } from "../../task/task.ts";
import type { TaskPlace } from "../task/task-host.ts";

/** A task at the commit of its cut. */
export interface TaskCut {
  readonly place: TaskPlace;
  readonly capture: TaskCapture;
  readonly slots: readonly OperatorSlot[];
}

export interface CutTarget {
  readonly storage: SnapshotStorage;
  /** The application's folder, with a slash at its end. */
  readonly jobFolder: string;
  readonly savepointId: string;
  readonly checkpointId: number;
  readonly maxParallelism: number;
  /** The number of tasks of each sub-topology. */
  readonly counts: readonly number[];
}

const sliceBytes = 256 * 1024;

/**
 * Task p of n is what instance p of parallelism n is in a cluster: repartition topics give it the same key groups. Rows wait nowhere, since
 * the cut came behind everything in its repartition topics; offsets of sources are the splits' positions.
 */
export async function uploadCut({ place, capture, slots }: TaskCut, target: CutTarget): Promise<UploadAck> {
  const { partition, subTopology } = place;
  const parallelism = target.counts[subTopology.id] as number;
  const uploader = savepointUploader(target.storage, target.jobFolder, target.savepointId);
  // A join with a global table has no state here: in another shape it reads its table anew.
  const kept = subTopology.nodes.filter(({ body }) => body.kind !== "operator" || body.overTable === undefined);
  const kinds = new Map(kept.map((node) => [node.uid, node.kind]));
  const keyGroups = keyGroupRange(partition, parallelism, target.maxParallelism);
  const bases = capture.operators.filter(({ uid, keyed }) => kinds.has(uid) && keyed !== undefined && keyed.tables.length > 0);
  for (const operator of bases) await readBase(operator, slots, uploader, partition, keyGroups, target.checkpointId - 1);
  const upload = uploader.begin(target.checkpointId);
  try {
    await addAll(upload, capture, kinds, partition, parallelism, keyGroups);
    return await upload.finish();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

async function readBase(
  { uid, keyed }: OperatorCapture,
  slots: readonly OperatorSlot[],
  uploader: Uploader,
  subtask: number,
  keyGroups: { readonly from: number; readonly to: number },
  sinceCheckpointId: number,
): Promise<void> {
  const backend = slots.find((slot) => slot.instance.uid === uid)?.backend;
  if (backend === undefined || keyed === undefined) return;
  const base = uploader.startBase({ uid, subtask, keyGroups, tables: keyed.tables, sinceCheckpointId });
  const scan = backend.startBase();
  try {
    for (let blocks = scan.next(sliceBytes); blocks !== null; blocks = scan.next(sliceBytes)) await base.add(blocks);
    await base.finish(sinceCheckpointId);
  } catch (error) {
    scan.cancel();
    await base.cancel();
    throw error;
  }
}

async function addAll(
  upload: CheckpointUpload,
  { operators, sources }: TaskCapture,
  kinds: ReadonlyMap<string, string>,
  subtask: number,
  parallelism: number,
  keyGroups: { readonly from: number; readonly to: number },
): Promise<void> {
  for (const { uid, keyed, lists, watermarkMs } of operators) {
    const kind = kinds.get(uid);
    if (kind === undefined) continue;
    // All entries are in the base; what changed since the last commit is part of it.
    const state = keyed === undefined ? {} : { keyGroups, keyed: { tables: keyed.tables, blocks: [] } };
    await upload.addSubtask({ uid, kind, subtask, parallelism, lists, watermarkMs, ...state });
  }
  for (const { uid, splits, splitWatermarks } of sources) {
    const kind = kinds.get(uid) as string;
    const withTimes = splits.map((split) => ({ split, watermarkMs: splitWatermarks.get(split.id) ?? Number.NEGATIVE_INFINITY }));
    await upload.addSubtask({ uid, kind, subtask, parallelism, splits: withTimes });
  }
}
