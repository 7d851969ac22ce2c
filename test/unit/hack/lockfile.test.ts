// What hack/lockfile.mjs adds to a lockfile that was written on one platform.
import { beforeAll, expect, test } from "vitest";

type Packages = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
type MissingEntries = (packages: Packages) => readonly (readonly [string, unknown])[];

let missingEntries: MissingEntries;
beforeAll(async () => {
  const module = (await import(new URL("../../../hack/lockfile.mjs", import.meta.url).href)) as { readonly missingEntries: MissingEntries };
  missingEntries = module.missingEntries;
});

test("packages of other platforms are added, with the platform that their names say", () => {
  const packages: Packages = {
    "node_modules/tool": {
      version: "1.2.3",
      dev: true,
      optionalDependencies: {
        "@tool/linux-x64-gnu": "1.2.3",
        "@tool/linux-arm64-musl": "1.2.3",
        "tool-win32-ia32-msvc": "1.2.3",
        "@tool/darwin-arm64": "1.2.3-r.1",
      },
    },
    "node_modules/@tool/linux-x64-gnu": { version: "1.2.3" },
  };
  expect(missingEntries(packages)).toEqual([
    ["node_modules/@tool/linux-arm64-musl", { version: "1.2.3", cpu: ["arm64"], dev: true, libc: ["musl"], optional: true, os: ["linux"] }],
    ["node_modules/tool-win32-ia32-msvc", { version: "1.2.3", cpu: ["ia32"], dev: true, optional: true, os: ["win32"] }],
    ["node_modules/@tool/darwin-arm64", { version: "1.2.3-r.1", cpu: ["arm64"], dev: true, optional: true, os: ["darwin"] }],
  ]);
});

test("a package that is nested, hoisted or asked for by a workspace is found as Node finds it", () => {
  const packages: Packages = {
    runtime: { optionalDependencies: { "near-linux-x64": "1.0.0" } },
    "runtime/node_modules/near-linux-x64": { version: "1.0.0" },
    "node_modules/a/node_modules/b": {
      version: "1.0.0",
      optionalDependencies: { "c-linux-x64": "1.0.0", "d-linux-x64": "1.0.0", "e-linux-x64": "1.0.0" },
    },
    "node_modules/a/node_modules/b/node_modules/c-linux-x64": { version: "1.0.0" },
    "node_modules/a/node_modules/d-linux-x64": { version: "1.0.0" },
    "node_modules/e-linux-x64": { version: "1.0.0" },
  };
  expect(missingEntries(packages)).toEqual([]);
  const { "node_modules/e-linux-x64": _, ...less } = packages;
  expect(missingEntries(less).map(([path]) => path)).toEqual(["node_modules/e-linux-x64"]);
});

test("what cannot be told is an error", () => {
  const asking = (name: string, version: string): Packages => ({
    "node_modules/a": { version: "1.0.0", optionalDependencies: { [name]: version } },
  });
  expect(() => missingEntries(asking("a-linux-x64", "^1.0.0"))).toThrow("a-linux-x64 ^1.0.0");
  expect(() => missingEntries(asking("plugin", "1.0.0"))).toThrow("plugin 1.0.0");
});
