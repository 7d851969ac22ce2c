// State files and the lock that keeps two commands from working on one instance at the same time.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runFolder } from "./paths.mjs";
import { Problem } from "./problem.mjs";
import { identityOf } from "./process.mjs";

const file = (instance) => join(runFolder, `${instance}.json`);

/** What the last `up` of this instance recorded, or undefined. */
export function readState(instance) {
  try {
    return JSON.parse(readFileSync(file(instance), "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw new Problem(`${file(instance)} cannot be read: ${error.message}`, "delete the file, and end by hand what it named");
  }
}

/** Replaces the state file in one step, so that no reader sees half of it. */
export function writeState(instance, state) {
  mkdirSync(runFolder, { recursive: true });
  writeFileSync(`${file(instance)}.tmp`, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(`${file(instance)}.tmp`, file(instance));
}

export function removeState(instance) {
  rmSync(file(instance), { force: true });
}

/** Runs `work` alone for this lock name; waits for another holder, takes over from a dead one. */
export async function withLock(name, work, { folder = runFolder, waitMs = 600_000 } = {}) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.lock`);
  const until = Date.now() + waitMs;
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) }), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!holderLives(path)) bury(path);
    else if (Date.now() > until)
      throw new Problem(`${path} has been held for ${waitMs / 1000} s`, "end the process that it names, or delete it");
    else await sleep(200);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** Removes the lock of a dead holder. Another may have done so and hold a new one by now: that one is put back. */
function bury(path) {
  const grave = `${path}.${process.pid}`;
  try {
    renameSync(path, grave);
    if (holderLives(grave)) linkSync(grave, path);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") throw error;
  } finally {
    rmSync(grave, { force: true });
  }
}

function holderLives(path) {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8"));
    return identityOf(holder.pid) === holder.identity;
  } catch {
    // Gone meanwhile, or being written at this moment: try again rather than take it away.
    return true;
  }
}
