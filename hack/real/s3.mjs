// `hack/s3`: a real S3 server (versitygw over a folder) on loopback for tests and for trying things.
//
//   hack/s3 up     [--name x] [--port P]   starts it unless it runs, waits until it answers; makes the bucket `millrace`
//   hack/s3 down   [--name x] [--keep]     ends it and deletes its data (--keep: leaves the data for the next up)
//   hack/s3 status [--name x]              says whether it runs; ends with 1 when it does not
//
// Without --port the port is a free one. The state file `.cache/run/s3.json` (`s3-x.json` with --name x) holds `endpoint`, `region`,
// `bucket`, `accessKeyId` and `secretAccessKey`; tests read it through test/support/real.ts. It answers conditional PUTs
// (If-Match, If-None-Match) as S3 does, with 412. Built by `go install`, else Docker runs the project's image.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { installVersitygw, VERSITYGW_VERSION } from "./s3-install.mjs";
import { freePorts, isFree } from "./ports.mjs";
import { instanceName, runFolder } from "./paths.mjs";
import { Problem, runMain } from "./problem.mjs";
import { isAlive, startDaemon, stop, waitFor } from "./process.mjs";
import { readState, removeState, withLock, writeState } from "./state.mjs";
import { has, hasDocker, parseOptions, run } from "./tools.mjs";

const USAGE = "hack/s3 up|down|status [--name x] [--port P] [--keep]";
const READY_TIMEOUT_MS = 60_000;
const image = `versity/versitygw:v${VERSITYGW_VERSION}`;
const say = (line) => process.stderr.write(`s3: ${line}\n`);

async function plan(instance, options) {
  const port = options.port ?? (await freePorts(1))[0];
  return {
    instance,
    kind: "s3",
    version: VERSITYGW_VERSION,
    via: has("go", ["version"]) || !hasDocker() ? "go" : "docker",
    folder: join(runFolder, instance),
    port,
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    bucket: "millrace",
    accessKeyId: "millrace",
    secretAccessKey: "millrace-secret",
  };
}

function start(server, program) {
  const env = { ROOT_ACCESS_KEY: server.accessKeyId, ROOT_SECRET_KEY: server.secretAccessKey };
  const options = ["--keep-alive", "--quiet", "--health", "/health"];
  const data = join(server.folder, "data");
  // A folder of the top folder is a bucket. Parts and metadata lie beside the objects, so everything ends with the folder.
  mkdirSync(join(data, server.bucket), { recursive: true });
  if (server.via === "go") {
    const log = join(server.folder, "s3.log");
    return {
      log,
      ...startDaemon(program, ["--port", `127.0.0.1:${server.port}`, ...options, "posix", data], { log, cwd: server.folder, env }),
    };
  }
  const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const container = `millrace-${server.instance}-${server.port}`;
  const place = ["-p", `127.0.0.1:${server.port}:7070`, "-v", `${data}:/data`];
  run("docker", ["run", "-d", "--name", container, ...variables, ...place, image, "--port", ":7070", ...options, "posix", "/data"]);
  return { container, failed: () => undefined };
}

function lives(server) {
  if (server.container === undefined) return isAlive(server);
  try {
    return run("docker", ["inspect", "-f", "{{.State.Running}}", server.container]).trim() === "true";
  } catch {
    return false;
  }
}

const answers = async (server) => (await fetch(`${server.endpoint}/health`, { signal: AbortSignal.timeout(2000) })).ok;

async function up(instance, options) {
  const before = readState(instance);
  const server = before ?? (await plan(instance, options));
  if (!lives(server)) {
    const program = server.via === "go" ? await installVersitygw(say) : undefined;
    if (!(await isFree(server.port))) throw new Problem(`port ${server.port} is in use`, "end what listens there, or give another --port");
    if (before === undefined) rmSync(server.folder, { recursive: true, force: true });
    else remove(server, { keep: true });
    const { failed, log, ...handle } = start(server, program);
    Object.assign(server, handle);
    writeState(instance, server);
    try {
      const alive = () => (lives(server) ? undefined : (failed()?.message ?? "it has ended"));
      await waitFor("s3 server", () => answers(server), { timeoutMs: READY_TIMEOUT_MS, log, alive });
    } catch (error) {
      await end(server);
      if (before === undefined) removeState(instance);
      throw error;
    }
  }
  const state = relative(process.cwd(), join(runFolder, `${instance}.json`));
  say(`${server.endpoint} (versitygw ${server.version} by ${server.via}; bucket ${server.bucket}; state in ${state})`);
}

async function end(server) {
  if (server.container === undefined) await stop(server);
  else if (lives(server)) run("docker", ["stop", server.container]);
}

function remove(server, { keep }) {
  if (server.container !== undefined) run("docker", ["rm", "-f", server.container]);
  if (!keep && existsSync(server.folder)) rmSync(server.folder, { recursive: true, force: true });
}

async function down(instance, options) {
  const server = readState(instance);
  if (server === undefined) return say(`${instance} does not run`);
  await end(server);
  remove(server, { keep: options.keep === true });
  if (!options.keep) removeState(instance);
  say(`${instance} is down`);
}

async function status(instance) {
  const server = readState(instance);
  const isUp = server !== undefined && lives(server) && (await answers(server).catch(() => false));
  if (!isUp) process.exitCode = 1;
  say(isUp ? `${server.endpoint} (${server.container ?? `pid ${server.pid}`}) answers` : `${instance} does not run`);
}

await runMain(async () => {
  const [command, ...rest] = process.argv.slice(2);
  const action = { up, down, status }[command];
  if (action === undefined) throw new Problem("hack/s3 needs a command", USAGE);
  const options = parseOptions(rest, { name: "text", port: "number", keep: "flag" }, USAGE);
  const instance = instanceName("s3", options.name);
  if (action === status) await status(instance);
  else await withLock(instance, () => action(instance, options));
});
