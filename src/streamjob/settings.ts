// A StreamJob's spec with its defaults, and what is wrong with it beyond what the CustomResourceDefinition can say.
import type { StreamJobSpec } from "millrace/api";
import { durationMs } from "./duration.ts";

export interface Settings {
  readonly suspend: boolean;
  readonly parallelism: number;
  readonly slots: number;
  readonly jobManagers: number;
  readonly taskManagers: number;
  readonly mode: "savepoint" | "last-state" | "stateless";
  readonly warmStandby: boolean;
  readonly savepointTimeoutMs: number;
  readonly prepareTimeoutMs: number;
  readonly redeploy: { readonly location: string; readonly token: string } | undefined;
  readonly automaticRollback: boolean;
  readonly stableTimeoutMs: number;
  readonly savepointIntervalMs: number | undefined;
  readonly savepointNonce: string | undefined;
  readonly retainedCount: number;
  readonly retainedAgeMs: number | undefined;
  readonly deletionPolicy: "none" | "savepoint" | "drain";
  readonly deletionTimeoutMs: number;
  readonly restartNonce: string | undefined;
  readonly revisionHistoryLimit: number;
  readonly hasStorage: boolean;
}

const minute = 60_000;

export function settingsOf(spec: StreamJobSpec): Settings {
  const { upgrade = {}, rollback = {}, savepoints = {}, deletion = {}, taskManager = {}, jobManager = {} } = spec;
  const slots = taskManager.slots ?? 1;
  const parallelism = spec.parallelism ?? (taskManager.replicas === undefined ? 1 : taskManager.replicas * slots);
  const { redeploy } = upgrade;
  return {
    suspend: spec.suspend ?? false,
    parallelism,
    slots,
    jobManagers: jobManager.replicas ?? 2,
    taskManagers: Math.max(taskManager.replicas ?? 0, Math.ceil(parallelism / slots)),
    mode: upgrade.mode ?? "savepoint",
    warmStandby: upgrade.warmStandby ?? true,
    savepointTimeoutMs: timeOf(upgrade.savepointTimeout, 10 * minute),
    prepareTimeoutMs: timeOf(upgrade.prepareTimeout, 10 * minute),
    redeploy:
      redeploy === undefined ? undefined : { location: redeploy.location, token: `${redeploy.nonce ?? ""} ${redeploy.location}`.trim() },
    automaticRollback: rollback.automatic ?? true,
    stableTimeoutMs: timeOf(rollback.stableTimeout, 5 * minute),
    savepointIntervalMs: savepoints.interval === undefined ? undefined : timeOf(savepoints.interval, minute),
    savepointNonce: savepoints.nonce,
    retainedCount: savepoints.retention?.count ?? 10,
    retainedAgeMs: savepoints.retention?.age === undefined ? undefined : timeOf(savepoints.retention.age, minute),
    deletionPolicy: deletion.policy ?? "none",
    deletionTimeoutMs: timeOf(deletion.timeout, 5 * minute),
    restartNonce: spec.restartNonce,
    revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
    hasStorage: spec.checkpoints?.storage !== undefined,
  };
}

const timeOf = (value: string | number | undefined, otherwiseMs: number): number =>
  value === undefined ? otherwiseMs : (durationMs(value) ?? otherwiseMs);

/** The problem of a spec, with its field and the mend; undefined when there is none. */
export function problemOf(spec: StreamJobSpec, defaultImage: string | undefined): string | undefined {
  const durations: readonly (readonly [string, string | number | undefined])[] = [
    ["spec.checkpoints.interval", spec.checkpoints?.interval],
    ["spec.checkpoints.minPause", spec.checkpoints?.minPause],
    ["spec.upgrade.savepointTimeout", spec.upgrade?.savepointTimeout],
    ["spec.upgrade.prepareTimeout", spec.upgrade?.prepareTimeout],
    ["spec.rollback.stableTimeout", spec.rollback?.stableTimeout],
    ["spec.savepoints.interval", spec.savepoints?.interval],
    ["spec.savepoints.retention.age", spec.savepoints?.retention?.age],
    ["spec.deletion.timeout", spec.deletion?.timeout],
  ];
  for (const [field, value] of durations) {
    if (value !== undefined && durationMs(value) === undefined)
      return `${field}: "${value}" is not a duration; give milliseconds or text such as "10 s" or "1 h 30 min"`;
  }
  const { parallelism, mode, hasStorage, deletionPolicy, savepointIntervalMs } = settingsOf(spec);
  const keyGroups = spec.maxParallelism ?? 128;
  if (parallelism > keyGroups) return `spec.parallelism: ${parallelism} is above spec.maxParallelism (${keyGroups}); lower it`;
  if (!hasStorage && mode !== "stateless")
    return "spec.checkpoints.storage: missing, so every restart would lose the state; give s3://bucket/prefix, or set spec.upgrade.mode: stateless";
  if (!hasStorage && deletionPolicy !== "none")
    return "spec.deletion.policy: needs spec.checkpoints.storage; give it, or set the policy to none";
  if (savepointIntervalMs !== undefined && savepointIntervalMs < minute)
    return "spec.savepoints.interval: is below one minute; raise it, checkpoints are for shorter times";
  if (spec.image === undefined && defaultImage === undefined)
    return "spec.image: missing, and the operator has no default image; give the image of the job's pods";
  return undefined;
}
