// The pieces that decisions are made of.
import type { StreamJobStatus, UpgradeProgress } from "millrace/api";
import type { Observed } from "./observed.ts";
import { type Draft as ResourceDraft, pause as pauseWith, type Problem, record as recordStatus } from "../resource/draft.ts";
import type { JobReport } from "../ports/job-client.ts";
import { answerOf } from "../resource/asked.ts";
import type { Step } from "./step.ts";

export type Draft = ResourceDraft<StreamJobStatus, Step>;

export const statusOf = (seen: Observed): StreamJobStatus => seen.job.status ?? {};

/** Write this down, then look again. */
export const record: typeof recordStatus<StreamJobStatus> = recordStatus;

/** Do this; nothing changes in what is known. */
export const act = (seen: Observed, step: Step): Draft => ({ status: statusOf(seen), step });

export const pause = (seen: Observed, againAfterMs?: number, degraded?: Problem): Draft =>
  pauseWith(statusOf(seen), againAfterMs, degraded);

export const time = (atMs: number): string => new Date(atMs).toISOString();

export const sinceMs = (seen: Observed, at: string): number => seen.nowMs - Date.parse(at);

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
