// How an operation begins: what replaces the active run, from which state, and in which phase.
import type { RestorePoint, StreamJobStatus, UpgradeKind, UpgradeProgress } from "millrace/api";
import { type Draft, nextRun, record, reportOf, statusOf, time } from "./draft.ts";
import { normal, withoutUndefined } from "../resource/draft.ts";
import { firstRun } from "./names.ts";
import type { Observed } from "./observed.ts";
import type { Revision } from "./revision.ts";
import { type Settings, settingsOf } from "./settings.ts";

interface Wanted {
  readonly kind: UpgradeKind;
  readonly revision?: Revision;
  readonly parallelism?: number;
  readonly mode: UpgradeProgress["mode"];
  /** For a given restore point, and for a rollback from one. */
  readonly restore?: RestorePoint;
  /** What is noted beside it, such as a nonce that is served by this. */
  readonly also?: Partial<StreamJobStatus>;
  readonly message: string;
}

const reasons: Readonly<Record<UpgradeKind, string>> = {
  deploy: "Deploying",
  upgrade: "Upgrading",
  rollback: "RollingBack",
  restart: "Restarting",
  redeploy: "Redeploying",
  recover: "Recovering",
  rescale: "Rescaling",
  suspend: "Suspending",
  delete: "Deleting",
};

export function begin(seen: Observed, wanted: Wanted): Draft {
  const status = statusOf(seen);
  const { active, rescale: _rescale, ...rest } = status;
  const settings = settingsOf(seen.job.spec);
  const run = nextRun(seen, firstRun(seen.job));
  const { phase, mode, standby } = route(seen, wanted, settings);
  const id = `${(seen.job.metadata.uid ?? "").replaceAll("-", "").slice(0, 8)}-${run}-${wanted.kind}`;
  const to =
    wanted.revision === undefined
      ? undefined
      : { run, revision: wanted.revision.name, parallelism: wanted.parallelism ?? settings.parallelism, standby };
  const upgrade = withoutUndefined<UpgradeProgress>({
    id,
    kind: wanted.kind,
    phase,
    mode,
    ...(active === undefined ? {} : { from: { run: active.run, revision: active.revision } }),
    ...(to === undefined ? {} : { to }),
    ...(phase === "savepointing" ? { savepointId: id, savepointAttempt: 1 } : {}),
    restore: restoreOf(seen, mode, run, wanted.restore),
    startedAt: time(seen.nowMs),
    phaseStartedAt: time(seen.nowMs),
  });
  return record(
    // The number is used up even when there is no new run, so that each operation has an id of its own.
    { ...rest, ...(active === undefined ? {} : { active }), run, upgrade, ...wanted.also },
    [normal(reasons[wanted.kind], wanted.message)],
  );
}

function route(
  seen: Observed,
  { kind, mode, revision }: Wanted,
  settings: Settings,
): { readonly phase: UpgradeProgress["phase"]; readonly mode: UpgradeProgress["mode"]; readonly standby: boolean } {
  const { active } = statusOf(seen);
  const asks = mode === "savepoint" || mode === "drain";
  if (active === undefined || active.phase === "finished" || !asks) return { phase: "stopping", mode, standby: false };
  // A version that never completed a checkpoint has nothing of its own to save: what it was started from still holds.
  if (active.phase === "starting") return { phase: "stopping", mode: "last-state", standby: false };
  const report = reportOf(seen, active.run);
  // The job is over and its last state is kept: there is nobody to ask.
  if (report?.state === "stopped" || report?.state === "finished" || report?.state === "failed")
    return { phase: "stopping", mode: "last-state", standby: false };
  const standby = settings.warmStandby && revision !== undefined && kind !== "suspend" && kind !== "delete";
  return { phase: standby ? "preparing" : "savepointing", mode, standby };
}

/** What the next run starts from, as far as it is known before the old one has stopped. */
export function restoreOf(
  seen: Observed,
  mode: UpgradeProgress["mode"],
  run: number,
  given: RestorePoint | undefined,
): RestorePoint | undefined {
  const { active, resumeFrom } = statusOf(seen);
  switch (mode) {
    case "given":
      return given;
    case "stateless":
      return { sinceRun: run };
    case "last-state":
      return active?.restore ?? resumeFrom;
    case "savepoint":
    case "drain":
      return undefined;
  }
}
