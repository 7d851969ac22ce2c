// What operators ask of their inputs: some cannot follow changes, and some cannot follow upserts. Refused when the job is planned.
import { MillraceError } from "../base/errors.ts";
import type { StreamRef } from "./stream-ref.ts";

/** For operators whose rows stay as they came. `what` names the operator's method. */
export function requireInserts(ref: StreamRef, what: string): void {
  if (ref.changelog === "append") return;
  throw new MillraceError(
    "PLAN_INPUT_CHANGES",
    `${what} over "${ref.node.uid}"`,
    `it takes inserts only, and its input gives a changelog (${ref.changelog})`,
    "use it before the changes begin, or make the changes rows with .toStream()",
  );
}

/** For operators that take rows back by what they were: an upsert does not say what it replaces. */
export function refuseUpserts(ref: StreamRef, what: string): void {
  if (ref.changelog !== "upsert") return;
  throw new MillraceError(
    "PLAN_INPUT_UPSERT",
    `${what} over "${ref.node.uid}"`,
    "its input gives upserts, which do not say what they replace",
    "add .keyBy(...).toTable() before it: it finds what an upsert replaces",
  );
}
