// `hack/s3`: a real S3 server (versitygw over a folder) on loopback for tests and for trying things.
//
//   hack/s3 up     [--name x] [--port P] [--address A]   starts it unless it runs, waits until it answers; makes the bucket `millrace`
//   hack/s3 down   [--name x] [--keep]     ends it and deletes its data (--keep: leaves the data for the next up)
//   hack/s3 status [--name x]              says whether it runs; ends with 1 when it does not
//
// Without --port the port is a free one; --address is another address of this machine than loopback. The state file `.cache/run/s3.json` (`s3-x.json` with --name x) holds `endpoint`, `region`,
// `bucket`, `accessKeyId` and `secretAccessKey`; tests read it through test/support/real.ts. It answers conditional PUTs
// (If-Match, If-None-Match) as S3 does, with 412. Built by `go install`; without Go, Docker runs the project's image.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { docker, hasDocker, pullImage } from "./docker.mjs";
import { startDaemon } from "./process.mjs";
import { installVersitygw, VERSITYGW_VERSION } from "./s3-install.mjs";
import { serverCommand } from "./server-command.mjs";
import { has } from "./tools.mjs";

const IMAGE = `versity/versitygw:v${VERSITYGW_VERSION}`;
const OPTIONS = ["--keep-alive", "--quiet", "--health", "/health"];

function plan(base) {
  return {
    ...base,
    version: VERSITYGW_VERSION,
    via: has("go", ["version"]) || !hasDocker() ? "go" : "docker",
    endpoint: `http://${base.address}:${base.port}`,
    region: "us-east-1",
    bucket: "millrace",
    accessKeyId: "millrace",
    secretAccessKey: "millrace-secret",
  };
}

async function start(server, say) {
  const env = { ROOT_ACCESS_KEY: server.accessKeyId, ROOT_SECRET_KEY: server.secretAccessKey };
  const data = join(server.folder, "data");
  const program = server.via === "go" ? await installVersitygw(say) : pullImage(IMAGE, say);
  // A folder of the top folder is a bucket. Parts and metadata lie beside the objects, so everything ends with the folder.
  mkdirSync(join(data, server.bucket), { recursive: true });
  if (program !== undefined) {
    const log = join(server.folder, "s3.log");
    const args = ["--port", `${server.address}:${server.port}`, ...OPTIONS, "posix", data];
    return { log, ...startDaemon(program, args, { log, cwd: server.folder, env }) };
  }
  const container = `millrace-${server.instance}-${server.port}`;
  const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const place = ["-p", `${server.address}:${server.port}:7070`, "-v", `${data}:/data`];
  // The data belongs to whoever runs this, so that `down` may delete it.
  const user = process.getuid === undefined ? [] : ["--user", `${process.getuid()}:${process.getgid()}`];
  docker("run", "-d", "--name", container, ...user, ...variables, ...place, IMAGE, "--port", ":7070", ...OPTIONS, "posix", "/data");
  return { container };
}

await serverCommand({
  kind: "s3",
  plan,
  start,
  answers: async (server) => (await fetch(`${server.endpoint}/health`, { signal: AbortSignal.timeout(2000) })).ok,
  describe: (server) => `${server.endpoint} (versitygw ${server.version} by ${server.via}; bucket ${server.bucket})`,
});
