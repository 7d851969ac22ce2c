// `npm run crds`: writes everything that is made from the types of manifests; with --check says what differs and ends with 1.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputs } from "./outputs.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** JSON is laid out by the project's formatter. */
const laidOut = (path: string, text: string): string =>
  path.endsWith(".json")
    ? execFileSync(join(root, "node_modules/.bin/biome"), ["format", `--stdin-file-path=${path}`], {
        cwd: root,
        input: text,
        encoding: "utf8",
      })
    : text;

let differing = 0;
for (const [path, text] of outputs()) {
  const file = join(root, path);
  const wanted = laidOut(path, text);
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) continue;
  differing++;
  if (process.argv[2] === "--check") {
    console.error(`${path} is not what the types say`);
    continue;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, wanted);
  console.log(`wrote ${path}`);
}
if (process.argv[2] === "--check" && differing > 0) {
  console.error("run npm run crds and commit what it writes");
  process.exitCode = 1;
}
