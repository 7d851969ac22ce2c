// From what is known about a MicroBatchJob to the one thing to do next. A pure function: the same knowledge gives the same step.
import { decided } from "../resource/draft.ts";
import { batchFinalizer, batchTokenName } from "./names.ts";
import { leftovers, missingDriver, outdated, othersGone } from "./desired.ts";
import { act, type BatchDraft, pause, record, statusOf } from "./draft.ts";
import type { BatchObserved } from "./observed.ts";
import { running, stop } from "./running.ts";
import { batchSettingsOf } from "./settings.ts";
import type { BatchDecision } from "./step.ts";
import { summarize } from "./summary.ts";
import { pinned, targetOf } from "./target.ts";
import { waiting } from "./waiting.ts";

/** After the policy's own time, how long pods may take to go before they are left to the garbage collector. */
const podsMs = 10 * 60_000;

export function decide(seen: BatchObserved): BatchDecision {
  const draft = seen.job.metadata.deletionTimestamp === undefined ? living(seen) : deleting(seen);
  return decided(draft, summarize(seen, draft));
}

function living(seen: BatchObserved): BatchDraft {
  const { job } = seen;
  if (job.metadata.finalizers?.includes(batchFinalizer) !== true) return act(seen, { kind: "addFinalizer" });
  if (!seen.others.some(({ kind, name }) => kind === "Secret" && name === batchTokenName(job.metadata.name)))
    return act(seen, { kind: "createToken" });
  const asked = pinned(seen);
  if (asked !== undefined) return asked;
  const target = targetOf(seen);
  if (target.kind === "new") return act(seen, { kind: "createRevision", revision: target.revision });
  const { active } = statusOf(seen);
  const draft = active === undefined ? waiting(seen, target) : running(seen, active, target);
  // What is about to change the status, or asks the driver to end, goes first; pods and papers can wait that moment.
  if (draft.status !== statusOf(seen) || draft.step.kind !== "wait") return draft;
  return upkeep(seen, draft) ?? draft;
}

// Whatever else is going on: what should be there is made, what is left over goes.
function upkeep(seen: BatchObserved, draft: BatchDraft): BatchDraft | undefined {
  const targets = leftovers(seen);
  if (targets.length > 0) return { ...draft, step: { kind: "delete", targets } };
  const objects = outdated(seen);
  if (objects.length > 0) return { ...draft, step: { kind: "apply", objects } };
  // What it needs is there before it is.
  const driver = missingDriver(seen);
  return driver === undefined ? undefined : { ...draft, step: { kind: "createDriver", object: driver } };
}

// A last savepoint if the policy says so, then the pods go, then the finalizer. Bounded: nothing that fails here keeps the object for ever.
function deleting(seen: BatchObserved): BatchDraft {
  const { metadata, spec } = seen.job;
  if (metadata.finalizers?.includes(batchFinalizer) !== true) return pause(seen);
  const settings = batchSettingsOf(spec);
  if (seen.nowMs - Date.parse(metadata.deletionTimestamp ?? "") > settings.deletionTimeoutMs + podsMs)
    return act(seen, { kind: "removeFinalizer" });
  const { active, upgrade, ...rest } = statusOf(seen);
  if (upgrade !== undefined) return record({ ...rest, ...(active === undefined ? {} : { active }) });
  if (active !== undefined) {
    if (active.stop?.reason !== "delete") {
      const { stop: _overtaken, ...run } = active;
      // What was being stopped for something else had worked.
      return stop(
        seen,
        run.phase === "stopping" ? { ...run, phase: run.stableAt === undefined ? "starting" : "stable" } : run,
        "delete",
        settings,
      );
    }
    return running(seen, active, { kind: "none" });
  }
  const targets = leftovers(seen);
  if (targets.length > 0) return act(seen, { kind: "delete", targets });
  return othersGone(seen, []) && seen.pods.length === 0 ? act(seen, { kind: "removeFinalizer" }) : pause(seen, 2_000);
}
