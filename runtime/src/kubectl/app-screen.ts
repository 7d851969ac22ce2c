// One screen about an EmbeddedStreamApp: state and conditions, pods, tasks and lag, revisions. Text only, from its resource.
import { formatDuration } from "../base/duration.ts";
import type { EmbeddedStreamAppObject, RevisionObject } from "./objects.ts";
import { conditions, revisionLines, since } from "./status-screen.ts";
import { textTable } from "./text-table.ts";

export interface AppView {
  readonly app: EmbeddedStreamAppObject;
  readonly revisions: readonly RevisionObject[];
  readonly nowMs: number;
}

export function appScreen(view: AppView): string {
  const { app, revisions, nowMs } = view;
  const sections = [heading(view), conditions(app), upgrade(view), revisionLines({ job: app, revisions, nowMs })];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function heading({ app, nowMs }: AppView): readonly string[] {
  const { metadata, status = {} } = app;
  const { currentRevision = "-", stableRevision, readyReplicas = 0, wantedReplicas = 0 } = status;
  const text = (value: number | undefined): string => String(value ?? "-");
  return [
    `EmbeddedStreamApp ${metadata.namespace}/${metadata.name}: ${status.state ?? "not seen by an operator yet"}`,
    ...textTable(
      [
        ["pods", `${readyReplicas} of ${wantedReplicas} caught up`, "of use", text(status.usefulReplicas)],
        ["tasks", text(status.tasks), "restoring", text(status.restoringTasks)],
        ["partitions", text(status.partitions), "lag", text(status.lag)],
        [
          "revision",
          `${currentRevision}${currentRevision === stableRevision ? ", stable" : ""}`,
          "scaled",
          since(status.lastScaledAt, nowMs),
        ],
        ["begun from", status.restoredFrom ?? "-", "age", since(metadata.creationTimestamp, nowMs)],
      ],
      "  ",
    ),
  ];
}

function upgrade({ app, nowMs }: AppView): readonly string[] {
  const { upgrade: current, lastUpgrade: last, pinned } = app.status ?? {};
  const gap = last?.gapMs === undefined ? "" : `, nothing was processed for ${formatDuration(last.gapMs)}`;
  return [
    ...(current === undefined
      ? []
      : [
          `In progress: ${current.kind} to ${current.to}, ${current.phase} down to pod ${current.partition} for ${since(current.phaseStartedAt, nowMs)}`,
        ]),
    ...(last === undefined ? [] : [`Last ${last.kind}: ${last.result}${gap}${last.message === undefined ? "" : `; ${last.message}`}`]),
    ...(pinned === undefined ? [] : [`Runs ${pinned.revision} instead of ${pinned.insteadOf}: ${pinned.message}`]),
  ];
}
