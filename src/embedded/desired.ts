// Which of an EmbeddedStreamApp's objects should be there, and which are missing or outdated.
import type { AnyObject } from "../ports/objects.ts";
import type { DeletionTarget } from "../resource/act.ts";
import { inputsOf, missingOf } from "../resource/built.ts";
import { appObjects } from "./build/support.ts";
import { type AppPlan, builtFrom, statefulSet } from "./build/stateful-set.ts";
import { appSetName } from "./names.ts";
import { type AppObserved, statusOf } from "./observed.ts";
import type { AppRevision } from "./revision.ts";

export function planOf(seen: AppObserved): AppPlan | undefined {
  const { currentRevision, wantedReplicas = 0, upgrade, restoredFrom, restoreId } = statusOf(seen);
  const revision = seen.revisions.find(({ name }) => name === currentRevision);
  if (revision === undefined) return undefined;
  // Between two versions over a savepoint nothing may run.
  const replicas = upgrade?.phase === "stopping" ? 0 : wantedReplicas;
  const partition = upgrade?.phase === "rolling" ? upgrade.partition : 0;
  return { app: seen.app, revision, replicas, partition, restoredFrom, restoreId };
}

/** What has to be applied. */
export function outdated(seen: AppObserved): readonly AnyObject[] {
  const plan = planOf(seen);
  if (plan === undefined) return [];
  const { set, app, built } = seen;
  const others = missingOf(seen, inputsOf(app), () => appObjects(app));
  const from = [...inputsOf(app), plan.revision.name, plan.partition, plan.restoredFrom, plan.restoreId];
  const digest = built.of("workloads", from, () => builtFrom(plan));
  const wrong = set === undefined || (!set.deleting && (set.replicas !== plan.replicas || set.builtFrom !== digest));
  return [...others, ...(wrong ? [statefulSet(plan)] : [])];
}

/** What goes first when the app goes. */
export const surplus = ({ set, app }: AppObserved): readonly DeletionTarget[] =>
  set === undefined || set.deleting ? [] : [{ kind: "StatefulSet", name: appSetName(app.metadata.name), uid: set.uid }];

/** Revisions beyond the limit that nothing refers to. */
export function oldRevisions(seen: AppObserved, limit: number): readonly AppRevision[] {
  const { upgrade, stableRevision, currentRevision, pinned } = statusOf(seen);
  const used = new Set([upgrade?.from, upgrade?.to, stableRevision, currentRevision, pinned?.revision, pinned?.insteadOf]);
  const unused = seen.revisions.filter(({ name }) => !used.has(name));
  return unused.slice(0, Math.max(0, unused.length - limit));
}
