// How an operation ends: with the new run stable, given up, rolled back, or overtaken by another wish.
import type { LastUpgrade, StreamJobStatus, UpgradeProgress } from "millrace/api";
import { begin } from "./begin.ts";
import { type Draft, pause, record, reportOf, statusOf, time } from "./draft.ts";
import { normal, warning, withoutUndefined } from "../resource/draft.ts";
import type { Observed } from "./observed.ts";
import { revisionName } from "./revision.ts";
import { settingsOf } from "./settings.ts";

export function end(seen: Observed, upgrade: UpgradeProgress, result: LastUpgrade["result"], message?: string): Draft {
  const { upgrade: _done, active, ...rest } = statusOf(seen);
  const { to, kind } = upgrade;
  const lastUpgrade = lastUpgradeOf(seen, upgrade, result, message);
  const base: StreamJobStatus = { ...rest, lastUpgrade };
  if (result !== "Succeeded") {
    return record({ ...base, ...(active === undefined ? {} : { active }) }, [normal("OperationSuperseded", `${kind}: ${message ?? ""}`)]);
  }
  if (to === undefined) {
    // The run has ended on purpose: the next one goes on from here.
    return record(withoutUndefined<StreamJobStatus>({ ...base, resumeFrom: upgrade.restore ?? active?.restore }), [
      normal(endReason(kind), endMessage(lastUpgrade)),
    ]);
  }
  const finished = reportOf(seen, to.run)?.state === "finished";
  return record(
    withoutUndefined<StreamJobStatus>({
      ...base,
      stableRevision: to.revision,
      ...(active === undefined ? {} : { active: { ...active, phase: finished ? ("finished" as const) : ("stable" as const) } }),
    }),
    [normal(endReason(kind), endMessage(lastUpgrade))],
  );
}

const endReason = (kind: UpgradeProgress["kind"]): string =>
  ({
    deploy: "Deployed",
    upgrade: "Upgraded",
    rollback: "RolledBack",
    restart: "Restarted",
    redeploy: "Redeployed",
    recover: "Recovered",
    rescale: "Rescaled",
    suspend: "Suspended",
    delete: "Stopped",
  })[kind];

function endMessage({ from, to, savepoint, gapMs }: LastUpgrade): string {
  const what = to === undefined ? `revision ${from ?? "none"} has stopped` : `revision ${to} runs`;
  return `${what}${savepoint === undefined ? "" : ` from savepoint ${savepoint}`}${gapMs === undefined ? "" : `, nothing was processed for ${gapMs} ms`}`;
}

function lastUpgradeOf(seen: Observed, upgrade: UpgradeProgress, result: LastUpgrade["result"], message: string | undefined): LastUpgrade {
  const { id, kind, from, to, savepoint, savepointFacts, stoppedAt, startedAt } = upgrade;
  const since = reportOf(seen, to?.run)?.runningSinceMs;
  const gapMs =
    from === undefined || stoppedAt === undefined || since === undefined
      ? undefined
      : Math.max(0, Math.round(since - Date.parse(stoppedAt)));
  return withoutUndefined<LastUpgrade>({
    id,
    kind,
    ...(from === undefined ? {} : { from: from.revision }),
    ...(to === undefined ? {} : { to: to.revision }),
    result,
    ...(message === undefined ? {} : { message }),
    ...(savepoint === undefined ? {} : { savepoint }),
    ...(savepointFacts === undefined ? {} : { savepointFacts }),
    ...(result === "Succeeded" && gapMs !== undefined ? { gapMs } : {}),
    startedAt,
    endedAt: time(seen.nowMs),
  });
}

/** The old run was not stopped, or stays as it is: the operation is over, and is not tried again until the manifest changes. */
export function fail(seen: Observed, upgrade: UpgradeProgress, problem: string): Draft {
  const { upgrade: _failed, ...rest } = statusOf(seen);
  const { from, to, kind } = upgrade;
  const lastUpgrade = lastUpgradeOf(seen, upgrade, "Failed", problem);
  const wanted = revisionName(seen.job.metadata.name, seen.job.spec);
  const pinned =
    kind === "upgrade" && from !== undefined && to?.revision === wanted && from.revision !== wanted
      ? { pinned: { revision: from.revision, insteadOf: wanted, reason: "UpgradeFailed" as const, message: problem } }
      : {};
  return record({ ...rest, lastUpgrade, ...pinned }, [
    warning("UpgradeFailed", `${kind} to revision ${to?.revision ?? "none"}: ${problem}`),
  ]);
}

/** The new run does not become stable. Back to the last stable revision from the same state; where there is none, or this was the way back, it is only said. */
export function rollBack(seen: Observed, upgrade: UpgradeProgress, problem: string): Draft {
  const { stableRevision, upgrade: _failed, ...rest } = statusOf(seen);
  const { to, kind, restore } = upgrade;
  const stable = seen.revisions.find(({ name }) => name === stableRevision);
  const { automaticRollback } = settingsOf(seen.job.spec);
  if (stable === undefined || stable.name === to?.revision || kind === "rollback" || !automaticRollback || restore === undefined) {
    // Its pods go on trying; a change of the manifest is what mends it.
    return pause(seen, 5_000, { reason: kind === "rollback" ? "RollbackFailed" : "NotStable", message: problem });
  }
  const wanted = revisionName(seen.job.metadata.name, seen.job.spec);
  const failed = { ...seen, job: { ...seen.job, status: { ...rest, stableRevision: stable.name } } };
  const draft = begin(failed, {
    kind: "rollback",
    revision: stable,
    parallelism: to?.parallelism ?? 1,
    mode: "given",
    // The bad version may have completed a checkpoint while it was being judged; then its output is out, and that checkpoint is what follows on it.
    restore,
    also: {
      lastUpgrade: lastUpgradeOf(seen, upgrade, "Failed", problem),
      ...(to?.revision === wanted
        ? { pinned: { revision: stable.name, insteadOf: wanted, reason: "RolledBack" as const, message: problem } }
        : {}),
    },
    message: `revision ${to?.revision ?? ""} is rolled back to ${stable.name}: ${problem}`,
  });
  return { ...draft, events: [warning("RollingBack", `revision ${to?.revision ?? ""} is rolled back to ${stable.name}: ${problem}`)] };
}
