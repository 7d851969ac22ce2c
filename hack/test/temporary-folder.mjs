// The folder for temporary files that a tier has to itself, so that what its tests leave behind is seen and goes with it.
import { cpSync, lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Kept by Node itself, of the programs it ran. */
const OF_NODE = new Set(["node-compile-cache"]);

/** Not in this checkout: what a test installs there must not find this checkout's packages. */
export function makeTemporaryFolder(tier) {
  return mkdtempSync(join(tmpdir(), `millrace-${tier}-`));
}

/** Removes the folder. Returns the names of what was left in it; that is kept in the folder `keepIn` if there is one, for its logs. */
export function removeTemporaryFolder(folder, keepIn) {
  const left = readdirSync(folder).filter((name) => !OF_NODE.has(name));
  if (keepIn !== undefined) {
    for (const name of left) cpSync(join(folder, name), join(keepIn, name), { recursive: true, filter: isFileOrFolder });
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  return left;
}

function isFileOrFolder(path) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && (found.isFile() || found.isDirectory());
}
