// What a task that runs tells of itself: counters and gauges of its instances, event time, state and commits. Read when somebody asks.
import type { Task } from "../../task/task.ts";
import type { TaskPlace } from "./task-host.ts";

export interface InstanceFigures {
  readonly uid: string;
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** Null before the first watermark, and for sources and sinks. */
  readonly watermarkMs: number | null;
  readonly counts: Readonly<Record<string, number>>;
}

export interface TaskFigures {
  readonly taskId: string;
  readonly partition: number;
  readonly instances: readonly InstanceFigures[];
  readonly badRecords: number;
  readonly state: { readonly memoryBytes: number; readonly diskBytes: number; readonly entries: number };
  readonly commits: number;
  /** How long the last commit took, ms. */
  readonly commitMs: number;
}

export function taskFigures(task: Task, { id, partition, subTopology }: TaskPlace, commits: number, commitMs: number): TaskFigures {
  const uids = new Set(subTopology.nodes.map((node) => node.uid));
  const watermarks = new Map(task.operators.map(({ instance }) => [instance.uid, instance.watermarkMs]));
  const sizes = task.operators.map(({ backend }) => backend?.sizeBytes());
  const sum = (of: "memory" | "disk" | "entries"): number => sizes.reduce((total, size) => total + (size?.[of] ?? 0), 0);
  return {
    taskId: id,
    partition,
    instances: task.metrics
      .instances()
      .filter(({ uid }) => uids.has(uid))
      .map(({ uid, counters, counts }) => {
        const watermarkMs = watermarks.get(uid);
        return {
          uid,
          rowsIn: counters.rowsIn,
          rowsOut: counters.rowsOut,
          watermarkMs: watermarkMs !== undefined && Number.isFinite(watermarkMs) ? watermarkMs : null,
          counts: Object.fromEntries(counts),
        };
      }),
    badRecords: task.badRows.total,
    state: { memoryBytes: sum("memory"), diskBytes: sum("disk"), entries: sum("entries") },
    commits,
    commitMs,
  };
}
