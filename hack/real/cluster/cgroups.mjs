// Control groups that a killed node leaves behind: empty once its processes are gone, and then deleted.
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";

/** Deletes the group of this name below every hierarchy; a group that is still in use stays. */
export function removeCgroups(name) {
  if (!existsSync(ROOT)) return;
  // Version 1 has a folder per controller, version 2 has none.
  const hierarchies = [
    ROOT,
    ...readdirSync(ROOT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(ROOT, entry.name)),
  ];
  for (const hierarchy of hierarchies) removeTree(join(hierarchy, name));
}

function removeTree(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name));
  try {
    rmdirSync(folder);
  } catch (error) {
    if (error.code !== "EBUSY" && error.code !== "ENOENT") throw error;
  }
}
