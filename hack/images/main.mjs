// `hack/image`: the project's images without Docker, as archives that `docker load`, `ctr` and `hack/cluster load-image` take.
//
//   hack/image runtime  [--image N] [--out F] [--load] [--name x]               what pods of jobs run: Node, millrace
//   hack/image operator [--image N] [--out F] [--load] [--name x]               the runtime and the operator
//   hack/image job --folder D --image N [--out F] [--load] [--name x]           the runtime and a job's files in /app
//
// --load brings the image to the nodes of hack/cluster (--name x: of that one). The same files give the same image. With Docker, build
// docker/Dockerfile instead: it holds the same files on a base of your choice.
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachePath, repository } from "../real/paths.mjs";
import { Problem, runMain } from "../real/problem.mjs";
import { parseOptions, run } from "../real/tools.mjs";
import { writeImage } from "./archive.mjs";
import { assembleBase } from "./base.mjs";
import { assembleOperator, assembleRuntime } from "./contents.mjs";

const USAGE = "hack/image runtime|operator|job [--folder D] [--image N] [--out F] [--load] [--name x]";
const say = (line) => process.stderr.write(`image: ${line}\n`);
const node = "/usr/local/bin/node";

/** As in docker/Dockerfile. */
const shared = {
  User: "1000:1000",
  WorkingDir: "/app",
  Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "NODE_ENV=production"],
};
const entrypoints = {
  runtime: [node, "/node_modules/millrace/bin/millrace.js"],
  operator: [node, "/opt/millrace/operator/src/main.ts"],
};

await runMain(async () => {
  const [target, ...rest] = process.argv.slice(2);
  if (!["runtime", "operator", "job"].includes(target)) throw new Problem("hack/image needs a target", USAGE);
  const options = parseOptions(rest, { folder: "text", image: "text", out: "text", load: "flag", name: "text" }, USAGE);
  if (process.platform !== "linux") throw new Problem("images without Docker are made on Linux", "build docker/Dockerfile with Docker");
  if (target === "job" && (options.folder === undefined || options.image === undefined))
    throw new Problem("a job's image needs its files and a name", USAGE);
  if (!existsSync(join(repository, "runtime/dist/index.js"))) throw new Problem("the runtime is not built", "run npm run build");
  const image = options.image ?? `millrace.dev/${target}:dev`;
  const work = mkdtempSync(join(tmpdir(), "millrace-image-"));
  try {
    const layers = ["base", "runtime", ...(target === "runtime" ? [] : [target])].map((name) => ({ folder: join(work, name) }));
    for (const { folder } of layers) mkdirSync(folder);
    assembleRuntime(repository, join(work, "runtime"));
    assembleBase(repository, join(work, "base"), [join(work, "runtime/node_modules")]);
    if (target === "operator") assembleOperator(repository, join(work, target));
    if (target === "job") cpSync(options.folder, join(work, "job/app"), { recursive: true, dereference: true });
    const file = options.out ?? join(cachePath("images"), `${image.replaceAll(/[^\w.-]+/g, "_")}.tar`);
    const config = { ...shared, Entrypoint: entrypoints[target === "operator" ? "operator" : "runtime"] };
    const digest = await writeImage({ name: image, layers, config, file });
    say(`${image} ${digest} in ${file}`);
    if (options.load) {
      const cluster = fileURLToPath(new URL("../cluster", import.meta.url));
      run(cluster, ["load-image", "--archive", file, ...(options.name === undefined ? [] : ["--name", options.name])]);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
