// A process of a local run: started again when it was killed; what it says goes through the parent.
import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Log } from "../../base/log.ts";

/** What a child tells its parent. */
export type ChildNews =
  | { readonly kind: "started"; readonly rest: string }
  | { readonly kind: "over"; readonly outcome: string; readonly reason?: string };

export interface ChildParts {
  readonly name: string;
  readonly args: readonly string[];
  readonly print: (line: string, stream: "stdout" | "stderr") => void;
  readonly news: (news: ChildNews) => void;
  /** It ended by itself and not well: what it said is printed already. */
  readonly failed: (code: number) => void;
  readonly log: Log;
}

const pauseMs = 200;
const maxPauseMs = 5000;

/** The command of this package, as source or compiled as this file is. */
const command = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));

export class Child {
  readonly #parts: ChildParts;
  #process: ChildProcess | undefined;
  #stopping = false;
  #deaths = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: ChildParts) {
    this.#parts = parts;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Asks it to end; past `graceMs` it is killed. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    child?.kill("SIGTERM");
    const kill = setTimeout(() => child?.kill("SIGKILL"), graceMs);
    await this.#ended;
    clearTimeout(kill);
  }

  #start(): void {
    const { name, args, print, news, log } = this.#parts;
    const child = fork(command, [...args], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.#process = child;
    if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => print(line, "stdout"));
    if (child.stderr !== null) createInterface({ input: child.stderr }).on("line", (line) => print(line, "stderr"));
    const startedMs = performance.now();
    child.on("message", (message) => news(message as ChildNews));
    child.on("error", (error) => log.error("process cannot be started", { name, reason: error.message }));
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#process = undefined;
        resolve();
        if (this.#stopping || code === 0) return;
        if (code !== null) return this.#parts.failed(code);
        // Killed, by whomever: that is what a job on several processes is there to survive.
        this.#deaths = performance.now() - startedMs > 60_000 ? 1 : this.#deaths + 1;
        log.warn("process killed, starting it again", { name, signal });
        this.#timer = setTimeout(() => this.#start(), Math.min(maxPauseMs, pauseMs * 2 ** Math.max(0, this.#deaths - 3)));
      });
    });
  }
}
