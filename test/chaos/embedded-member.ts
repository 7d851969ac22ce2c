// A service with the job of the module JOB inside, configured by its environment as the operator does it; its log lines are JSON.
import { pathToFileURL } from "node:url";
import type { Job } from "millrace";
import { embedded, environmentConfig, type FailureResponse, type Log, type LogFields } from "millrace/embedded";

const { JOB = "", COMMIT_INTERVAL_MS = "200", ON_FAILURE = "shutdown-client" } = process.env;
const write = (level: string, message: string, fields: LogFields = {}): void => console.log(JSON.stringify({ level, message, ...fields }));
const log: Log = {
  debug: () => undefined,
  info: (message, fields) => write("info", message, fields),
  warn: (message, fields) => write("warn", message, fields),
  error: (message, fields) => write("error", message, fields),
  child: () => log,
};

const { default: job } = (await import(pathToFileURL(JOB).href)) as { readonly default: Job };
const app = embedded(job, {
  ...environmentConfig(),
  commitIntervalMs: Number(COMMIT_INTERVAL_MS),
  onFailure: (error, taskId) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    log.warn("failure", { taskId, code, reason: String(error) });
    return ON_FAILURE as FailureResponse;
  },
  log,
});
app.onState((state, before) => log.info("state", { state, before }));
process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => log.error("close failed", { reason: String(error) }));
});
await app.start();
log.info("listens", { url: app.url });
await app.done;
