// The archive of the kubectl plugin for krew, which installs no dependencies: hack/krew.mjs FILE.tar.gz. `.krew.yaml` describes it.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { archiveOptions } from "./images/archive.mjs";
import { closure, copyPackage, readLock } from "./images/production.mjs";
import { repository } from "./real/paths.mjs";
import { Problem, runMain } from "./real/problem.mjs";
import { run } from "./real/tools.mjs";

/** What the plugin imports. */
const folders = ["kubectl", "base", "api"];
const packages = ["commander"];

await runMain(async () => {
  const file = process.argv[2];
  if (file === undefined) throw new Problem("where to?", "node hack/krew.mjs kubectl-millrace.tar.gz");
  const work = mkdtempSync(join(tmpdir(), "millrace-krew-"));
  try {
    for (const folder of folders) copyPackage(join(repository, "runtime/dist", folder), join(work, "dist", folder));
    for (const path of closure(readLock(repository), "runtime", packages))
      copyPackage(join(repository, path), join(work, path.replace(/^runtime\//, "")));
    mkdirSync(join(work, "bin"));
    for (const name of ["kubectl-millrace.js", "supported-node.js"]) cpSync(join(repository, "runtime/bin", name), join(work, "bin", name));
    for (const name of ["package.json", "LICENSE"]) cpSync(join(repository, "runtime", name), join(work, name));
    run("tar", [...archiveOptions, "-C", work, "-czf", resolve(file), "."]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
