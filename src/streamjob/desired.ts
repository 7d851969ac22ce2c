// Which of a job's objects should be there, which are missing or outdated, and which are left over.
import type { AnyObject } from "../ports/objects.ts";
import type { DeletionTarget } from "../resource/act.ts";
import { lease } from "./build/config.ts";
import type { RunPlan } from "./build/plan.ts";
import { jobObjects, runObjects } from "./build/support.ts";
import { builtFrom, deployment } from "./build/workload.ts";
import { statusOf } from "./draft.ts";
import { runName, startAnnotation } from "./names.ts";
import { type Inputs, inputsOf, missingOf } from "../resource/built.ts";
import type { Observed } from "./observed.ts";
import type { Revision } from "./revision.ts";
import { settingsOf } from "./settings.ts";

/** The runs whose pods should be there, by what the status says. */
export function wantedRuns(seen: Observed): readonly RunPlan[] {
  const { active, upgrade } = statusOf(seen);
  const plans: RunPlan[] = [];
  const stopping = upgrade?.phase === "stopping" ? upgrade.from?.run : undefined;
  if (active !== undefined && active.phase !== "finished" && active.run !== stopping) {
    const { run, standby, restore, revision, parallelism } = active;
    const plan = planOf(seen, { run, revision, parallelism, standby, restore });
    if (plan !== undefined) plans.push(plan);
  }
  const { to, phase } = upgrade ?? {};
  // A run that does not stand by would start by itself: it is made only when it may.
  if (to !== undefined && phase !== "starting" && to.standby) {
    const plan = planOf(seen, { ...to, restore: undefined });
    if (plan !== undefined) plans.push(plan);
  }
  return plans;
}

function planOf(
  seen: Observed,
  run: { run: number; revision: string; parallelism: number; standby: boolean; restore: RunPlan["restore"] },
): RunPlan | undefined {
  const revision = seen.revisions.find(({ name }) => name === run.revision);
  if (revision === undefined) return undefined;
  const { rescale } = statusOf(seen);
  const settings = settingsOf(seen.job.spec);
  const slots = revision.spec.taskManager?.slots ?? 1;
  const needed = Math.ceil(Math.max(run.parallelism, rescale?.to ?? 0) / slots);
  // More than needed is a choice of the manifest's, as long as it speaks of this parallelism.
  const chosen = seen.problem === undefined && settings.parallelism === run.parallelism ? settings.taskManagers : 0;
  return { ...run, job: seen.job, revision, slots, jobManagers: settings.jobManagers, taskManagers: Math.max(needed, chosen) };
}

/** What has to be applied. */
export function outdated(seen: Observed): readonly AnyObject[] {
  const plans = wantedRuns(seen);
  if (plans.length === 0) return [];
  const active = statusOf(seen).active?.run;
  const name = seen.job.metadata.name;
  const from = [...inputsOf(seen.job), active, ...plans.flatMap(inputsOfPlan)];
  const leases = plans.map(({ run }) => runName(name, run));
  const others = missingOf(seen, from, () => [...jobObjects(seen.job, leases, active), ...plans.flatMap(runObjects)]);
  const digests = seen.built.of("workloads", from, () =>
    plans.map((plan) => ({ jobmanager: builtFrom(plan, "jobmanager"), taskmanager: builtFrom(plan, "taskmanager") })),
  );
  const workloads = plans.flatMap((plan, index) => {
    const missing = (["jobmanager", "taskmanager"] as const).filter((component) => {
      const there = seen.workloads.find((workload) => workload.run === plan.run && workload.component === component);
      if (there === undefined) return true;
      const replicas = component === "jobmanager" ? plan.jobManagers : plan.taskManagers;
      return !there.deleting && (there.replicas !== replicas || there.builtFrom !== digests[index]?.[component]);
    });
    const withLease = missing.includes("jobmanager") || (plan.run === active && seen.leaseMissing);
    return [...(withLease ? [leaseOf(seen, plan)] : []), ...missing.map((component) => deployment(plan, component))];
  });
  return [...others, ...workloads];
}

const inputsOfPlan = (plan: RunPlan): Inputs => [
  ...[plan.run, plan.parallelism, plan.slots, plan.jobManagers, plan.taskManagers, plan.standby],
  ...[plan.revision.spec, plan.restore?.sinceRun, plan.restore?.location],
];

// A run that was told to start knows so from its Lease, also from one that has to be made again.
function leaseOf(seen: Observed, plan: RunPlan): AnyObject {
  const { active } = statusOf(seen);
  return lease(plan, active?.run === plan.run && plan.standby ? startAnnotations(plan.run, active.restore) : {});
}

export const startAnnotations = (run: number, restore: object): Readonly<Record<string, string>> => ({
  [startAnnotation]: JSON.stringify({ run, restore }),
});

/** What is left of runs that should not be there. */
export function leftovers(seen: Observed): readonly DeletionTarget[] {
  const wanted = new Set(wantedRuns(seen).map(({ run }) => run));
  const workloads = seen.workloads.filter(({ run }) => !wanted.has(run));
  const runsWithWorkloads = new Set(workloads.map(({ run }) => run));
  const orphans = seen.pods.filter((pod) => !wanted.has(pod.run) && !pod.deleting && !runsWithWorkloads.has(pod.run));
  const others = seen.others.filter(({ run }) => run !== undefined && !wanted.has(run) && !runsWithWorkloads.has(run));
  const leases = [...new Set(others.map(({ run }) => run ?? 0))].map((run) => runName(seen.job.metadata.name, run));
  return [
    ...workloads.filter(({ deleting }) => !deleting).map(({ name, uid }) => ({ kind: "Deployment" as const, name, uid })),
    ...orphans.map(({ name }) => ({ kind: "Pod" as const, name, uid: "" })),
    // First, so that it is not forgotten when its companions are gone.
    ...leases.map((name) => ({ kind: "Lease" as const, name, uid: "" })),
    ...others.map(({ kind, name, uid }) => ({ kind, name, uid })),
  ];
}

/** True when nothing of any run but these can run any more: neither its pods nor what would make new ones. */
export function othersGone(seen: Observed, runs: readonly (number | undefined)[]): boolean {
  return (
    seen.workloads.every(({ run }) => runs.includes(run)) &&
    seen.pods.every((pod) => runs.includes(pod.run) || (pod.ended && !pod.deleting))
  );
}

/** Revisions beyond the limit that nothing refers to. */
export function oldRevisions(seen: Observed, limit: number): readonly Revision[] {
  const { active, upgrade, stableRevision, currentRevision, pinned } = statusOf(seen);
  const used = new Set([
    active?.revision,
    upgrade?.from?.revision,
    upgrade?.to?.revision,
    stableRevision,
    currentRevision,
    pinned?.revision,
    pinned?.insteadOf,
  ]);
  const unused = seen.revisions.filter(({ name }) => !used.has(name));
  return unused.slice(0, Math.max(0, unused.length - limit));
}
