// Runs kubectl: the plugin has no client of its own, so every way to log in and every flag of a context works as in kubectl itself.
import { spawn } from "node:child_process";
import { MillraceError } from "../base/errors.ts";

export interface KubectlOptions {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

export interface RunOptions {
  readonly input?: string;
  /** Show what kubectl prints instead of returning it. */
  readonly show?: boolean;
}

export interface Kubectl {
  /** The output of kubectl; throws KUBECTL_FAILED with what it said. */
  run(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Starts kubectl and leaves it running. */
  start(args: readonly string[]): ReturnType<typeof spawn>;
}

export function kubectlOf(
  { namespace, context, kubeconfig }: KubectlOptions,
  program: string = process.env["KUBECTL"] || "kubectl",
): Kubectl {
  const shared = [
    ...(namespace === undefined ? [] : ["--namespace", namespace]),
    ...(context === undefined ? [] : ["--context", context]),
    ...(kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig]),
  ];
  const start: Kubectl["start"] = (args) => spawn(program, [...args, ...shared], { stdio: ["ignore", "pipe", "pipe"] });
  return { start, run: (args, options = {}) => run(program, [...args, ...shared], options) };
}

function run(program: string, args: readonly string[], { input, show }: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", show === true ? "inherit" : "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.once("error", (cause) =>
      reject(new MillraceError("KUBECTL_FAILED", program, cause.message, "install kubectl, or set KUBECTL to its path", { cause })),
    );
    child.once("close", (code) => {
      if (code === 0) return resolve(Buffer.concat(out).toString());
      reject(failure(args, Buffer.concat(err).toString().trim(), code));
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
  });
}

function failure(args: readonly string[], said: string, code: number | null): MillraceError {
  const what = `kubectl ${args.slice(0, 3).join(" ")}`;
  const problem = said.replace(/^Error from server \(\w+\): /, "") || `it ended with ${code}`;
  if (said.includes("(NotFound)") || said.includes("not found")) {
    return new MillraceError("KUBECTL_FAILED", what, problem, "see what is there with kubectl get millrace --all-namespaces");
  }
  if (said.includes("the server doesn't have a resource type")) {
    return new MillraceError("KUBECTL_FAILED", what, problem, "install the operator's chart, or choose another cluster with --context");
  }
  if (said.includes("(Forbidden)")) {
    return new MillraceError("KUBECTL_FAILED", what, problem, "ask for the role edit in this namespace");
  }
  return new MillraceError("KUBECTL_FAILED", what, problem, "check that kubectl itself works: kubectl get nodes");
}
