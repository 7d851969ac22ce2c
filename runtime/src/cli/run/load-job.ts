// Imports a job's module and builds its dataflow.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { isJob } from "../../dsl/job.ts";
import type { Dataflow } from "../../plan/dataflow.ts";

/** The default export of the module at `path`; throws JOB_MODULE_MISSING or JOB_MODULE_FAILED. */
export async function loadExport(path: string): Promise<unknown> {
  const file = resolve(path);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true)
    throw new MillraceError("JOB_MODULE_MISSING", path, "there is no such file", "give the path of a module whose default export is a job");
  try {
    return ((await import(pathToFileURL(file).href)) as { readonly default?: unknown }).default;
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw new MillraceError("JOB_MODULE_FAILED", path, `loading it failed: ${messageOf(cause)}`, "run it with node to see where", {
      cause,
    });
  }
}

/** The dataflow of the job that is the default export of `path`; throws JOB_MODULE_MISSING, JOB_MODULE_FAILED or JOB_EXPORT_MISSING. */
export async function loadJob(path: string, parameters: Readonly<Record<string, string>>): Promise<Dataflow> {
  const job = await loadExport(path);
  if (!isJob(job)) {
    throw new MillraceError(
      "JOB_EXPORT_MISSING",
      path,
      "its default export is not a job",
      'write: export default job("name", (flow) => { ... })',
    );
  }
  return job.build(parameters);
}
