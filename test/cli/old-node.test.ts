// The package's commands on a Node that is older than the package asks for.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { build } from "./command.ts";

const bin = fileURLToPath(new URL("../../runtime/bin", import.meta.url));

/** Runs `--help` on a Node that gives itself out as `version`; `isOld`: and whose `node:module` exports nothing. */
function help(name: string, version: string, isOld: boolean): SpawnSyncReturns<string> {
  const setUp = [
    `Object.defineProperty(process.versions, "node", { value: ${JSON.stringify(version)} });`,
    'import { registerHooks } from "node:module";',
    'const resolve = (name, context, next) => name === "node:module" ? { url: "data:text/javascript,", shortCircuit: true } : next(name, context);',
    isOld ? "registerHooks({ resolve });" : "",
  ];
  const preload = `data:text/javascript,${encodeURIComponent(setUp.join("\n"))}`;
  return spawnSync(process.execPath, ["--import", preload, join(bin, name), "--help"], { encoding: "utf8" });
}

beforeAll(build, 240_000);

describe.each(["millrace.js", "kubectl-millrace.js"])("%s", (name) => {
  test.each(["20.20.2", "22.21.1"])("on Node %s says which one is needed", (version) => {
    const { status, stderr } = help(name, version, true);
    expect(stderr).toBe(
      `error NODE_TOO_OLD\n  Node ${version}: Millrace needs Node 22.22 or newer; install one, or put it first on the PATH\n`,
    );
    expect(status).toBe(1);
  });

  test.each(["22.22.0", "24.0.0"])("starts on Node %s", (version) => {
    const { status, stderr, stdout } = help(name, version, false);
    expect(stderr).toBe("");
    expect(stdout).toContain("Usage: ");
    expect(status).toBe(0);
  });
});
