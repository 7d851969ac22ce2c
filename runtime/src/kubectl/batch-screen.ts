// One screen about a MicroBatchJob: state and conditions, its last batch, executors, ended runs, revisions. Text only, from its resource.
import type { BatchRun } from "../api/index.ts";
import { formatDuration } from "../base/duration.ts";
import type { MicroBatchJobObject, RevisionObject } from "./objects.ts";
import { conditions, revisionLines, since } from "./status-screen.ts";
import { textTable } from "./text-table.ts";

export interface BatchView {
  readonly job: MicroBatchJobObject;
  readonly revisions: readonly RevisionObject[];
  readonly nowMs: number;
}

const shownRuns = 8;

export function batchScreen(view: BatchView): string {
  const sections = [heading(view), conditions(view.job), upgrade(view.job), runs(view), revisionLines(view)];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function heading({ job, nowMs }: BatchView): readonly string[] {
  const { metadata, status = {} } = job;
  const { batch, readyReplicas = 0, replicas = 0, currentRevision = "-", stableRevision } = status;
  const took = batch?.durationMs === undefined ? "-" : formatDuration(batch.durationMs);
  const trigger = batch?.triggerMs === undefined ? "" : ` of ${formatDuration(batch.triggerMs)}`;
  return [
    `MicroBatchJob ${metadata.namespace}/${metadata.name}: ${status.state ?? "not seen by an operator yet"}`,
    ...textTable(
      [
        ["batch", String(batch?.id ?? "-"), "took", `${took}${trigger}`],
        ["rows", String(batch?.inputRows ?? "-"), "rows/s", String(batch?.inputRowsPerSecond ?? "-")],
        ["backlog", String(batch?.backlog ?? "-"), "watermark", batch?.watermark ?? "-"],
        ["executors", `${readyReplicas} of ${replicas} ready`, "run", String(status.run ?? "-")],
        ["revision", `${currentRevision}${currentRevision === stableRevision ? ", stable" : ""}`, "failures", String(status.failures ?? 0)],
        ["next run", status.nextScheduledAt ?? "-", "age", since(metadata.creationTimestamp, nowMs)],
      ],
      "  ",
    ),
    ...(status.lastFailure === undefined ? [] : [`  last failure: ${status.lastFailure}`]),
  ];
}

function upgrade({ status = {} }: MicroBatchJobObject): readonly string[] {
  const { upgrade: current, lastUpgrade: last, pinned } = status;
  const gap = last?.gapMs === undefined ? "" : `, nothing was processed for ${formatDuration(last.gapMs)}`;
  return [
    ...(current === undefined ? [] : [`In progress: ${current.kind} to ${current.to}`]),
    ...(last === undefined ? [] : [`Last ${last.kind}: ${last.result}${gap}${last.message === undefined ? "" : `; ${last.message}`}`]),
    ...(pinned === undefined ? [] : [`Runs ${pinned.revision} instead of ${pinned.insteadOf}: ${pinned.message}`]),
  ];
}

function runs({ job, nowMs }: BatchView): readonly string[] {
  const history = job.status?.history ?? [];
  if (history.length === 0) return [];
  const row = (one: BatchRun): readonly string[] => [
    String(one.run),
    one.result,
    formatDuration(Math.max(0, Date.parse(one.endedAt) - Date.parse(one.startedAt))),
    since(one.endedAt, nowMs),
    String(one.lastBatch ?? "-"),
    one.message ?? "",
  ];
  return ["Ended runs", ...textTable([["run", "result", "took", "ago", "batch", ""], ...history.slice(0, shownRuns).map(row)], "  ")];
}
