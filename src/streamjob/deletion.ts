// The end of a job: a last savepoint if its policy says so, then its pods go, then the finalizer. Bounded: nothing that fails here keeps the object for ever.
import { begin } from "./begin.ts";
import { leftovers, othersGone } from "./desired.ts";
import { act, type Draft, pause, record, statusOf } from "./draft.ts";
import { finalizer } from "./names.ts";
import type { Observed } from "./observed.ts";
import { decideReplacement } from "./replacement.ts";
import { savepointToRecord } from "./savepoint-record.ts";
import { settingsOf } from "./settings.ts";

/** After the policy's own time, how long pods may take to go before they are left to the garbage collector. */
const podsMs = 10 * 60_000;

export function decideDeletion(seen: Observed): Draft {
  if (seen.job.metadata.finalizers?.includes(finalizer) !== true) return pause(seen);
  const status = statusOf(seen);
  const { upgrade, active, lastUpgrade } = status;
  const { deletionPolicy, deletionTimeoutMs } = settingsOf(seen.job.spec);
  const forMs = seen.nowMs - Date.parse(seen.job.metadata.deletionTimestamp ?? "");
  if (forMs > deletionTimeoutMs + podsMs) return act(seen, { kind: "removeFinalizer" });
  if (upgrade !== undefined && upgrade.kind !== "delete") {
    const { upgrade: _overtaken, ...rest } = status;
    return record(rest);
  }
  const { rescale, ...rest } = status;
  if (rescale !== undefined) return record(rest);
  if (upgrade === undefined && active !== undefined && lastUpgrade?.kind !== "delete") {
    const mode = deletionPolicy === "none" ? "last-state" : deletionPolicy;
    return begin(seen, { kind: "delete", mode, message: `deletion policy ${deletionPolicy}` });
  }
  const object = seen.terminating ? undefined : savepointToRecord(seen);
  if (upgrade !== undefined) {
    const draft = decideReplacement(seen, upgrade, { kind: "none" });
    if (draft.status !== status || draft.step.kind === "startSavepoint") return draft;
    if (object !== undefined) return act(seen, { kind: "recordSavepoint", object });
    return leave(seen, draft);
  }
  if (object !== undefined) return act(seen, { kind: "recordSavepoint", object });
  return othersGone(seen, []) ? act(seen, { kind: "removeFinalizer" }) : leave(seen, pause(seen, 2_000));
}

// Nothing is healed any more; what should not be there goes.
function leave(seen: Observed, draft: Draft): Draft {
  const targets = leftovers(seen);
  return targets.length === 0 ? draft : { ...draft, step: { kind: "delete", targets } };
}
