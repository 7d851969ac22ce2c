// A failure as the leader hears of it: its code, where it happened, whether a restart can mend it.
import { isMillraceError, messageOf, MillraceError } from "../../../base/errors.ts";
import type { Task } from "../../task/task.ts";
import type { SliceNews } from "./slice-checkpoints.ts";

/** What no restart can mend. */
const fatalCodes: ReadonlySet<string> = new Set([
  "FENCED",
  "KAFKA_FENCED",
  "BAD_RECORDS_LIMIT",
  // Thrown only where onBadRecord says fail: the same record comes again at every start.
  "RECORD_UNPARSABLE",
  "RECORD_MISFIT",
  "FUNCTION_FAILED",
  "STATE_SCHEMA_INCOMPATIBLE",
  "STORAGE_DENIED",
  "SLOT_PLAN_DIFFERS",
  "IN_FLIGHT_SCHEMA",
]);

export function failureNews(error: unknown, at: Task["failedAt"], lostSlot: number | undefined): SliceNews & { readonly kind: "failed" } {
  return {
    kind: "failed",
    code: isMillraceError(error) ? error.code : "INTERNAL",
    message: isMillraceError(error) || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message),
    fatal: hasFatalCause(error),
    // A lost peer is nobody's fault here.
    ...(lostSlot === undefined ? at : { lostSlot }),
  };
}

function hasFatalCause(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof MillraceError && fatalCodes.has(cause.code)) return true;
  }
  return false;
}
