// Compiles the published package `millrace` to runtime/dist; does nothing when the sources have not changed.
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
// The incremental record outlives a deleted output folder; without the output it would make tsc write nothing.
if (!existsSync(`${root}runtime/dist/index.js`)) rmSync(`${root}runtime/dist/.tsbuildinfo`, { force: true });
execFileSync(`${root}node_modules/.bin/tsc`, ["-p", "runtime/tsconfig.build.json"], { cwd: root, stdio: "inherit" });
// The operator goes with it, for `millrace up`.
if (!existsSync(`${root}runtime/dist/operator/local/up.js`)) rmSync(`${root}runtime/dist/operator/.tsbuildinfo`, { force: true });
execFileSync(`${root}node_modules/.bin/tsc`, ["-p", "tsconfig.operator.json"], { cwd: root, stdio: "inherit" });
