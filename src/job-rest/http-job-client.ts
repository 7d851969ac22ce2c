// The JobClient port over the REST API of a job's JobManagers: whoever leads is asked, and found by asking.
import type { RestorePoint } from "millrace/api";
import {
  type JobAddress,
  type JobClient,
  JobClientError,
  type JobManagerAddress,
  type JobReport,
  type SavepointMode,
  type SavepointReport,
} from "../ports/job-client.ts";
import { type Answer, askRest, describe, unreachable } from "./ask-rest.ts";
import { parseJobReport, parseSavepointReport } from "./parse-reports.ts";

/** This JobManager does not lead. */
const misdirected = 421;

export class HttpJobClient implements JobClient {
  async report(address: JobAddress): Promise<JobReport> {
    const answers = await this.#all(address, "GET", "/v1/job");
    const reports = answers.filter(({ status }) => status === 200).map(({ body }) => parseJobReport(body, address.run));
    const leader = reports.find((one) => one.leader === true) ?? reports.find((one) => one.leader === undefined && one.state !== "standby");
    if (leader !== undefined) return leader;
    const [first] = reports;
    if (first === undefined) throw new JobClientError("unreachable", address.job, describe(answers));
    // All stand by: the run is as ready as the least ready of them.
    return { ...first, prepared: reports.length === address.jobManagers.length && reports.every(({ prepared }) => prepared) };
  }

  async start(address: JobAddress, restore: RestorePoint): Promise<void> {
    const answers = await this.#all(address, "POST", "/v1/start", { run: address.run, restore });
    if (answers.some(({ status }) => status < 300)) return;
    throw new JobClientError(answers.some(({ status }) => status === 409) ? "refused" : "unreachable", address.job, describe(answers));
  }

  async startSavepoint(address: JobAddress, id: string, mode: SavepointMode): Promise<SavepointReport> {
    const { body } = await this.#leader(address, "POST", "/v1/savepoints", { id, mode });
    return parseSavepointReport(body, id, mode);
  }

  async savepoint(address: JobAddress, id: string): Promise<SavepointReport | undefined> {
    const { status, body } = await this.#leader(address, "GET", `/v1/savepoints/${encodeURIComponent(id)}`);
    return status === 404 ? undefined : parseSavepointReport(body, id, "keep");
  }

  async rescale(address: JobAddress, parallelism: number): Promise<void> {
    await this.#leader(address, "PATCH", "/v1/job", { parallelism });
  }

  // The answer of the one that does not send us on. 404 is an answer to a GET only.
  async #leader(address: JobAddress, method: string, path: string, body?: unknown): Promise<Answer> {
    const failed: Answer[] = [];
    for (const jobManager of address.jobManagers) {
      const answer = await this.#one(jobManager, address.token, method, path, body).catch((error: unknown) => unreachable(error));
      // A savepoint that failed is an answer too.
      const failed409 = answer.status === 409 && (answer.body as { readonly phase?: unknown } | null)?.phase === "failed";
      if (answer.status < 300 || failed409 || (answer.status === 404 && method === "GET")) return answer;
      failed.push(answer);
    }
    const refused = failed.find(
      ({ status }) => status >= 400 && status < 500 && status !== misdirected && status !== 408 && status !== 429,
    );
    throw new JobClientError(
      refused === undefined ? "unreachable" : "refused",
      address.job,
      describe(refused === undefined ? failed : [refused]),
    );
  }

  #all(address: JobAddress, method: string, path: string, body?: unknown): Promise<readonly Answer[]> {
    return Promise.all(
      address.jobManagers.map((one) => this.#one(one, address.token, method, path, body).catch((error: unknown) => unreachable(error))),
    );
  }

  #one({ url }: JobManagerAddress, token: string, method: string, path: string, body: unknown): Promise<Answer> {
    return askRest({ url, token }, method, path, body);
  }
}
