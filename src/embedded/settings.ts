// An EmbeddedStreamApp's spec with its defaults, and what is wrong with it beyond what the CustomResourceDefinition can say.
import type { EmbeddedStreamAppSpec } from "millrace/api";
import { durationMs } from "../streamjob/duration.ts";
import type { ScaleLimits } from "./scaling.ts";

export interface AppSettings {
  readonly suspend: boolean;
  /** Without: `replicas` says how many. */
  readonly scaling: ScaleLimits | undefined;
  readonly replicas: number;
  readonly threads: number;
  readonly mode: "rolling" | "savepoint";
  readonly caughtUpTimeoutMs: number;
  readonly caughtUpLag: number;
  readonly automaticRollback: boolean;
  readonly deleteVolumes: boolean;
  readonly revisionHistoryLimit: number;
}

const minute = 60_000;

const timeOf = (value: string | number | undefined, otherwiseMs: number): number =>
  value === undefined ? otherwiseMs : (durationMs(value) ?? otherwiseMs);

export function appSettingsOf(spec: EmbeddedStreamAppSpec): AppSettings {
  const { scaling, update = {}, threads = 1 } = spec;
  return {
    suspend: spec.suspend ?? false,
    scaling:
      scaling === undefined
        ? undefined
        : {
            min: scaling.minReplicas ?? 1,
            max: scaling.maxReplicas,
            threads,
            lagPerReplica: scaling.lagPerReplica ?? 10_000,
            cooldownMs: timeOf(scaling.cooldown, minute),
            downAfterMs: timeOf(scaling.scaleDownAfter, 5 * minute),
          },
    replicas: spec.replicas ?? 1,
    threads,
    mode: update.mode ?? "rolling",
    caughtUpTimeoutMs: timeOf(update.caughtUpTimeout, 30 * minute),
    caughtUpLag: update.caughtUpLag ?? 1000,
    automaticRollback: spec.rollback?.automatic ?? true,
    deleteVolumes: spec.deletion?.volumes === "delete",
    revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
  };
}

/** The problem of a spec, with its field and the mend; undefined when there is none. */
export function appProblemOf(spec: EmbeddedStreamAppSpec): string | undefined {
  const durations: readonly (readonly [string, string | number | undefined])[] = [
    ["spec.scaling.cooldown", spec.scaling?.cooldown],
    ["spec.scaling.scaleDownAfter", spec.scaling?.scaleDownAfter],
    ["spec.update.caughtUpTimeout", spec.update?.caughtUpTimeout],
  ];
  for (const [field, value] of durations) {
    if (value !== undefined && durationMs(value) === undefined)
      return `${field}: "${value}" is not a duration; give milliseconds or text such as "10 s" or "1 h 30 min"`;
  }
  if (spec.update?.mode === "savepoint" && spec.update.savepointStorage === undefined)
    return "spec.update.savepointStorage: missing; give s3://bucket/prefix, or use spec.update.mode: rolling";
  return undefined;
}
