// Pods as child processes on this machine, on the loopback address, each with ports of its own: `millrace jobmanager`, `taskmanager`, `driver`.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { ownerLabels, ownerOfObject } from "../controller/owner-labels.ts";
import type { PodProcesses, ProcessEnd } from "../memory/kubelet.ts";
import type { ObjectStore } from "../memory/object-store.ts";
import { type Log, messageOf } from "../ports/machine.ts";
import type { Pod } from "../ports/objects.ts";
import { runLabel } from "../resource/names.ts";
import { commandOf, host, variablesOf, wordsOf } from "./pod-command.ts";

export interface ChildProcessOptions {
  readonly store: ObjectStore;
  /** What runs `millrace`, such as node and the path of its program. */
  readonly command: readonly string[];
  /** Everything of this run of `millrace up`: manifests, leadership, logs. */
  readonly folder: string;
  readonly log: Log;
  /** A pod's readiness may have changed. */
  readonly changed: (pod: Pod) => void;
}

interface Child {
  process: ChildProcess | undefined;
  restPort: number;
  ready: boolean;
  probe: NodeJS.Timeout | undefined;
  stopping: boolean;
  lastLine: string;
}

const probeMs = 150;
const graceMs = 20_000;

const homeOf = (folder: string, pod: string): string => join(folder, "pods", pod);

/** Where the token lies that a pod's REST API takes. */
export const tokenFile = (folder: string, pod: string): string => join(homeOf(folder, pod), "token");

export class ChildProcesses implements PodProcesses {
  readonly #options: ChildProcessOptions;
  readonly #children = new Map<string, Child>();

  constructor(options: ChildProcessOptions) {
    this.#options = options;
  }

  refused(): undefined {
    return undefined;
  }

  start(pod: Pod, ended: (end: ProcessEnd) => void): void {
    const child: Child = { process: undefined, restPort: 0, ready: false, probe: undefined, stopping: false, lastLine: "" };
    this.#children.set(pod.metadata.name, child);
    this.#spawn(pod, child, ended).catch((error: unknown) => ended({ exitCode: 1, message: messageOf(error) }));
  }

  stop(pod: Pod, done: () => void): void {
    const child = this.#children.get(pod.metadata.name);
    const gone = (): void => {
      this.#children.delete(pod.metadata.name);
      done();
    };
    if (child === undefined) return gone();
    child.stopping = true;
    clearInterval(child.probe);
    const { process: running } = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return gone();
    const kill = setTimeout(() => running.kill("SIGKILL"), graceMs);
    running.once("exit", () => {
      clearTimeout(kill);
      gone();
    });
    running.kill("SIGTERM");
  }

  /** Ends every process that is left. */
  async stopAll(): Promise<void> {
    const names = [...this.#children.keys()];
    await Promise.all(names.map((name) => new Promise<void>((resolve) => this.stop({ metadata: { name } } as Pod, resolve))));
  }

  /** For the end of this process itself: no child outlives it. */
  killAll(): void {
    for (const { process: running } of this.#children.values()) running?.kill("SIGKILL");
  }

  ready(pod: Pod): boolean {
    return this.#children.get(pod.metadata.name)?.ready === true;
  }

  address(pod: Pod): { readonly ip: string; readonly restPort: number } {
    return { ip: host, restPort: this.#children.get(pod.metadata.name)?.restPort ?? 0 };
  }

  async #spawn(pod: Pod, child: Child, ended: (end: ProcessEnd) => void): Promise<void> {
    const { command, folder } = this.#options;
    const { name, labels = {} } = pod.metadata;
    const home = homeOf(folder, name);
    await rm(home, { recursive: true, force: true });
    await mkdir(join(home, "work"), { recursive: true });
    await mkdir(join(folder, "logs"), { recursive: true });
    const leadership = join(folder, "leadership", labels[runLabel] ?? "0");
    await mkdir(leadership, { recursive: true });
    await this.#writeFiles(pod, home);
    child.restPort = await freePort();
    if (child.stopping) return;
    const place = { home, leadership, restPort: child.restPort, state: join(folder, "state", name) };
    const [program = "", ...words] = commandOf(pod, command, place);
    const running = spawn(program, words, {
      // The channel tells a child that its parent is gone.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...process.env, ...variablesOf(pod, place) },
    });
    child.process = running;
    this.#follow(pod, child, running, ended);
    this.#options.changed(pod);
  }

  #follow(pod: Pod, child: Child, running: ChildProcess, ended: (end: ProcessEnd) => void): void {
    const { folder, changed, log } = this.#options;
    const file = createWriteStream(join(folder, "logs", `${pod.metadata.name}.log`), { flags: "a" });
    file.on("error", (error) => log.warn("a log could not be written", { reason: error.message }));
    for (const stream of [running.stdout, running.stderr]) {
      stream?.on("data", (data: Buffer) => {
        file.write(data);
        const lines = data.toString("utf8").trimEnd().split("\n");
        child.lastLine = lines.at(-1)?.slice(0, 500) ?? child.lastLine;
      });
    }
    running.once("error", (error) => {
      if (running.exitCode === null && running.pid === undefined) ended({ exitCode: 1, message: error.message });
    });
    running.once("exit", (code, signal) => {
      clearInterval(child.probe);
      child.ready = false;
      file.end();
      if (child.stopping) return;
      const otherwise = signal === null ? child.lastLine : `ended by ${signal}`;
      wordsOf(join(folder, "pods", pod.metadata.name)).then(
        (words) => ended({ exitCode: code ?? 128, message: words ?? otherwise }),
        (error: unknown) => ended({ exitCode: code ?? 128, message: messageOf(error) }),
      );
    });
    child.probe = setInterval(() => {
      isReady(child.restPort).then(
        (ready) => {
          if (ready === child.ready || child.stopping) return;
          child.ready = ready;
          changed(pod);
        },
        (error: unknown) => log.debug("a probe failed", { reason: messageOf(error) }),
      );
    }, probeMs);
  }

  // What a cluster mounts: the manifest and the token.
  async #writeFiles(pod: Pod, home: string): Promise<void> {
    const { store } = this.#options;
    const { namespace = "", labels = {} } = pod.metadata;
    const owner = ownerOfObject(pod);
    if (owner === undefined) return;
    const label = { [ownerLabels[owner.kind]]: owner.key.name };
    const [configMap] = store.list("ConfigMap", { namespace, labels: { ...label, [runLabel]: labels[runLabel] ?? "" } });
    const [secret] = store.list("Secret", { namespace, labels: label });
    await writeFile(join(home, "job.yaml"), configMap?.data?.["job.yaml"] ?? "");
    await writeFile(join(home, "token"), Buffer.from(secret?.data?.["token"] ?? "", "base64"), { mode: 0o600 });
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${port}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, host, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
