// Failures of a run that the next one would have as well: what the manifest and the program say, which are the same for every run of a revision.
import { isMillraceError, messageOf } from "../../base/errors.ts";

/** Nothing outside the revision has a part in these. What depends on a server, a file or an input's rows is not here: that may be mended meanwhile. */
const codes: ReadonlySet<string> = new Set([
  "DATAFRAME_UNSUPPORTED",
  "JOB_EXPORT_MISSING",
  "MANIFEST_INVALID",
  "OPTION_INVALID",
  "PARAMETER_MISSING",
  "PLAN_JOB_NAME",
  // The checkpoint location belongs to the job, and what is there was written by another program.
  "QUERY_CHANGED",
]);

export function isFinalFailure(error: unknown): boolean {
  return isMillraceError(error) && codes.has(error.code);
}

/** As whoever started the driver shows it: the code, what is wrong, what to do next. */
export function failureText(error: unknown): string {
  return isMillraceError(error) ? `${error.code}: ${error.message}` : messageOf(error);
}
