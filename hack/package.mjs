// Checks the package `millrace` as a user gets it: packed, linted, installed into an empty folder, weighed and used. node hack/package.mjs
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lint } from "./package/lint.mjs";
import { usage } from "./package/usage.mjs";
import { weight } from "./package/weight.mjs";
import { repository } from "./real/paths.mjs";
import { Problem, runMain } from "./real/problem.mjs";
import { run } from "./real/tools.mjs";

/** What `npm install millrace` may bring, itself included. */
const limits = { megabytes: 60, packages: 60 };
/** Clients that only some jobs use: optional peers, which nobody gets without asking. */
const heavy = [/^@kubernetes\//, /^@duckdb\//, /^@aws-sdk\//, /^@smithy\//, /^@grpc\//, /^@nxtedition\//, /^protobufjs@/];

const print = (line) => process.stdout.write(`${line}\n`);

await runMain(async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-package-"));
  try {
    const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const [packed] = Object.values(JSON.parse(run("npm", pack, { cwd: join(repository, "runtime") })));
    const archive = join(folder, packed.filename);
    print(`packed: ${(packed.size / 1e6).toFixed(2)} MB, ${packed.entryCount} files`);
    const problems = await lint(archive);

    const user = join(folder, "user");
    mkdirSync(user);
    writeFileSync(join(user, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
    run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", archive], { cwd: user });

    const { bytes, packages, heaviest } = weight(join(user, "node_modules"));
    const megabytes = bytes / 1e6;
    print(
      `npm install millrace: ${megabytes.toFixed(1)} MB (at most ${limits.megabytes}), ${packages.length} packages (at most ${limits.packages})`,
    );
    for (const { name, bytes: each } of heaviest.slice(0, 5)) print(`  ${(each / 1e6).toFixed(1).padStart(5)} MB  ${name}`);
    if (megabytes > limits.megabytes) problems.push(`${megabytes.toFixed(1)} MB are installed`);
    if (packages.length > limits.packages) problems.push(`${packages.length} packages are installed: ${packages.join(" ")}`);
    for (const name of packages) {
      if (heavy.some((pattern) => pattern.test(name))) problems.push(`${name} is installed; make it an optional peer dependency`);
    }

    problems.push(...usage(user, print));

    // The versions of the peers that are tested here can be installed beside it. Nothing is fetched but what says which versions there are.
    const { peerDependencies, devDependencies } = JSON.parse(readFileSync(join(repository, "runtime/package.json"), "utf8"));
    const peers = Object.keys(peerDependencies).map((name) => `${name}@${devDependencies[name]}`);
    run("npm", ["install", "--dry-run", "--ignore-scripts", "--strict-peer-deps", "--prefer-offline", ...peers], { cwd: user });
    print(`peers that fit: ${peers.join(" ")}`);
    if (problems.length > 0) throw new Problem(problems.join("\n"), "mend runtime/package.json or what it packs");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
