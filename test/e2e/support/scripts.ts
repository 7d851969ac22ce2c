// Runs the repository's scripts and helm from tests.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realCluster } from "../../support/cluster.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** Runs one of the repository's scripts: `hack("cluster", "kill", "--component", "etcd")`. */
export function hack(script: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(join(repository, "hack", script), args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`hack/${script} ${args.join(" ")}: ${stderr.trim() || error.message}`));
    });
  });
}

/** Runs helm against the cluster of this run. */
export async function helm(...args: readonly string[]): Promise<string> {
  const path = (await hack("cluster", "helm")).trim();
  return new Promise((resolve, reject) => {
    execFile(path, ["--kubeconfig", realCluster().kubeconfig, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`helm ${args.slice(0, 2).join(" ")}: ${stderr.trim() || stdout.trim() || error.message}`));
    });
  });
}
