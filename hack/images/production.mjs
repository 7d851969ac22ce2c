// Which installed packages a program needs at run time, told from package-lock.json, and copies of them without what only developers read.
import { cpSync, existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/**
 * Paths of the lockfile (`node_modules/x`, `node_modules/x/node_modules/y`) that `names` and what they depend on resolve to, from the
 * folder `from` of the lockfile. Packages for other platforms are left out.
 */
export function closure(lock, from, names) {
  const found = new Set();
  const visit = (path, name, optional) => {
    const resolved = resolve(lock.packages, path, name);
    if (resolved === undefined) {
      if (optional) return;
      throw new Error(`package-lock.json has no ${name} for ${path || "the root"}`);
    }
    if (found.has(resolved) || !fits(lock.packages[resolved])) return;
    found.add(resolved);
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = lock.packages[resolved];
    for (const one of Object.keys(dependencies)) visit(resolved, one, false);
    for (const one of Object.keys(optionalDependencies)) visit(resolved, one, true);
    for (const one of Object.keys(peerDependencies)) if (!peerDependenciesMeta[one]?.optional) visit(resolved, one, true);
  };
  for (const name of names) visit(from, name, false);
  return [...found].sort();
}

/** Node's way of finding a package. */
function resolve(packages, path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const candidate = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (packages[candidate] !== undefined) return packages[candidate].link ? undefined : candidate;
    if (folder === "") return undefined;
  }
}

function fits({ os, cpu, libc }) {
  const takes = (list, value) =>
    list === undefined || list.includes(value) || (!list.includes(`!${value}`) && list.some((one) => one.startsWith("!")));
  return takes(os, process.platform) && takes(cpu, process.arch) && takes(libc, "glibc");
}

// Also the C++ sources of native packages, which come with their binaries.
const unneeded =
  /(\.d\.[cm]?ts|\.map|\.md|\.markdown|\.tsbuildinfo|\.cc|\.h|prebuilds\.zip)$|\/(test|tests|__tests__|docs|example|examples|\.github|benchmark|benchmarks)$|\/rocksdb\/deps$/;

/** Copies one package's folder; its own `node_modules` holds packages that are listed for themselves. */
export function copyPackage(source, target) {
  if (!existsSync(source)) return;
  cpSync(source, target, {
    recursive: true,
    dereference: false,
    filter: (path) => path === source || (!unneeded.test(path.slice(source.length)) && !isNested(path, source) && !isForeign(path)),
  });
}

const isNested = (path, source) => basename(path) === "node_modules" && path !== source;

/** Prebuilt libraries of other platforms. */
function isForeign(path) {
  const match = /\/prebuilds\/((?:linux|darwin|win32|android|freebsd)-[\w+-]+)$/.exec(path);
  return match !== null && match[1] !== `${process.platform}-${process.arch}`;
}

export const readLock = (root) => JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
