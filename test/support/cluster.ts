// How tests find the real cluster that `hack/cluster up` recorded, and speak to it with kubectl.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface RealCluster {
  readonly kubeconfig: string;
  readonly kubectl: string;
  /** The address at which pods reach this machine. */
  readonly host: string;
}

/** The cluster of this run; throws where there is none, so that its test fails. */
export function realCluster(): RealCluster {
  const file = join(process.env["MILLRACE_SERVERS"] || join(repository, ".cache/run"), "cluster.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as RealCluster;
  } catch (cause) {
    throw new Error(`this test needs a real cluster and finds none (${file}); run hack/cluster up`, { cause });
  }
}

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs kubectl to its end, whatever the end is. */
export function tryKubectl(args: readonly string[], input?: string): Promise<Answer> {
  const { kubectl, kubeconfig } = realCluster();
  return new Promise((resolve, reject) => {
    const child = spawn(kubectl, ["--kubeconfig", kubeconfig, ...args], { stdio: "pipe" });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.once("error", reject);
    child.once("close", (code) =>
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
  });
}

/** Runs kubectl; throws with what it said when it fails. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await tryKubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${code}: ${stderr.trim()}`);
  return stdout;
}
