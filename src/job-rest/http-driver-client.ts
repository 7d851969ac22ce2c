// The DriverClient port over the REST API of a MicroBatchJob's driver.
import type { DriverAddress, DriverClient, DriverReport } from "../ports/driver-client.ts";
import { driverReport } from "../ports/driver-report.ts";
import { JobClientError, type SavepointReport } from "../ports/job-client.ts";
import { type Answer, askRest, describe, unreachable } from "./ask-rest.ts";
import { parseSavepointReport } from "./parse-reports.ts";

export class HttpDriverClient implements DriverClient {
  async report(address: DriverAddress): Promise<DriverReport> {
    const [query, job] = await Promise.all([ask(address, "GET", "/v1/query"), ask(address, "GET", "/v1/job")]);
    return driverReport(query.body, job.body, address.run);
  }

  async stopWithSavepoint(address: DriverAddress, id: string): Promise<SavepointReport> {
    const { body } = await ask(address, "POST", "/v1/savepoints", { id, mode: "stop" });
    return parseSavepointReport(body, id, "stop");
  }

  async savepoint(address: DriverAddress, id: string): Promise<SavepointReport | undefined> {
    const { status, body } = await ask(address, "GET", `/v1/savepoints/${encodeURIComponent(id)}`);
    return status === 404 ? undefined : parseSavepointReport(body, id, "stop");
  }

  async stop(address: DriverAddress, mode: "after-batch" | "immediate"): Promise<void> {
    await ask(address, "POST", "/v1/stop", { mode: mode === "immediate" ? "immediate" : "batch" });
  }
}

// A savepoint that failed is an answer too; 404 is one to a GET.
async function ask(address: DriverAddress, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await askRest(address, method, path, body).catch((error: unknown) => unreachable(error));
  const failed = answer.status === 409 && (answer.body as { readonly phase?: unknown } | null)?.phase === "failed";
  if (answer.status < 300 || failed || (answer.status === 404 && method === "GET" && path.startsWith("/v1/savepoints/"))) return answer;
  const refused = answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429;
  throw new JobClientError(refused ? "refused" : "unreachable", address.job, describe([answer]));
}
