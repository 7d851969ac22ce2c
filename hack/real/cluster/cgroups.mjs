// The control group below which a node's pods have theirs. What a killed node leaves is empty once its processes are gone, and then deleted.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
/** All pods together are one group: on a busy machine it must get more than any one process beside it. Ten times the default, by version. */
const weights = { "cpu.shares": "10240", "cpu.weight": "1000" };

/** Makes the group of this name in every hierarchy. */
export function makeCgroups(name) {
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name);
    mkdirSync(group, { recursive: true });
    // A group of version 1 starts without processors and memory nodes, and nothing can run in it.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (existsSync(join(hierarchy, file)) && existsSync(join(group, file)))
        writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
    const controllers = join(hierarchy, "cgroup.controllers");
    if (existsSync(controllers)) {
      const all = readFileSync(controllers, "utf8").trim().split(" ").filter(Boolean);
      for (const controller of all) writeFileSync(join(hierarchy, "cgroup.subtree_control"), `+${controller}`);
    }
    for (const [file, weight] of Object.entries(weights)) if (existsSync(join(group, file))) writeFileSync(join(group, file), weight);
  }
}

/** Deletes the group of this name in every hierarchy; a group that is still in use stays. */
export function removeCgroups(name) {
  for (const hierarchy of hierarchies()) removeTree(join(hierarchy, name));
}

/** Version 2 is one hierarchy; of version 1 each folder is one, and a folder `unified` may be version 2 beside them. */
function hierarchies() {
  if (!existsSync(ROOT)) return [];
  if (existsSync(join(ROOT, "cgroup.controllers"))) return [ROOT];
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, entry.name, "cgroup.procs")))
    .map((entry) => join(ROOT, entry.name));
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
