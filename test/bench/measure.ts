// Runs a command and measures it from outside: CPU of its whole life, greatest memory, and what another process used meanwhile.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Measured {
  readonly exitCode: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** User and system time of the process from its start to its end, start-up and compilation included. */
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly peakBytes: number;
  /** CPU time of the other process (`besidePid`) meanwhile; NaN without one. */
  readonly besideSeconds: number;
  /** Standard output and standard error. */
  readonly output: string;
}

export interface MeasureOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** A process whose CPU time is told apart, such as a broker. */
  readonly besidePid?: number | undefined;
  /** Ends the process with SIGTERM when it settles. */
  readonly until?: Promise<unknown>;
  readonly timeoutMs?: number;
}

const ticksPerSecond = 100;
const lookIntervalMs = 50;

/** User and system seconds of a living process; NaN when it is not there, or where there is no /proc. */
export function cpuSecondsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}

function childOf(pid: number | undefined): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]) || undefined;
  } catch {
    return undefined;
  }
}

function peakBytesOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Linux only: the shell's `time` gives the CPU time that the kernel counted for the process when it ended. */
export async function measure(command: readonly string[], options: MeasureOptions = {}): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-measure-"));
  const log = await open(join(folder, "output"), "w");
  const besideBefore = cpuSecondsOf(options.besidePid);
  const startedMs = Date.now();
  const shell = spawn("bash", ["-c", `TIMEFORMAT='%U %S'; { time "$@" 2>&3; } 2> "${folder}/time"`, "bash", ...command], {
    stdio: ["ignore", log.fd, "inherit", log.fd],
    // Programs that ask for `node` get this one.
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`, ...options.environment },
  });
  const exited = new Promise<number>((resolve, reject) => {
    shell.once("error", reject);
    shell.once("exit", (code) => resolve(code ?? -1));
  });
  let pid: number | undefined;
  let peakBytes = 0;
  const timer = setInterval(() => {
    pid ??= childOf(shell.pid);
    peakBytes = Math.max(peakBytes, peakBytesOf(pid));
  }, lookIntervalMs);
  const end = (): void => {
    if (pid !== undefined) process.kill(pid, "SIGTERM");
  };
  const timeout = setTimeout(end, options.timeoutMs ?? 600_000);
  options.until?.then(end, end);
  try {
    const exitCode = await exited;
    const endedMs = Date.now();
    const [userSeconds = Number.NaN, systemSeconds = Number.NaN] = (await readFile(join(folder, "time"), "utf8"))
      .trim()
      .split(" ")
      .map(Number);
    const output = await readFile(join(folder, "output"), "utf8");
    const besideSeconds = cpuSecondsOf(options.besidePid) - besideBefore;
    return { exitCode, startedMs, endedMs, userSeconds, systemSeconds, peakBytes, besideSeconds, output };
  } finally {
    clearInterval(timer);
    clearTimeout(timeout);
    await log.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end; throws with its output when it fails. */
export async function run(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (part: Buffer) => (output += part.toString()));
  child.stderr.on("data", (part: Buffer) => (output += part.toString()));
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? -1));
  });
  if (code !== 0) throw new Error(`${command.join(" ")} failed with ${code}:\n${output.slice(-2000)}`);
  return output;
}
