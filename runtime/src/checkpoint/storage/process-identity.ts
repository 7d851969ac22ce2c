// Tells a process apart from all others, on this machine and elsewhere, and tells whether it has ended.
import { readFile, readlink } from "node:fs/promises";
import { systemCode } from "./file-errors.ts";

export interface ProcessIdentity {
  /** Machine and process-id namespace: only within one of them do process ids mean anything. */
  readonly domain: string;
  readonly pid: number;
  readonly started: string;
}

/** True when `owner` ran on this machine and has ended; false when it runs, or when that cannot be seen from here. */
export async function isGone(owner: ProcessIdentity, self: ProcessIdentity): Promise<boolean> {
  if (owner.domain !== self.domain) return false;
  if (owner.pid === self.pid) return owner.started !== self.started;
  if (hasEnded(owner.pid)) return true;
  return (await startOf(owner.pid)) !== owner.started;
}

/** No process of this machine has that number. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
}

export async function describeSelf(): Promise<ProcessIdentity> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => process.platform);
  const space = await readlink("/proc/self/ns/pid").catch(() => "");
  return { domain: `${boot.trim()} ${space}`, pid: process.pid, started: await startOf(process.pid) };
}

/** When a process started, as its system counts; empty where that is not to be had. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field is the command in parentheses and may hold anything; field 22 is the start time.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
