// `hack/postgres`: a real PostgreSQL on loopback for tests and for trying things.
//
//   hack/postgres up     [--name x] [--port P]   starts it unless it runs, waits until it answers
//   hack/postgres down   [--name x] [--keep]     ends it and deletes its data (--keep: leaves the data for the next up)
//   hack/postgres status [--name x]              says whether it runs; ends with 1 when it does not
//
// The machine's own PostgreSQL programs, else the official image by Docker. wal_level=logical, so that change data can be captured.
// The state file `.cache/run/postgres.json` holds `url`, `host`, `port`, `user`, `password` and `database`.
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { docker, hasDocker, pullImage } from "./docker.mjs";
import { Problem } from "./problem.mjs";
import { startDaemon } from "./process.mjs";
import { serverCommand } from "./server-command.mjs";
import { has, run } from "./tools.mjs";

const IMAGE = "postgres:17.5";
const SETTINGS = ["wal_level=logical", "max_wal_senders=10", "max_replication_slots=10", "max_prepared_transactions=20", "fsync=off"];

/** The folder of `initdb` and `postgres`: the newest of Debian's layout, else wherever they are on the PATH. */
function programs() {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).filter((version) => existsSync(join(debian, version, "bin/initdb"))) : [];
  const newest = versions.sort((one, other) => Number(one) - Number(other)).at(-1);
  if (newest !== undefined) return join(debian, newest, "bin/");
  return has("initdb") && has("postgres") ? "" : undefined;
}

/** PostgreSQL refuses to run as root; root starts it as another user. */
function account() {
  if (process.getuid?.() !== 0) return {};
  for (const user of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = [Number(run("id", ["-u", user])), Number(run("id", ["-g", user]))];
      return { uid, gid, user };
    } catch {
      // The next one.
    }
  }
  throw new Problem("PostgreSQL does not run as root, and this machine has no user postgres or nobody", "run as another user");
}

function plan(base) {
  const found = programs();
  if (found === undefined && !hasDocker()) {
    throw new Problem("no PostgreSQL programs and no Docker engine are here", "install one of them (Debian: apt-get install postgresql)");
  }
  const [host, user, password, database] = [base.address, "millrace", "millrace-secret", "postgres"];
  const url = `postgres://${user}:${password}@${host}:${base.port}/${database}`;
  return { ...base, via: found === undefined ? "docker" : "local", programs: found, host, user, password, database, url };
}

function start(server, say) {
  const settings = SETTINGS.flatMap((setting) => ["-c", setting]);
  mkdirSync(server.folder, { recursive: true });
  if (server.via === "docker") {
    pullImage(IMAGE, say);
    const container = `millrace-${server.instance}-${server.port}`;
    const variables = [
      "-e",
      `POSTGRES_USER=${server.user}`,
      "-e",
      `POSTGRES_PASSWORD=${server.password}`,
      "-e",
      `POSTGRES_DB=${server.database}`,
    ];
    const volume = ["-v", `${container}:/var/lib/postgresql/data`];
    docker("run", "-d", "--name", container, ...variables, ...volume, "-p", `${server.host}:${server.port}:5432`, IMAGE, ...settings);
    return { container };
  }
  const { user, ...ids } = account();
  if (user !== undefined) chownSync(server.folder, ids.uid, ids.gid);
  const data = join(server.folder, "data");
  const log = join(server.folder, "postgres.log");
  if (!existsSync(data)) {
    const passwordFile = join(server.folder, "password");
    writeFileSync(passwordFile, server.password);
    const initdb = ["-D", data, "-U", server.user, "--auth=scram-sha-256", "-E", "UTF8", "--no-locale", `--pwfile=${passwordFile}`];
    run(`${server.programs}initdb`, initdb, {
      ...ids,
      next:
        user === undefined
          ? undefined
          : `the user ${user} must be able to enter ${server.folder}: set MILLRACE_SERVERS to such a folder, or run as another user`,
    });
  }
  const address = ["-h", server.host, "-p", String(server.port), "-k", server.folder];
  return { log, ...startDaemon(`${server.programs}postgres`, ["-D", data, ...address, ...settings], { log, cwd: server.folder, ...ids }) };
}

/** Sends a startup message; a server that is ready asks for a password, one that still starts says so with an error. */
function answers(server) {
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(`user\0${server.user}\0database\0${server.database}\0\0`)]);
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length + 4);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.host, port: server.port });
    socket.setTimeout(2000, () => socket.destroy(new Error("no answer within 2 s")));
    socket.once("error", reject);
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.write(Buffer.concat([size, body])));
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(bytes[0] === "R".charCodeAt(0));
    });
  });
}

await serverCommand({
  kind: "postgres",
  plan,
  start,
  answers,
  describe: (server) => `${server.url} (by ${server.via})`,
  // PostgreSQL's fast shutdown: it does not wait for clients to leave.
  signal: "SIGINT",
  volume: true,
});
