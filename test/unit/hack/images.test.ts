// What goes into an image: the closure of a package told from a lockfile; the Dockerfile and hack/image agree; the same files, the same bytes.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

interface Production {
  closure(lock: { readonly packages: Readonly<Record<string, object>> }, from: string, names: readonly string[]): readonly string[];
}
interface Archive {
  writeImage(image: {
    readonly name: string;
    readonly layers: readonly { readonly folder: string }[];
    readonly config: object;
    readonly file: string;
  }): Promise<string>;
}

const load = async (path: string): Promise<unknown> => import(new URL(`../../../hack/images/${path}`, import.meta.url).href);

let folder = "";
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "millrace-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the closure follows dependencies as Node finds them, without development, optional peers and other platforms", async () => {
  const { closure } = (await load("production.mjs")) as Production;
  const packages = {
    "": {},
    runtime: { dependencies: { a: "1" } },
    "node_modules/a": {
      dependencies: { b: "1" },
      devDependencies: { d: "1" },
      peerDependencies: { p: "1" },
      peerDependenciesMeta: { p: { optional: true } },
    },
    "node_modules/a/node_modules/b": { dependencies: { c: "1" } },
    "node_modules/b": { dependencies: { d: "1" } },
    "node_modules/c": { optionalDependencies: { "native-plan9": "1", missing: "1" } },
    "node_modules/d": {},
    "node_modules/p": {},
    "node_modules/native-plan9": { os: ["plan9"] },
  };
  expect(closure({ packages }, "runtime", ["a"])).toEqual(["node_modules/a", "node_modules/a/node_modules/b", "node_modules/c"]);
  expect(() => closure({ packages }, "runtime", ["gone"])).toThrow("has no gone");
});

test("the image does not change with times and owners of files, and does with their content", async () => {
  const { writeImage } = (await load("archive.mjs")) as Archive;
  const make = async (name: string, text: string, time: number): Promise<{ digest: string; bytes: Buffer }> => {
    const content = join(folder, name);
    mkdirSync(content);
    writeFileSync(join(content, "a.txt"), text);
    utimesSync(join(content, "a.txt"), time, time);
    const file = join(folder, `${name}.tar`);
    const digest = await writeImage({ name: "x:1", layers: [{ folder: content }], config: { User: "1000" }, file });
    return { digest, bytes: readFileSync(file) };
  };
  const one = await make("one", "same", 1_000_000);
  const two = await make("two", "same", 2_000_000);
  const other = await make("other", "different", 1_000_000);
  expect(two.digest).toBe(one.digest);
  expect(two.bytes.equals(one.bytes)).toBe(true);
  expect(other.digest).not.toBe(one.digest);
});

test("the Dockerfile says what hack/image says", () => {
  const dockerfile = readFileSync(join(root, "docker/Dockerfile"), "utf8");
  const script = readFileSync(join(root, "hack/images/main.mjs"), "utf8");
  for (const path of ["/node_modules/millrace/bin/millrace.js", "/opt/millrace/operator/src/main.ts"]) {
    expect(dockerfile).toContain(`ENTRYPOINT ["/usr/local/bin/node", "${path}"]`);
    expect(script).toContain(`[node, "${path}"]`);
  }
  for (const variable of ["HOME=/tmp", "NODE_ENV=production", "PATH=/usr/local/bin:/usr/bin:/bin"]) {
    expect(/^ENV (.*)$/m.exec(dockerfile)?.[1]).toContain(variable);
    expect(script).toContain(`"${variable}"`);
  }
  expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  expect(script).toContain('User: "1000:1000"');
  expect(dockerfile).toMatch(/^WORKDIR \/app$/m);
  expect(script).toContain('WorkingDir: "/app"');
});

test("the plugin's archive for krew runs where nothing else is installed", () => {
  const archive = join(folder, "plugin.tar.gz");
  const place = join(folder, "plugin");
  mkdirSync(place);
  execFileSync(process.execPath, [join(root, "hack/krew.mjs"), archive]);
  execFileSync("tar", ["-xzf", archive, "-C", place]);
  const help = execFileSync(process.execPath, [join(place, "bin/kubectl-millrace.js"), "--help"], { cwd: place, encoding: "utf8" });
  for (const command of ["status", "savepoint", "rollback", "suspend", "resume", "logs", "graph", "wait"])
    expect(help).toContain(`  ${command}`);
});
