// From what is known about a job to the one thing to do next. A pure function: the same knowledge gives the same step.
import type { Decision } from "./step.ts";
import { decideDeletion } from "./deletion.ts";
import { leftovers, outdated } from "./desired.ts";
import { act, type Draft, statusOf } from "./draft.ts";
import { decided } from "../resource/draft.ts";
import { idle } from "./idle.ts";
import { finalizer, tokenSecretName } from "./names.ts";
import type { Observed } from "./observed.ts";
import { savepointToRecord } from "./savepoint-record.ts";
import { decideReplacement } from "./replacement.ts";
import { summarize } from "./summary.ts";
import { pinned, targetOf } from "./target.ts";

export function decide(seen: Observed): Decision {
  const draft = seen.job.metadata.deletionTimestamp === undefined ? decideLiving(seen) : decideDeletion(seen);
  return decided(draft, summarize(seen, draft));
}

function decideLiving(seen: Observed): Draft {
  const { job } = seen;
  if (job.metadata.finalizers?.includes(finalizer) !== true) return act(seen, { kind: "addFinalizer" });
  if (!seen.others.some(({ kind, name }) => kind === "Secret" && name === tokenSecretName(job.metadata.name)))
    return act(seen, { kind: "createToken" });
  const asked = pinned(seen);
  if (asked !== undefined) return asked;
  const target = targetOf(seen);
  if (target.kind === "new") return act(seen, { kind: "createRevision", revision: target.revision });
  const { upgrade } = statusOf(seen);
  const draft = upgrade === undefined ? idle(seen, target) : decideReplacement(seen, upgrade, target);
  return urgent(draft, seen) ? draft : (upkeep(seen, draft) ?? draft);
}

// What is about to change the status or to hand over from run to run goes first; pods and papers can wait that moment.
function urgent(draft: Draft, seen: Observed): boolean {
  return draft.step.kind === "startRun" || draft.status !== statusOf(seen);
}

/** Whatever else is going on: what should be there is made, what is left over goes. */
export function upkeep(seen: Observed, draft: Draft): Draft | undefined {
  const objects = outdated(seen);
  if (objects.length > 0) return keeping(draft, { kind: "apply", objects });
  const targets = leftovers(seen);
  if (targets.length > 0) return keeping(draft, { kind: "delete", targets });
  const object = savepointToRecord(seen);
  if (object !== undefined) return keeping(draft, { kind: "recordSavepoint", object });
  return undefined;
}

const keeping = (draft: Draft, step: Draft["step"]): Draft => ({ ...draft, step });
