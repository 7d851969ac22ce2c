// What a run tells the outside of itself: the body of `/v1/job`, read for metrics and the status line.
import type { Dataflow } from "../../plan/dataflow.ts";
import type { CheckpointRecord } from "./checkpointer.ts";
import type { JobRun } from "./job-run.ts";

export interface SubtaskStatus {
  readonly subtask: number;
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** Event time reached, ms; null before the first watermark. */
  readonly watermarkMs: number | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly gauges: Readonly<Record<string, number>>;
}

export interface OperatorStatus {
  readonly uid: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  readonly stateful: boolean;
  readonly subtasks: readonly SubtaskStatus[];
}

export interface RunStatus {
  readonly operators: readonly OperatorStatus[];
  /** Records that are there to be read but were not read yet, by source; null where the connector cannot know. */
  readonly lag: Readonly<Record<string, number | null>>;
  readonly state: { readonly memoryBytes: number; readonly diskBytes: number; readonly entries: number };
  readonly badRecords: number;
  /** Time spent since the start, ms. */
  readonly times: { readonly busyMs: number; readonly backpressuredMs: number; readonly idleMs: number };
  readonly lastCheckpoint: CheckpointRecord | null;
}

export function runStatus(run: JobRun, dataflow: Dataflow): RunStatus {
  const { task } = run;
  const watermarks = new Map<string, number>();
  for (const source of task.sources) watermarks.set(`${source.uid}/${source.subtask}`, source.watermarkMs);
  for (const { instance } of task.operators) watermarks.set(`${instance.uid}/${instance.subtask}`, instance.watermarkMs);
  for (const sink of task.sinks) watermarks.set(`${sink.uid}/${sink.subtask}`, sink.watermarkMs);
  const subtasks = new Map<string, SubtaskStatus[]>();
  for (const { uid, subtask, counters, counts, gauges } of task.metrics.instances()) {
    const watermarkMs = watermarks.get(`${uid}/${subtask}`) ?? -Infinity;
    const list = subtasks.get(uid) ?? [];
    list.push({
      subtask,
      rowsIn: counters.rowsIn,
      rowsOut: counters.rowsOut,
      watermarkMs: Number.isFinite(watermarkMs) ? watermarkMs : null,
      counts: Object.fromEntries(counts),
      gauges: Object.fromEntries([...gauges].map(([name, read]) => [name, read()])),
    });
    subtasks.set(uid, list);
  }
  return {
    operators: dataflow.nodes.map((node) => ({
      uid: node.uid,
      kind: node.kind,
      inputs: node.inputs.map((input) => input.from.uid),
      stateful: node.stateful,
      subtasks: subtasks.get(node.uid) ?? [],
    })),
    lag: lagOf(run),
    state: stateSize(run),
    badRecords: task.badRows.total,
    times: { ...run.loop.times },
    lastCheckpoint: run.checkpointer.last ?? null,
  };
}

function lagOf(run: JobRun): Readonly<Record<string, number | null>> {
  const lags: Record<string, number | null> = {};
  for (const source of run.task.sources) {
    const bySplit = source.reader.lag();
    const before = lags[source.uid];
    if (bySplit === undefined) lags[source.uid] ??= null;
    else lags[source.uid] = (before ?? 0) + [...bySplit.values()].reduce((sum, records) => sum + records, 0);
  }
  return lags;
}

function stateSize(run: JobRun): RunStatus["state"] {
  let memoryBytes = 0;
  let diskBytes = 0;
  let entries = 0;
  for (const { backend } of run.task.operators) {
    const size = backend?.sizeBytes();
    memoryBytes += size?.memory ?? 0;
    diskBytes += size?.disk ?? 0;
    entries += size?.entries ?? 0;
  }
  return { memoryBytes, diskBytes, entries };
}
