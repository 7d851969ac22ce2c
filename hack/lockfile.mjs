// Completes package-lock.json for platforms other than the one that wrote it, or with --check says what is missing.
//
// `npm install` leaves out optional packages for other platforms when it cannot load them (a mirror that lacks them, or node_modules made on
// another platform), and `npm ci` then refuses the lockfile on a fresh clone. What is left out can be told from what the lockfile holds: the
// package that asks for them names each one with its exact version, and their names say the platform.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["x64", "arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32"];

/** The entries that a lockfile lacks: `[path, entry]`. Throws for one whose version or platform cannot be told. */
export function missingEntries(packages) {
  const missing = new Map();
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (resolves(packages, path, name)) continue;
      const platform = platformOf(name);
      if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version) || platform === undefined) {
        throw new Error(
          `${path || "package.json"} asks for ${name} ${version}, which is not in package-lock.json; run npm install where it can be loaded`,
        );
      }
      const { dev, devOptional, peer } = entry;
      // In npm's order of fields, so that its next install changes nothing.
      const { os, cpu, libc } = platform;
      const fields = { version, cpu, dev, devOptional, libc, optional: true, os, peer };
      missing.set(`node_modules/${name}`, Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
    }
  }
  return [...missing];
}

/** Node's way of finding a package: from the asking package's own folder upwards. */
function resolves(packages, path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    if (packages[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === "") return false;
  }
}

function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = systems.find((system) => words.includes(system));
  const cpu = processors.find((processor) => words.includes(processor));
  if (os === undefined || cpu === undefined) return undefined;
  const library = ["musl", "gnu"].find((start) => words.some((word) => word.startsWith(start)));
  return { os: [os], cpu: [cpu], libc: library && [{ musl: "musl", gnu: "glibc" }[library]] };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  const lock = JSON.parse(readFileSync(file, "utf8"));
  const missing = missingEntries(lock.packages);
  if (process.argv[2] === "--check") {
    for (const [path] of missing) console.error(`package-lock.json lacks ${path}`);
    if (missing.length > 0) console.error("run node hack/lockfile.mjs and commit package-lock.json");
    process.exitCode = missing.length > 0 ? 1 : 0;
  } else if (missing.length > 0) {
    const sorted = [...Object.entries(lock.packages), ...missing].sort(([one], [other]) => one.localeCompare(other, "en"));
    lock.packages = Object.fromEntries(sorted);
    writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
    console.log(`added ${missing.length} packages of other platforms to package-lock.json`);
  }
}
