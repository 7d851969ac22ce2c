// One screen about a job: state and conditions, what runs, the dataflow with its rates, checkpoints, revisions and savepoints. Text only.
import type { Condition } from "../api/index.ts";
import { formatDuration } from "../base/duration.ts";
import { formatSize } from "../base/size.ts";
import type { GraphNode } from "./graph.ts";
import type { RevisionObject, SavepointObject, StreamJobObject } from "./objects.ts";
import { textTable } from "./text-table.ts";

export interface JobView {
  readonly job: StreamJobObject;
  readonly revisions: readonly RevisionObject[];
  readonly savepoints: readonly SavepointObject[];
  /** Empty when the job did not answer. */
  readonly graph: readonly GraphNode[];
  /** The answer of `GET /v1/checkpoints`, if there is one. */
  readonly checkpoints: unknown;
  readonly nowMs: number;
}

interface RevisionsView {
  readonly job: { readonly status?: { readonly currentRevision?: string; readonly stableRevision?: string } };
  readonly revisions: readonly RevisionObject[];
  readonly nowMs: number;
}

const SHOWN = 5;

export function statusScreen(view: JobView): string {
  const { job } = view;
  const sections = [
    heading(view),
    conditions(job),
    upgrade(view),
    dataflow(view.graph),
    checkpointLines(view.checkpoints),
    revisionLines(view),
    savepointLines(view),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

export const since = (time: string | undefined, nowMs: number): string =>
  time === undefined ? "-" : formatDuration(Math.max(0, nowMs - Date.parse(time)));

function heading({ job, nowMs }: JobView): readonly string[] {
  const { metadata, status } = job;
  const { parallelism, replicas, readyReplicas, run, currentRevision, stableRevision } = status ?? {};
  const revision = currentRevision === undefined ? "-" : `${currentRevision}${currentRevision === stableRevision ? ", stable" : ""}`;
  const lag = (status?.observedGeneration ?? 0) < (metadata.generation ?? 0) ? ["  the operator has not seen the last change yet"] : [];
  return [
    `StreamJob ${metadata.namespace}/${metadata.name}: ${status?.state ?? "not seen by an operator yet"}`,
    ...lag,
    ...textTable(
      [
        ["parallelism", String(parallelism ?? "-"), "TaskManagers", `${readyReplicas ?? 0} of ${replicas ?? 0} ready`],
        ["revision", revision, "run", String(run ?? "-")],
        ["restarts", String(status?.job?.restarts ?? "-"), "age", since(metadata.creationTimestamp, nowMs)],
      ],
      "  ",
    ),
    ...(status?.job?.lastFailure === undefined ? [] : [`  last failure: ${status.job.lastFailure}`]),
  ];
}

export function conditions({ status }: { readonly status?: { readonly conditions?: readonly Condition[] } }): readonly string[] {
  const all = status?.conditions ?? [];
  if (all.length === 0) return [];
  return [
    "Conditions",
    ...textTable(
      all.map((one) => [one.type, one.status, one.reason, one.message]),
      "  ",
    ),
  ];
}

function upgrade({ job, nowMs }: JobView): readonly string[] {
  const { upgrade: current, lastUpgrade: last, pinned } = job.status ?? {};
  return [
    ...(current === undefined
      ? []
      : [
          `In progress: ${current.kind}, ${current.phase} for ${since(current.phaseStartedAt, nowMs)}${current.problem === undefined ? "" : `; ${current.problem}`}`,
        ]),
    ...(last === undefined
      ? []
      : [
          `Last ${last.kind}: ${last.result}${last.gapMs === undefined ? "" : `, nothing was processed for ${formatDuration(last.gapMs)}`}${last.message === undefined ? "" : `; ${last.message}`}`,
        ]),
    ...(pinned === undefined ? [] : [`Runs ${pinned.revision} instead of ${pinned.insteadOf}: ${pinned.message}`]),
  ];
}

const shown = (value: number | undefined, format: (value: number) => string = (one) => String(Math.round(one))): string =>
  value === undefined ? "-" : format(value);

function dataflow(nodes: readonly GraphNode[]): readonly string[] {
  if (nodes.length === 0) return [];
  const row = (node: GraphNode): readonly string[] => [
    node.uid,
    node.kind,
    String(node.parallelism),
    shown(node.rowsInPerSecond),
    shown(node.rowsOutPerSecond),
    shown(node.lagRecords),
    shown(node.watermarkMs, (ms) => (Math.abs(ms) > 8.64e15 ? "end" : new Date(ms).toISOString())),
  ];
  return ["Dataflow", ...textTable([["operator", "kind", "instances", "in/s", "out/s", "lag", "watermark"], ...nodes.map(row)], "  ")];
}

interface CheckpointRow {
  readonly id: number;
  readonly phase: string;
  readonly durationMs?: number;
  readonly writtenBytes?: number;
  readonly totalBytes?: number;
  readonly failures?: readonly string[];
}

function checkpointLines(answer: unknown): readonly string[] {
  const all = (answer as { readonly checkpoints?: readonly CheckpointRow[] } | undefined)?.checkpoints ?? [];
  if (all.length === 0) return [];
  const row = (one: CheckpointRow): readonly string[] => [
    String(one.id),
    one.phase,
    shown(one.durationMs, formatDuration),
    shown(one.writtenBytes, formatSize),
    shown(one.totalBytes, formatSize),
    one.failures?.at(-1) ?? "",
  ];
  const newest = all.toSorted((one, other) => other.id - one.id).slice(0, SHOWN);
  return ["Checkpoints", ...textTable([["id", "phase", "duration", "written", "total", ""], ...newest.map(row)], "  ")];
}

export function revisionLines({ job, revisions, nowMs }: RevisionsView): readonly string[] {
  if (revisions.length === 0) return [];
  const { currentRevision, stableRevision } = job.status ?? {};
  const mark = (name: string): string =>
    [...(name === currentRevision ? ["current"] : []), ...(name === stableRevision ? ["stable"] : [])].join(", ");
  const row = (one: RevisionObject): readonly string[] => [
    String(one.revision),
    one.metadata.name,
    one.data?.spec?.image ?? "-",
    since(one.metadata.creationTimestamp, nowMs),
    mark(one.metadata.name),
  ];
  return ["Revisions", ...textTable([["number", "name", "image", "age", ""], ...revisions.slice(0, SHOWN).map(row)], "  ")];
}

function savepointLines({ savepoints, nowMs }: JobView): readonly string[] {
  if (savepoints.length === 0) return [];
  const row = (one: SavepointObject): readonly string[] => [
    one.metadata.name,
    one.status?.phase ?? "-",
    one.status?.trigger ?? "-",
    shown(one.status?.sizeBytes, formatSize),
    since(one.metadata.creationTimestamp, nowMs),
    one.status?.error ?? one.status?.location ?? "",
  ];
  return ["Savepoints", ...textTable([["name", "phase", "trigger", "size", "age", ""], ...savepoints.slice(0, SHOWN).map(row)], "  ")];
}
