// Everything that happens to the pods of a namespace, in the order in which the API server has it.
import { type ChildProcess, spawn } from "node:child_process";
import { realCluster } from "../../support/cluster.ts";

export interface PodChange {
  readonly pod: string;
  readonly revision: string;
  readonly ready: boolean;
  readonly leaving: boolean;
}

const columns = [
  "{.metadata.name}",
  "{.metadata.labels.millrace\\.dev/revision}",
  '{.status.conditions[?(@.type=="Ready")].status}',
  "{.metadata.deletionTimestamp}",
].join("|");

export class PodWatch {
  readonly changes: PodChange[] = [];
  readonly #child: ChildProcess;

  constructor(namespace: string) {
    const { kubectl, kubeconfig } = realCluster();
    const args = ["--kubeconfig", kubeconfig, "get", "pods", "-n", namespace, "--watch", "-o", `jsonpath=${columns}{"\\n"}`];
    this.#child = spawn(kubectl, args, { stdio: ["ignore", "pipe", "ignore"] });
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [pod = "", revision = "", ready = "", leaving = ""] = line.split("|");
        this.changes.push({ pod, revision, ready: ready === "True", leaving: leaving !== "" });
      }
    });
  }

  /** The place of the first change that is so; -1 for none. */
  first(wanted: (change: PodChange) => boolean): number {
    return this.changes.findIndex(wanted);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
