// What a node_modules folder holds: its packages, nested ones too, and how many bytes they take.
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** `{ bytes, packages, heaviest }`: `packages` are `name@version`, `heaviest` the folders at the top, largest first. */
export function weight(modules) {
  const packages = [];
  collect(modules, packages);
  const heaviest = topFolders(modules)
    .map((name) => ({ name, bytes: bytesOf(join(modules, name)) }))
    .sort((one, other) => other.bytes - one.bytes);
  return { bytes: bytesOf(modules), packages: packages.sort(), heaviest };
}

/** Links are not followed. */
function bytesOf(path) {
  const about = lstatSync(path);
  if (!about.isDirectory()) return about.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

function topFolders(modules) {
  return readdirSync(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) => (name.startsWith("@") ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`) : [name]));
}

function collect(modules, packages) {
  for (const folder of topFolders(modules)) {
    const path = join(modules, folder);
    const { name, version } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
    packages.push(`${name}@${version}`);
    if (readdirSync(path).includes("node_modules")) collect(join(path, "node_modules"), packages);
  }
}
