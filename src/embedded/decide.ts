// From what is known about an EmbeddedStreamApp to the one thing to do next. A pure function: the same knowledge gives the same step.
import type { EmbeddedStreamAppStatus } from "millrace/api";
import { type Decision, decided, normal } from "../resource/draft.ts";
import { allCaughtUp, brokenPod, lagOf, tasksOf } from "./caught-up.ts";
import { oldRevisions, outdated, surplus } from "./desired.ts";
import { appFinalizer, appTokenName } from "./names.ts";
import { act, type AppDraft, type AppObserved, type AppStep, pause, record, sinceMs, statusOf, timeOf } from "./observed.ts";
import type { AppRevision } from "./revision.ts";
import { scale } from "./scaling.ts";
import { type AppSettings, appSettingsOf } from "./settings.ts";
import { summarize } from "./summary.ts";
import { pinned, targetOf } from "./target.ts";
import { beginUpdate, updating } from "./update.ts";

const podsMs = 10 * 60_000;
const pollMs = 1_000;
/** How often the lag of an app that is scaled by it is read. */
const lagMs = 15_000;

export function decide(seen: AppObserved): Decision<EmbeddedStreamAppStatus, AppStep> {
  const draft = seen.app.metadata.deletionTimestamp === undefined ? living(seen) : deleting(seen);
  return decided(draft, summarize(seen, draft));
}

function living(seen: AppObserved): AppDraft {
  const { metadata, spec } = seen.app;
  if (metadata.finalizers?.includes(appFinalizer) !== true) return act(seen, { kind: "addFinalizer" });
  if (!seen.others.some(({ kind, name }) => kind === "Secret" && name === appTokenName(metadata.name)))
    return act(seen, { kind: "createToken" });
  const asked = pinned(seen);
  if (asked !== undefined) return asked;
  const target = targetOf(seen);
  if (target.kind === "new") return act(seen, { kind: "createRevision", revision: target.revision });
  // A manifest that is not valid starts nothing, and asks for no other revision than the one that goes on.
  const wanted = target.kind === "none" || seen.problem !== undefined ? undefined : target.revision;
  const draft = next(seen, wanted, appSettingsOf(spec));
  if (draft.status !== statusOf(seen) || draft.step.kind !== "wait") return draft;
  const objects = outdated(seen);
  if (objects.length > 0) return { ...draft, step: { kind: "apply", objects } };
  return draft;
}

function next(seen: AppObserved, wanted: AppRevision | undefined, settings: AppSettings): AppDraft {
  const status = statusOf(seen);
  const { upgrade, currentRevision, wantedReplicas, stableRevision, lowSince } = status;
  if (currentRevision === undefined) {
    if (wanted === undefined) return pause(seen);
    const replicas = settings.suspend ? 0 : (settings.scaling?.min ?? settings.replicas);
    return record({ ...status, currentRevision: wanted.name, wantedReplicas: replicas }, [
      normal("Deploying", `revision ${wanted.number} (${wanted.name}) is deployed with ${replicas} pods`),
    ]);
  }
  if (upgrade !== undefined) return updating(seen, upgrade, wanted?.name);
  if (wanted !== undefined && wanted.name !== currentRevision) return beginUpdate(seen, wanted, settings);
  const replicas = scaled(seen, settings);
  if (replicas !== undefined) return replicas;
  const settled = allCaughtUp(seen, wantedReplicas ?? 0);
  if (settled && stableRevision !== currentRevision && seen.pods.length > 0)
    return record({ ...status, stableRevision: currentRevision }, [
      normal("AppStable", `all pods of revision ${currentRevision} are caught up`),
    ]);
  const old = oldRevisions(seen, settings.revisionHistoryLimit);
  if (old.length > 0) return act(seen, { kind: "delete", targets: old.map(({ name }) => ({ kind: "ControllerRevision", name, uid: "" })) });
  const broken = brokenPod(seen);
  if (broken !== undefined) return pause(seen, 5_000, broken);
  if (!settled) return pause(seen, pollMs);
  if (settings.scaling === undefined || settings.suspend) return pause(seen);
  const leftMs = lowSince === undefined ? lagMs : settings.scaling.downAfterMs - sinceMs(seen, lowSince);
  return pause(seen, Math.min(lagMs, Math.max(pollMs, leftMs)));
}

// How many pods there should be, where that changes.
function scaled(seen: AppObserved, settings: AppSettings): AppDraft | undefined {
  const status = statusOf(seen);
  const { wantedReplicas: current = 0, lastScaledAt, lowSince, ...rest } = status;
  const to = (replicas: number, why: string): AppDraft =>
    record({ ...rest, wantedReplicas: replicas, lastScaledAt: timeOf(seen) }, [
      normal("Scaled", `${current} pods become ${replicas}: ${why}`),
    ]);
  if (settings.suspend) return current === 0 ? undefined : to(0, "spec.suspend is true");
  if (settings.scaling === undefined) return current === settings.replicas ? undefined : to(settings.replicas, "spec.replicas");
  // It was suspended.
  if (current === 0 && settings.scaling.min > 0) return to(settings.scaling.min, "it goes on");
  const settled = allCaughtUp(seen, current);
  const scaling = scale(
    {
      nowMs: seen.nowMs,
      current,
      tasks: tasksOf(seen),
      lag: lagOf(seen),
      settled,
      lastScaledMs: lastScaledAt === undefined ? undefined : Date.parse(lastScaledAt),
      lowSinceMs: lowSince === undefined ? undefined : Date.parse(lowSince),
    },
    settings.scaling,
  );
  if (scaling.replicas !== current) return to(scaling.replicas, scaling.replicas > current ? "records wait" : "fewer are enough");
  const low = scaling.lowSinceMs === undefined ? undefined : new Date(scaling.lowSinceMs).toISOString();
  return low === lowSince ? undefined : record({ ...status, lowSince: low });
}

// The pods go, then volumes if they should, then the finalizer. Bounded.
function deleting(seen: AppObserved): AppDraft {
  const { metadata, spec } = seen.app;
  if (metadata.finalizers?.includes(appFinalizer) !== true) return pause(seen);
  if (sinceMs(seen, metadata.deletionTimestamp ?? "") > podsMs) return act(seen, { kind: "removeFinalizer" });
  const targets = surplus(seen);
  if (targets.length > 0) return act(seen, { kind: "delete", targets });
  if (seen.set !== undefined || seen.pods.length > 0) return pause(seen, 2_000);
  if (appSettingsOf(spec).deleteVolumes && seen.claims.length > 0) {
    return act(seen, { kind: "delete", targets: seen.claims.map(({ name, uid }) => ({ kind: "PersistentVolumeClaim", name, uid })) });
  }
  return act(seen, { kind: "removeFinalizer" });
}
