// A lock between processes on a file system: held for the milliseconds that a compare-and-replace takes.
//
// The lock is a file that is created exclusively and names its owner. An owner on this machine that is dead is noticed at once by its
// process id and start time. An owner elsewhere (a shared volume) counts as dead when its lock stood unchanged for `foreignStaleMs`
// as seen by one waiter; owners keep to `holdMs`, far below that, or give up. Breaking a dead owner's lock happens under a lock of its
// own, named after the dead one's token, so that two who break it cannot remove a third one's fresh lock.
import { randomBytes } from "node:crypto";
import { open, readFile, readlink, unlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { systemCode } from "./file-errors.ts";

/** How long an owner may take before it must give up, ms. */
export const holdMs = 5_000;
const foreignStaleMs = 15_000;
const pollMs = 3;

/** Tells a process apart from all others, on this machine and elsewhere. */
export interface ProcessIdentity {
  readonly token: string;
  /** Machine and process-id namespace: only within one of them do process ids mean anything. */
  readonly domain: string;
  readonly pid: number;
  readonly started: string;
}

export class LockTimeout extends Error {
  constructor(path: string, waitedMs: number, owner: string) {
    super(`the lock ${path} was held for ${waitedMs} ms by ${owner}; delete it if that process is gone`);
  }
}

/**
 * Runs `work` while holding the lock at `path`. `work` must call `stillHeld` right before the step that the lock protects and give up
 * when it says false. Rejects with `LockTimeout` after `deadlineMs`.
 */
export async function withFileLock<T>(
  path: string,
  deadlineMs: number,
  work: (stillHeld: () => boolean) => Promise<T>,
  timeMs: number = holdMs,
): Promise<T> {
  const self = await describeSelf();
  await acquire(path, self, performance.now() + deadlineMs, deadlineMs);
  const since = performance.now();
  const stillHeld = (): boolean => performance.now() - since < timeMs;
  try {
    return await work(stillHeld);
  } finally {
    // Past its time (a slow disk, a process that stood still) the lock may already be another's: it goes only if it is still this one.
    if (stillHeld()) await unlink(path).catch(() => undefined);
    else await breakLock(path, JSON.stringify(self), self.token, deadlineMs).catch(() => undefined);
  }
}

async function acquire(path: string, self: ProcessIdentity, untilMs: number, deadlineMs: number): Promise<void> {
  let seen = "";
  let seenSinceMs = 0;
  for (;;) {
    if (await tryCreate(path, self)) return;
    const content = await readFile(path, "utf8").catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    });
    if (content === undefined) continue;
    const now = performance.now();
    if (content !== seen) {
      seen = content;
      seenSinceMs = now;
    }
    const owner = parseOwner(content);
    const dead = await isDead(owner, self, now - seenSinceMs);
    if (dead) await breakLock(path, content, owner?.token ?? "unreadable", untilMs - now);
    else {
      if (now > untilMs) throw new LockTimeout(path, deadlineMs, owner === undefined ? "somebody" : `process ${owner.pid}`);
      await sleep(pollMs * (0.5 + Math.random()));
    }
  }
}

async function tryCreate(path: string, self: ProcessIdentity): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    try {
      await file.writeFile(JSON.stringify(self));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function breakLock(path: string, content: string, token: string, deadlineMs: number): Promise<void> {
  await withFileLock(`${path}.${token}`, Math.max(deadlineMs, 100), async () => {
    const now = await readFile(path, "utf8").catch(() => "");
    if (now === content) await unlink(path).catch(() => undefined);
  });
}

async function isDead(owner: ProcessIdentity | undefined, self: ProcessIdentity, unchangedMs: number): Promise<boolean> {
  if (owner === undefined || owner.domain !== self.domain) return unchangedMs > foreignStaleMs;
  return isGone(owner, self);
}

/** True when `owner` ran on this machine and has ended; false when it runs, or when that cannot be seen from here. */
export async function isGone(owner: ProcessIdentity, self: ProcessIdentity): Promise<boolean> {
  if (owner.domain !== self.domain) return false;
  if (owner.pid === self.pid) return owner.started !== self.started;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return true;
  }
  return (await startOf(owner.pid)) !== owner.started;
}

function parseOwner(content: string): ProcessIdentity | undefined {
  try {
    const { token, domain, pid, started } = JSON.parse(content) as Partial<ProcessIdentity>;
    return typeof token === "string" && typeof domain === "string" && typeof pid === "number" && typeof started === "string"
      ? { token, domain, pid, started }
      : undefined;
  } catch {
    return undefined;
  }
}

export async function describeSelf(): Promise<ProcessIdentity> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => process.platform);
  const space = await readlink("/proc/self/ns/pid").catch(() => "");
  return {
    token: randomBytes(6).toString("hex"),
    domain: `${boot.trim()} ${space}`,
    pid: process.pid,
    started: await startOf(process.pid),
  };
}

/** When a process started, as its system counts; empty where that is not to be had. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field is the command in parentheses and may hold anything; field 22 is the start time.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
