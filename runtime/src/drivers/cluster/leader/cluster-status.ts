// What a leader tells of its job: put together from what slices report and the coordinator knows.
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { CheckpointRecord } from "../../continuous/checkpointer.ts";
import type { RunStatus, SubtaskStatus } from "../../continuous/job-status.ts";
import type { JobState as ProcessState } from "../../continuous/supervisor.ts";
import { slotsNeeded, subtasksOf } from "../coordinator/job-graph.ts";
import type { JobState } from "../coordinator/job-state.ts";
import type { SliceReport } from "../slot-protocol.ts";

export interface RegionStatus {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly vertices: readonly { readonly uid: string; readonly parallelism: number }[];
  readonly slices: readonly SliceStatusView[];
}

export interface SliceStatusView {
  readonly slot: number;
  readonly taskManagerId: string;
  readonly state: string;
  /** Shares of the time between the last two reports, 0 to 1. */
  readonly busy: number;
  readonly backpressured: number;
  readonly idle: number;
  readonly queuedBytesIn: number;
  readonly queuedBytesOut: number;
}

export interface ClusterStatus {
  readonly epoch: number;
  readonly state: ProcessState;
  readonly waitingFor: string | null;
  readonly parallelism: number;
  readonly restarts: number;
  readonly lastFailure: string | null;
  readonly runningSinceMs: number | null;
  readonly slots: { readonly present: number; readonly needed: number; readonly missing: number };
  readonly taskManagers: readonly { readonly id: string; readonly connected: boolean; readonly slots: number }[];
  readonly regions: readonly RegionStatus[];
  readonly lastCheckpoint: { readonly id: number; readonly location: string; readonly completedAtMs: number } | null;
  readonly processing: RunStatus | null;
}

/** `toWallMs` turns the coordinator's times into times of day. */
export function clusterStatus(job: JobState, dataflow: Dataflow, toWallMs: (ms: number) => number): ClusterStatus {
  const needed = slotsNeeded(job.graph, job.record.parallelism);
  const { present } = job.pool;
  const last = lastCompleted(job);
  return {
    epoch: job.options.epoch,
    state: stateOf(job),
    waitingFor: job.waitingFor,
    parallelism: job.record.parallelism.job,
    restarts: job.record.restarts,
    lastFailure: job.record.reason ?? job.lastFailure,
    runningSinceMs: runs(job) ? toWallMs(Math.max(...job.regions.map((region) => region.ranSinceMs))) : null,
    slots: { present, needed, missing: Math.max(0, needed - present) },
    taskManagers: job.pool.taskManagers().map(({ id, connected, slots }) => ({ id, connected, slots: slots.length })),
    regions: job.regions.map((region) => ({
      id: region.id,
      state: region.state,
      attempt: region.attempt,
      vertices: region.plan.vertices.map((vertex) => ({
        uid: vertex.uid,
        parallelism:
          region.vertices.find((one) => one.uid === vertex.uid)?.parallelism ??
          subtasksOf(vertex, job.record.parallelism, job.graph.maxParallelism),
      })),
      slices: [...region.slices.values()].map((slice) => ({
        slot: slice.id.slot,
        taskManagerId: slice.taskManagerId,
        state: slice.state,
        ...sharesOf(slice.report, slice.reportBefore),
        queuedBytesIn: slice.report?.exchange.queuedBytesIn ?? 0,
        queuedBytesOut: slice.report?.exchange.queuedBytesOut ?? 0,
      })),
    })),
    lastCheckpoint:
      last === undefined
        ? null
        : { id: last.id, location: last.location ?? "", completedAtMs: toWallMs(last.triggeredAtMs + (last.durationMs ?? 0)) },
    processing: processingOf(job, dataflow),
  };
}

/** The history with times of day. */
export function checkpointHistory(job: JobState, toWallMs: (ms: number) => number): readonly CheckpointRecord[] {
  return job.history.map((record) => ({ ...record, triggeredAtMs: toWallMs(record.triggeredAtMs) }));
}

function stateOf(job: JobState): ProcessState {
  const { outcome } = job.durable ?? {};
  if (outcome !== undefined) return outcome === "ended" ? "finished" : outcome === "failed" ? "failed" : "stopped";
  if (job.pending?.ends === true || job.ending !== undefined) return "stopping";
  if (job.regions.every((region) => region.state === "running")) return "running";
  // Slices that run under a new leader go on meanwhile.
  if (job.regions.every((region) => region.state === "running" || region.state === "adopting")) return "running";
  return job.record.restarts > 0 ? "restarting" : "restoring";
}

// A job that has read all of its input did run: whoever looks only then still learns since when.
function runs(job: JobState): boolean {
  if (job.durable?.outcome === "ended") return job.regions.every((region) => region.everRan);
  return job.regions.every((region) => region.state === "running");
}

function sharesOf(now: SliceReport | undefined, before: SliceReport | undefined): Pick<SliceStatusView, "busy" | "backpressured" | "idle"> {
  const busy = (now?.busyMs ?? 0) - (before?.busyMs ?? 0);
  const backpressured = (now?.backpressuredMs ?? 0) - (before?.backpressuredMs ?? 0);
  const idle = (now?.idleMs ?? 0) - (before?.idleMs ?? 0);
  const all = Math.max(1, busy + backpressured + idle);
  return { busy: busy / all, backpressured: backpressured / all, idle: idle / all };
}

function lastCompleted(job: JobState): CheckpointRecord | undefined {
  return job.history.findLast((record) => record.phase === "completed");
}

function processingOf(job: JobState, dataflow: Dataflow): RunStatus | null {
  const reports = job.slices().flatMap(({ slice }) => slice.report ?? []);
  if (reports.length === 0) return null;
  const bySubtask = Map.groupBy(
    reports.flatMap((report) => report.subtasks),
    (subtask) => subtask.uid,
  );
  const lag: Record<string, number | null> = {};
  let entries = 0;
  let memoryBytes = 0;
  for (const [uid, subtasks] of bySubtask) {
    for (const { lagRecords, stateBytes = 0, stateEntries = 0 } of subtasks) {
      if (lagRecords !== undefined) lag[uid] = (lag[uid] ?? 0) + lagRecords;
      entries += stateEntries;
      memoryBytes += stateBytes;
    }
  }
  const sum = (of: (report: SliceReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  return {
    operators: dataflow.nodes.map((node) => ({
      uid: node.uid,
      kind: node.kind,
      inputs: node.inputs.map((input) => input.from.uid),
      stateful: node.stateful,
      subtasks: (bySubtask.get(node.uid) ?? [])
        .map(({ subtask, rowsIn, rowsOut, watermarkMs, counters }): SubtaskStatus => {
          return { subtask, rowsIn, rowsOut, watermarkMs, counts: counters, gauges: {} };
        })
        .sort((a, b) => a.subtask - b.subtask),
    })),
    lag,
    state: { memoryBytes, diskBytes: 0, entries },
    badRecords: sum((report) => report.subtasks.reduce((total, subtask) => total + (subtask.counters["bad_records"] ?? 0), 0)),
    times: {
      busyMs: sum((report) => report.busyMs),
      backpressuredMs: sum((report) => report.backpressuredMs),
      idleMs: sum((report) => report.idleMs),
    },
    lastCheckpoint: lastCompleted(job) ?? null,
  };
}
