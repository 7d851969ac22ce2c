// The pieces that decisions are made of.
import type { StreamJobStatus, UpgradeProgress } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import type { Asked, Observed } from "./observed.ts";
import type { JobReport } from "../ports/job-client.ts";
import type { Step } from "./step.ts";

export interface Problem {
  /** A stable word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

export interface Draft {
  readonly status: StreamJobStatus;
  readonly step: Step;
  readonly againAfterMs?: number;
  readonly events?: readonly EventNote[];
  /** Something is wrong that the operator cannot mend by itself, or not yet. */
  readonly degraded?: Problem;
}

const wait: Step = { kind: "wait" };

export const statusOf = (seen: Observed): StreamJobStatus => seen.job.status ?? {};

/** Write this down, then look again. */
export function record(status: StreamJobStatus, events: readonly EventNote[] = [], degraded?: Problem): Draft {
  return {
    status: withoutUndefined<StreamJobStatus>(status),
    step: wait,
    againAfterMs: 0,
    events,
    ...(degraded === undefined ? {} : { degraded }),
  };
}

/** Do this; nothing changes in what is known. */
export const act = (seen: Observed, step: Step): Draft => ({ status: statusOf(seen), step });

export function pause(seen: Observed, againAfterMs?: number, degraded?: Problem): Draft {
  return {
    status: statusOf(seen),
    step: wait,
    ...(againAfterMs === undefined ? {} : { againAfterMs }),
    ...(degraded === undefined ? {} : { degraded }),
  };
}

export const time = (atMs: number): string => new Date(atMs).toISOString();

export const sinceMs = (seen: Observed, at: string): number => seen.nowMs - Date.parse(at);

export function answerOf<T>(asked: Asked<T> | undefined): T | undefined {
  return asked?.kind === "answer" ? asked.answer : undefined;
}

/** What a run says of itself, when it was asked and answered for that run. */
export function reportOf(seen: Observed, run: number | undefined): JobReport | undefined {
  const report = run === undefined ? undefined : answerOf(seen.reports.get(run));
  return report?.run === run ? report : undefined;
}

export function phaseOf(
  seen: Observed,
  upgrade: UpgradeProgress,
  phase: UpgradeProgress["phase"],
  more: Partial<UpgradeProgress> = {},
): UpgradeProgress {
  return { ...upgrade, phase, phaseStartedAt: time(seen.nowMs), ...more };
}

/** The number of the next run: above every run that is known or whose pods are still there. */
export function nextRun(seen: Observed, first: number): number {
  const known = [...seen.workloads, ...seen.pods].map(({ run }) => run);
  const highest = Math.max(seen.job.status?.run ?? first - 1, ...known);
  return highest + 1;
}

/** An optional field that is undefined is one that is not there: statuses are compared. */
export function withoutUndefined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

export const normal = (reason: string, message: string): EventNote => ({ type: "Normal", reason, message });
export const warning = (reason: string, message: string): EventNote => ({ type: "Warning", reason, message });
