// The REST API of a running job, as the plugin reads it: through the API server's proxy of the job's Service; where the job asks for its
// token, which the proxy does not hand on, through a forwarded port.
import type { ChildProcess } from "node:child_process";
import { MillraceError } from "../base/errors.ts";
import type { Kubectl } from "./kubectl.ts";
import type { StreamJobObject } from "./objects.ts";

const FORWARD_TIMEOUT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 10_000;

/** The answer of `GET path`; undefined when the job does not answer, which is normal while it starts or is suspended. */
export async function jobAnswer(kubectl: Kubectl, { metadata }: StreamJobObject, path: string): Promise<unknown> {
  const service = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}-rest:rest/proxy`;
  try {
    return JSON.parse(await kubectl.run(["get", "--raw", service + path])) as unknown;
  } catch (error) {
    if (!/unauthorized|credentials|forbidden/i.test(String(error))) return undefined;
  }
  try {
    return await forwarded(kubectl, metadata.name, path);
  } catch {
    return undefined;
  }
}

async function forwarded(kubectl: Kubectl, job: string, path: string): Promise<unknown> {
  const secret = JSON.parse(await kubectl.run(["get", "secret", `${job}-token`, "-o", "json"])) as {
    readonly data: { readonly token: string };
  };
  const token = Buffer.from(secret.data.token, "base64").toString();
  const child = kubectl.start(["port-forward", `service/${job}-rest`, ":rest", "--address", "127.0.0.1"]);
  try {
    const port = await forwardedPort(child);
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return answer.ok ? ((await answer.json()) as unknown) : undefined;
  } finally {
    child.kill();
  }
}

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
