// The AppClient port over the HTTP of an embedded application's processes (docs/reference/embedded-rest.md).
import type { AppAddress, AppClient, AppReport } from "../ports/app-client.ts";
import { JobClientError, type SavepointReport } from "../ports/job-client.ts";
import { type Answer, askRest, describe, unreachable } from "./ask-rest.ts";
import { parseSavepointReport } from "./parse-reports.ts";

type Fields = Readonly<Record<string, unknown>>;

const numberOf = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);

export class HttpAppClient implements AppClient {
  async report(address: AppAddress): Promise<AppReport> {
    const { body } = await ask(address, "GET", "/v1/app");
    const { state, ready, totalTasks, tasks, restoringTasks, lag } = (body ?? {}) as Fields;
    return {
      state: typeof state === "string" ? state : "created",
      ready: ready === true,
      totalTasks: numberOf(totalTasks),
      tasks: Array.isArray(tasks) ? tasks.length : 0,
      restoringTasks: numberOf(restoringTasks) ?? 0,
      lag: numberOf(lag),
    };
  }

  async stopWithSavepoint(address: AppAddress, id: string): Promise<SavepointReport> {
    const { body } = await ask(address, "POST", "/v1/savepoints", { id, mode: "stop" });
    return parseSavepointReport(body, id, "stop");
  }
}

// A savepoint that failed is an answer too.
async function ask(address: AppAddress, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await askRest(address, method, path, body).catch((error: unknown) => unreachable(error));
  const failed = answer.status === 409 && (answer.body as { readonly phase?: unknown } | null)?.phase === "failed";
  if (answer.status < 300 || failed) return answer;
  throw new JobClientError(answer.status >= 400 && answer.status < 500 ? "refused" : "unreachable", address.pod, describe([answer]));
}
