// The REST API of a running job, as the plugin reads it: a port forwarded to the JobManager that leads, with the token of the job's Secret.
// (The API server's proxy of a Service would be shorter, but it takes the Authorization header for itself.)
import type { ChildProcess } from "node:child_process";
import { MillraceError } from "../base/errors.ts";
import type { Kubectl } from "./kubectl.ts";
import type { StreamJobObject } from "./objects.ts";

const FORWARD_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 10_000;

/** Answers of `GET` requests; undefined for one that the job did not answer. */
export type Ask = (path: string) => Promise<unknown>;

/** Runs `use` with the leader; undefined when no JobManager leads or may be reached, which is normal while a job starts or is suspended. */
export async function withLeader<T>(
  kubectl: Kubectl,
  { metadata }: StreamJobObject,
  use: (ask: Ask) => Promise<T>,
): Promise<T | undefined> {
  const selector = `millrace.dev/job=${metadata.name},app.kubernetes.io/component=jobmanager`;
  try {
    const pods = await kubectl.run(["get", "pods", "--selector", selector, "--field-selector", "status.phase=Running", "-o", "name"]);
    const secret = await kubectl.run(["get", "secret", `${metadata.name}-token`, "-o", "jsonpath={.data.token}"]);
    const token = Buffer.from(secret, "base64").toString();
    for (const pod of pods.split("\n").filter((name) => name !== "")) {
      const child = kubectl.start(["port-forward", pod, ":rest", "--address", "127.0.0.1"]);
      try {
        const ask = asker(await forwardedPort(child), token);
        // A standby answers 421 or 503, and a run that was replaced nothing of interest.
        if ((await ask("/v1/job")) !== undefined) return await use(ask);
      } finally {
        child.kill();
      }
    }
  } catch {
    // Without permission for Secrets or ports the resource itself still says a lot.
  }
  return undefined;
}

const asker =
  (port: number, token: string): Ask =>
  async (path) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return answer.ok ? ((await answer.json()) as unknown) : undefined;
  };

function forwardedPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = (why: string): void =>
      reject(new MillraceError("KUBECTL_FAILED", "kubectl port-forward", why, "check that you may forward ports in this namespace"));
    const late = setTimeout(() => fail(`no port within ${FORWARD_TIMEOUT_MS / 1000} s`), FORWARD_TIMEOUT_MS);
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const match = /127\.0\.0\.1:(\d+)/.exec(said);
      if (match === null) return;
      clearTimeout(late);
      resolve(Number(match[1]));
    });
    child.once("error", (error) => fail(error.message));
    child.once("close", (code) => {
      clearTimeout(late);
      fail(`it ended with ${code}`);
    });
  });
}
