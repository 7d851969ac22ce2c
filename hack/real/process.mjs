// Background processes: started detached, known by pid and start time, ended only while they are still the same process.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "./problem.mjs";

/** A string that differs between two processes that had the same pid; undefined when no such process runs. */
export function identityOf(pid) {
  if (existsSync("/proc/self/stat")) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The name in brackets may hold spaces: count the fields behind it. Field 3 is the state, field 22 the start in ticks since boot.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") return undefined;
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}:${fields[19]}`;
    } catch {
      return undefined;
    }
  }
  try {
    return (
      execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim() ||
      undefined
    );
  } catch {
    return undefined;
  }
}

/** True while the process that was recorded runs. */
export function isAlive(recorded) {
  return recorded?.identity !== undefined && identityOf(recorded.pid) === recorded.identity;
}

/** Starts a program that outlives this one; its output goes to `log`. */
export function startDaemon(command, args, { log, cwd, env, uid, gid }) {
  const output = openSync(log, "a");
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", output, output], uid, gid });
  closeSync(output);
  let failure;
  child.once("error", (error) => (failure = error));
  child.unref();
  return { pid: child.pid, identity: child.pid === undefined ? undefined : identityOf(child.pid), failed: () => failure };
}

/** Ends a recorded process: `signal`, then SIGKILL after `graceMs`. Returns when it is gone; does nothing to a process that took its pid. */
export async function stop(recorded, { signal = "SIGTERM", graceMs = 20_000 } = {}) {
  if (!isAlive(recorded)) return false;
  process.kill(recorded.pid, signal);
  const killAt = Date.now() + graceMs;
  let killed = signal === "SIGKILL";
  while (isAlive(recorded)) {
    if (!killed && Date.now() > killAt) {
      process.kill(recorded.pid, "SIGKILL");
      killed = true;
    }
    await sleep(50);
  }
  return true;
}

/** Polls `probe` until it gives a truthy value. `alive` says why waiting on makes no sense, if so; a container has no `log` file. */
export async function waitFor(what, probe, { timeoutMs, log, container, alive = () => undefined }) {
  const until = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    const reason = alive() ?? (Date.now() > until ? `not ready after ${timeoutMs / 1000} s${last ? ` (${last.message})` : ""}` : undefined);
    if (reason !== undefined) throw new Problem(`${what}: ${reason}\n${tail(log, container)}`, log ? `read ${log}` : "see the lines above");
    await sleep(100);
  }
}

function tail(log, container) {
  if (container !== undefined) return spawnSync("docker", ["logs", "--tail", "20", container], { encoding: "utf8" }).stdout ?? "";
  if (log === undefined || !existsSync(log)) return "";
  return readFileSync(log, "utf8").trimEnd().split("\n").slice(-12).join("\n");
}
