// Which of a MicroBatchJob's objects should be there, which are missing or outdated, and which are left over.
import type { AnyObject } from "../ports/objects.ts";
import type { DeletionTarget } from "../resource/act.ts";
import { inputsOf, missingOf } from "../resource/built.ts";
import { executorsBuiltFrom, executorsDeployment } from "./build/executors.ts";
import type { BatchPlan } from "./build/plan.ts";
import { driverPodOf } from "./build/pods.ts";
import { batchJobObjects, batchRunObjects } from "./build/support.ts";
import { driverPod, statusOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { type BatchRevision, hasExecutors } from "./revision.ts";
import { batchSettingsOf } from "./settings.ts";

/** SIGTERM ends a driver behind its batch: so long may that take. */
const stopGraceMs = 300_000;

export function planOf(seen: BatchObserved): BatchPlan | undefined {
  const { active, allocation } = statusOf(seen);
  const revision = seen.revisions.find(({ name }) => name === active?.revision);
  if (active === undefined || revision === undefined) return undefined;
  const { executors } = batchSettingsOf(seen.job.spec);
  return {
    job: seen.job,
    run: active.run,
    revision,
    restore: active.restore,
    // A driver that was started for executors waits for one, whatever the manifest says by now.
    executors: hasExecutors(revision) ? Math.max(1, allocation?.executors ?? executors.min) : undefined,
    slots: revision.spec.executors?.slots ?? 1,
    decommissionMs: executors.decommissionMs,
    stopGraceMs,
  };
}

/** What has to be applied. */
export function outdated(seen: BatchObserved): readonly AnyObject[] {
  const plan = planOf(seen);
  if (plan === undefined) return [];
  const from = [...inputsOf(seen.job), plan.run, plan.revision.spec];
  const others = missingOf(seen, from, () => [...batchJobObjects(seen.job, plan.run), ...batchRunObjects(plan)]);
  const there = seen.executors.find(({ run }) => run === plan.run);
  const wrong =
    plan.executors !== undefined &&
    (there === undefined || (!there.deleting && (there.replicas !== plan.executors || there.builtFrom !== executorsBuiltFrom(plan))));
  return [...others, ...(wrong ? [executorsDeployment(plan)] : [])];
}

/** The driver's pod, when it was never seen and is not there. */
export function missingDriver(seen: BatchObserved): AnyObject | undefined {
  const plan = planOf(seen);
  const { active } = statusOf(seen);
  if (plan === undefined || active?.driver !== undefined || active?.stop !== undefined) return undefined;
  return driverPod(seen, plan.run) === undefined ? driverPodOf(plan) : undefined;
}

/** What is left of runs that should not be there. The last driver stays when it has ended, for its log. */
export function leftovers(seen: BatchObserved): readonly DeletionTarget[] {
  const { active, run } = statusOf(seen);
  const deleted = seen.job.metadata.deletionTimestamp !== undefined;
  const kept = active === undefined && !deleted ? run : undefined;
  const old = <T extends { readonly run: number | undefined }>(list: readonly T[]): readonly T[] =>
    list.filter((one) => one.run !== undefined && one.run !== active?.run);
  const withExecutors = new Set(seen.executors.map((one) => one.run));
  return [
    ...old(seen.executors)
      .filter(({ deleting }) => !deleting)
      .map(({ name, uid }) => ({ kind: "Deployment" as const, name, uid })),
    ...old(seen.pods)
      .filter((pod) => !pod.deleting && !(pod.component === "executor" && withExecutors.has(pod.run)))
      .filter((pod) => !(pod.component === "driver" && pod.run === kept && pod.ended !== undefined))
      .map(({ name, uid }) => ({ kind: "Pod" as const, name, uid })),
    ...old(seen.others).map(({ kind, name, uid }) => ({ kind, name, uid })),
  ];
}

/** True when no driver of a run but these can process any more. */
export function othersGone(seen: BatchObserved, runs: readonly number[]): boolean {
  return seen.pods.every((pod) => pod.component !== "driver" || runs.includes(pod.run) || (pod.ended !== undefined && !pod.deleting));
}

/** Revisions beyond the limit that nothing refers to. */
export function oldRevisions(seen: BatchObserved, limit: number): readonly BatchRevision[] {
  const { active, upgrade, stableRevision, currentRevision, pinned, ended } = statusOf(seen);
  const used = new Set([
    ...[active?.revision, upgrade?.from, upgrade?.to, stableRevision, currentRevision],
    ...[pinned?.revision, pinned?.insteadOf, ended?.revision],
  ]);
  const unused = seen.revisions.filter(({ name }) => !used.has(name));
  return unused.slice(0, Math.max(0, unused.length - limit));
}
