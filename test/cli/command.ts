// The `millrace` command as a child process: its output, its log lines as they come, and how it ended.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
export const jobs = join(root, "test/cli/jobs");

/** Compiles the package that the command runs; nothing happens when it is fresh. */
export function build(): void {
  execFileSync(process.execPath, [join(root, "hack/build.mjs")], { stdio: "inherit" });
}

/** A folder for one file of tests, removed after it together with processes that still run. */
export function workFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  afterAll(async () => {
    const left = [...running];
    for (const command of left) command.kill("SIGKILL");
    await Promise.all(left.map((command) => command.ended));
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

const running = new Set<Command>();

export class Command {
  stdout = "";
  stderr = "";
  /** The exit code, or null after a signal. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #onOutput = new Set<() => void>();
  #exited = false;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, [join(root, "runtime/bin/millrace.js"), ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#child = child;
    running.add(this);
    const told = (): void => {
      for (const listener of this.#onOutput) listener();
    };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      told();
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      told();
    });
    this.ended = new Promise((resolve) => {
      child.once("close", (code) => {
        running.delete(this);
        this.#exited = true;
        told();
        resolve(code);
      });
    });
  }

  kill(signal: "SIGKILL" | "SIGTERM"): void {
    this.#child.kill(signal);
  }

  /** All complete lines of the JSON log so far. */
  log(): readonly LogLine[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Resolves with the first log line of this message; rejects when the process ends without it. */
  logged(message: string): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const line = this.log().find((candidate) => candidate.message === message);
        if (line === undefined && !this.#exited) return;
        this.#onOutput.delete(look);
        if (line === undefined) reject(new Error(`ended without "${message}":\n${this.stdout}${this.stderr}`));
        else resolve(line);
      };
      this.#onOutput.add(look);
      look();
    });
  }

  /** Resolves when the output has a line like this; rejects when the process ends without it. */
  said(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.test(this.stdout);
        if (!found && !this.#exited) return;
        this.#onOutput.delete(look);
        if (found) resolve();
        else reject(new Error(`ended without ${String(pattern)}:\n${this.stdout}${this.stderr}`));
      };
      this.#onOutput.add(look);
      look();
    });
  }

  /** The address of the REST API. */
  async rest(): Promise<string> {
    return String((await this.logged("job starting"))["rest"]);
  }

  /** The exit code must be this one; else what was printed is shown. */
  async endsWith(code: number | null): Promise<void> {
    const ended = await this.ended;
    expect(ended, `${this.stdout}${this.stderr}`).toBe(code);
  }
}

/** `millrace run` with a JSON log and a free port. */
export function run(args: readonly string[], parameters: Readonly<Record<string, string>> = {}): Command {
  const given = Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${value}`]);
  return new Command(["run", ...args, ...given, "--port", "0", "--log", "json"]);
}

/** The command must end with exit code 1 and show this one error; gives its text. */
export async function refused(command: Command, code: string): Promise<string> {
  await command.endsWith(1);
  const errors = command.stderr.match(/^error [A-Z_]+$/gm) ?? [];
  expect(errors, command.stderr).toEqual([`error ${code}`]);
  // A stack belongs to a defect, not to an operating error.
  expect(command.stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
  return command.stderr;
}
