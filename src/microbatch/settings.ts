// A MicroBatchJob's spec with its defaults, and what is wrong with it beyond what the CustomResourceDefinition can say.
import type { MicroBatchJobSpec } from "millrace/api";
import { durationMs } from "../streamjob/duration.ts";

export interface BatchSettings {
  readonly suspend: boolean;
  readonly stopMode: "after-batch" | "immediate";
  /** The run ends by itself. */
  readonly ends: boolean;
  readonly triggerMs: number;
  readonly scheduled: boolean;
  readonly concurrency: "Forbid" | "Replace";
  readonly startingDeadlineMs: number | undefined;
  readonly historyLimit: number;
  readonly executors: {
    readonly min: number;
    readonly max: number;
    readonly slots: number;
    readonly idleMs: number;
    readonly decommissionMs: number;
  };
  readonly restart: {
    readonly policy: "always" | "on-failure" | "never";
    readonly maxFailures: number;
    readonly initialMs: number;
    readonly maxMs: number;
    readonly resetMs: number;
  };
  readonly withSavepoint: boolean;
  readonly stateless: boolean;
  readonly savepointTimeoutMs: number;
  readonly redeploy: { readonly location: string; readonly token: string } | undefined;
  readonly automaticRollback: boolean;
  readonly stableTimeoutMs: number;
  readonly deletionPolicy: "none" | "savepoint";
  readonly deletionTimeoutMs: number;
  readonly restartNonce: string | undefined;
  readonly revisionHistoryLimit: number;
  readonly timeToLiveMs: number | undefined;
}

const second = 1000;
const minute = 60_000;

const timeOf = (value: string | number | undefined, otherwiseMs: number): number =>
  value === undefined ? otherwiseMs : (durationMs(value) ?? otherwiseMs);

export function batchSettingsOf(spec: MicroBatchJobSpec): BatchSettings {
  const { trigger = {}, schedule, executors = {}, upgrade = {}, rollback = {}, deletion = {} } = spec;
  const { redeploy } = upgrade;
  return {
    suspend: spec.suspend ?? false,
    stopMode: spec.stopMode ?? "after-batch",
    ends: trigger.type === "available-now" || trigger.type === "once",
    triggerMs: timeOf(trigger.interval, 0),
    scheduled: schedule !== undefined,
    concurrency: schedule?.concurrencyPolicy ?? "Forbid",
    startingDeadlineMs: schedule?.startingDeadline === undefined ? undefined : timeOf(schedule.startingDeadline, minute),
    historyLimit: schedule?.historyLimit ?? 10,
    executors: {
      min: leastExecutors(executors),
      max: executors.max ?? 0,
      slots: executors.slots ?? 1,
      idleMs: timeOf(executors.idleTimeout, 2 * minute),
      decommissionMs: timeOf(executors.decommissionTimeout, minute),
    },
    restart: restartOf(spec),
    withSavepoint: (upgrade.mode ?? "savepoint") === "savepoint",
    stateless: upgrade.mode === "stateless",
    savepointTimeoutMs: timeOf(upgrade.savepointTimeout, 10 * minute),
    redeploy:
      redeploy === undefined ? undefined : { location: redeploy.location, token: `${redeploy.nonce ?? ""} ${redeploy.location}`.trim() },
    automaticRollback: rollback.automatic ?? true,
    stableTimeoutMs: timeOf(rollback.stableTimeout, 5 * minute),
    deletionPolicy: deletion.policy === "savepoint" ? "savepoint" : "none",
    deletionTimeoutMs: timeOf(deletion.timeout, 5 * minute),
    restartNonce: spec.restartNonce,
    revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
    timeToLiveMs: spec.timeToLiveSeconds === undefined ? undefined : spec.timeToLiveSeconds * second,
  };
}

// Executors read the input: without any, a driver that waits for them does not even know what there is to do.
const leastExecutors = ({ min = 0, max = 0 }: NonNullable<MicroBatchJobSpec["executors"]>): number => (max === 0 ? min : Math.max(1, min));

function restartOf({ restart = {} }: MicroBatchJobSpec): BatchSettings["restart"] {
  return {
    policy: restart.policy ?? "on-failure",
    maxFailures: restart.maxFailures ?? 10,
    initialMs: timeOf(restart.initialDelay, 5 * second),
    maxMs: timeOf(restart.maxDelay, 5 * minute),
    resetMs: timeOf(restart.resetAfter, 10 * minute),
  };
}

/** How long to wait after so many failures in a row. */
export const backoffMs = ({ initialMs, maxMs }: BatchSettings["restart"], failures: number): number =>
  Math.min(maxMs, initialMs * 2 ** Math.min(30, Math.max(0, failures - 1)));

/** The problem of a spec, with its field and the mend; undefined when there is none. */
export function batchProblemOf(spec: MicroBatchJobSpec, defaultImage: string | undefined): string | undefined {
  const durations: readonly (readonly [string, string | number | undefined])[] = [
    ["spec.trigger.interval", spec.trigger?.interval],
    ["spec.schedule.startingDeadline", spec.schedule?.startingDeadline],
    ["spec.executors.idleTimeout", spec.executors?.idleTimeout],
    ["spec.executors.decommissionTimeout", spec.executors?.decommissionTimeout],
    ["spec.restart.initialDelay", spec.restart?.initialDelay],
    ["spec.restart.maxDelay", spec.restart?.maxDelay],
    ["spec.restart.resetAfter", spec.restart?.resetAfter],
    ["spec.upgrade.savepointTimeout", spec.upgrade?.savepointTimeout],
    ["spec.rollback.stableTimeout", spec.rollback?.stableTimeout],
    ["spec.deletion.timeout", spec.deletion?.timeout],
  ];
  for (const [field, value] of durations) {
    if (value !== undefined && durationMs(value) === undefined)
      return `${field}: "${value}" is not a duration; give milliseconds or text such as "10 s" or "1 h 30 min"`;
  }
  const { ends, scheduled, executors } = batchSettingsOf(spec);
  if (spec.checkpoints?.storage === undefined)
    return "spec.checkpoints.storage: missing: the offset log and the commit log need a place; give s3://bucket/prefix or file:///path";
  if (scheduled && !ends) return "spec.schedule: is for runs that end; set spec.trigger.type to available-now or once";
  if (executors.min > executors.max) return `spec.executors.min: ${executors.min} is above spec.executors.max (${executors.max}); lower it`;
  if (spec.deletion?.policy === "drain")
    return "spec.deletion.policy: drain is for StreamJobs; a batch leaves nothing open that could be flushed, so use savepoint";
  if (spec.image === undefined && defaultImage === undefined)
    return "spec.image: missing, and the operator has no default image; give the image of the job's pods";
  return undefined;
}
