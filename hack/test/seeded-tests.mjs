// Finds the tests of the unit project that draw from the seed of the run: those that import test/reference/random.ts or fast-check, also by way of
// a suite or another file of tests.
import { existsSync, globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

const SEEDED_MODULES = ["fast-check", "test/reference/random.ts"];
/** Folders and names of the tests that need servers. */
const WITH_SERVERS = /^test\/(e2e|real)\/|\.real\.test\.ts$/;

/** Paths relative to the repository, sorted. */
export function seededTests(repository) {
  const imports = new Map();
  const importsOf = (file) => {
    let found = imports.get(file);
    if (found === undefined) imports.set(file, (found = existsSync(join(repository, file)) ? readImports(repository, file) : []));
    return found;
  };
  const draws = (file) => {
    const seen = new Set([file]);
    // A set is walked through with what is added on the way.
    for (const one of seen) {
      if (SEEDED_MODULES.includes(one)) return true;
      for (const next of importsOf(one)) seen.add(next);
    }
    return false;
  };
  return globSync("{runtime/src,src,test,docs}/**/*.test.ts", { cwd: repository })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !WITH_SERVERS.test(file) && draws(file))
    .sort();
}

function readImports(repository, file) {
  const text = readFileSync(join(repository, file), "utf8");
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) =>
    name.startsWith(".") ? posix.join(posix.dirname(file), name) : name,
  );
}
