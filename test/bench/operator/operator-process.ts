// The operator as a child process against a given API server, and what its metrics say.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cpuSecondsOf } from "../measure.ts";
import type { Figures } from "./phases.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #log: string[] = [];

  constructor(kubeconfig: string, port: number) {
    this.#port = port;
    // The heap that Node takes of the chart's memory limit; without one it grows with the machine.
    this.#child = spawn(process.execPath, ["--max-old-space-size=256", "src/main.ts"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        MILLRACE_KUBECONFIG: kubeconfig,
        MILLRACE_LEASE: "bench-operator",
        // On a machine that does other work too, the API server may take long to answer: what is measured is not how soon a leader gives up.
        MILLRACE_LEASE_DURATION: "2 min",
        MILLRACE_LEASE_RENEW_DEADLINE: "100 s",
        MILLRACE_POD_NAMESPACE: "default",
        MILLRACE_RUNTIME_IMAGE: "millrace.dev/runtime:bench",
        MILLRACE_HTTP_HOST: "127.0.0.1",
        MILLRACE_HTTP_PORT: String(port),
        MILLRACE_LOG_LEVEL: "warn",
      },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#log.push(text);
      if (this.#log.length > 200) this.#log.shift();
    });
  }

  get log(): string {
    return this.#log.join("");
  }

  /** Throws when it has ended, which it does by itself when it loses its lease. */
  mustLive(): void {
    if (this.#child.exitCode !== null) throw new Error(`the operator ended with ${this.#child.exitCode}:\n${this.log}`);
  }

  /** Sum of a metric over all its labels, or over those whose labels contain `having`; NaN while the operator does not answer. */
  async metric(name: string, having = ""): Promise<number> {
    this.mustLive();
    try {
      const text = await (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text();
      const lines = text
        .split("\n")
        .filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)) && line.includes(having));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
    } catch {
      return Number.NaN;
    }
  }

  /** What it has done since it started. */
  async figures(): Promise<Figures> {
    this.mustLive();
    const cpuSeconds = cpuSecondsOf(this.#child.pid);
    return { cpuSeconds, reconciles: await this.metric("millrace_operator_reconciles_total"), requests: await this.#requests() };
  }

  async #requests(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text();
    const counts = new Map<string, number>();
    for (const line of text.split("\n")) {
      const match = /^millrace_operator_api_requests_total\{(.*)\} (\S+)$/.exec(line);
      if (match === null) continue;
      const labels = Object.fromEntries([...(match[1] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((one) => [one[1], one[2]]));
      const key = `${labels["verb"]} ${labels["kind"]}`;
      counts.set(key, (counts.get(key) ?? 0) + Number(match[2]));
    }
    return counts;
  }

  /** Resident memory now and at its highest, MiB. */
  memory(): { readonly now: number; readonly most: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    const read = (name: string): number => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1024);
    return { now: read("VmRSS"), most: read("VmHWM") };
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null) return resolve();
      this.#child.once("exit", () => resolve());
      this.#child.kill("SIGTERM");
    });
  }
}
