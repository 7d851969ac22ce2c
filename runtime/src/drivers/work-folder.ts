// Folders for a process's work below the system's temporary one: removed at the end, and by the next process where one was killed.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";

const prefix = "millrace-work-";
/** Says whose a folder is. */
const ownerName = "owner.json";

export interface WorkFolder {
  readonly path: string;
  remove(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  /** A process id says nothing about another machine, or another container. */
  readonly host: string;
}

/** Makes a folder of this process's own in `parent`, and removes those of processes that are gone. */
export async function makeWorkFolder(parent: string = tmpdir(), log: Log = silentLog): Promise<WorkFolder> {
  await mkdir(parent, { recursive: true });
  await sweepWorkFolders(parent, log);
  const path = await mkdtemp(join(parent, prefix));
  const owner: Owner = { pid: process.pid, host: hostname() };
  await writeFile(join(path, ownerName), JSON.stringify(owner));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Removes the folders in `parent` whose processes are gone; returns how many. What cannot be removed is left. */
export async function sweepWorkFolders(parent: string, log: Log): Promise<number> {
  let removed = 0;
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const path = join(parent, name);
    try {
      const { host, pid } = JSON.parse(await readFile(join(path, ownerName), "utf8")) as Partial<Owner>;
      // Without a process's number nobody is known to be gone.
      if (host !== hostname() || !Number.isSafeInteger(pid) || (pid as number) < 1 || isAlive(pid as number)) continue;
      await rm(path, { recursive: true, force: true });
      removed++;
    } catch (error) {
      // One that is just being made has no owner yet; another user's cannot be read.
      log.debug("a work folder is left", { path, reason: messageOf(error) });
    }
  }
  if (removed > 0) log.info("work folders of processes that are gone were removed", { folders: removed, parent });
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process lives too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
