// `hack/postgres`: a real PostgreSQL on loopback for tests and for trying things.
//
//   hack/postgres up     [--name x] [--port P]   starts it unless it runs, waits until it answers
//   hack/postgres down   [--name x] [--keep]     ends it and deletes its data (--keep: leaves the data for the next up)
//   hack/postgres status [--name x]              says whether it runs; ends with 1 when it does not
//
// The machine's own PostgreSQL programs, else the official image by Docker. wal_level=logical, so that change data can be captured.
// The state file `.cache/run/postgres.json` holds `url`, `host`, `port`, `user`, `password` and `database`.
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, relative } from "node:path";
import { freePorts, isFree } from "./ports.mjs";
import { instanceName, runFolder } from "./paths.mjs";
import { Problem, runMain } from "./problem.mjs";
import { isAlive, startDaemon, stop, waitFor } from "./process.mjs";
import { readState, removeState, withLock, writeState } from "./state.mjs";
import { has, hasDocker, parseOptions, run } from "./tools.mjs";

const USAGE = "hack/postgres up|down|status [--name x] [--port P] [--keep]";
const READY_TIMEOUT_MS = 60_000;
const IMAGE = "postgres:17.5";
const SETTINGS = ["wal_level=logical", "max_wal_senders=10", "max_replication_slots=10", "max_prepared_transactions=20", "fsync=off"];
const say = (line) => process.stderr.write(`postgres: ${line}\n`);

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

async function plan(instance, options) {
  const found = programs();
  if (found === undefined && !hasDocker()) {
    throw new Problem("no PostgreSQL programs and no Docker engine are here", "install one of them (Debian: apt-get install postgresql)");
  }
  const port = options.port ?? (await freePorts(1))[0];
  const [user, password, database] = ["millrace", "millrace-secret", "postgres"];
  return {
    instance,
    kind: "postgres",
    via: found === undefined ? "docker" : "local",
    programs: found,
    folder: join(runFolder, instance),
    host: "127.0.0.1",
    port,
    user,
    password,
    database,
    url: `postgres://${user}:${password}@127.0.0.1:${port}/${database}`,
  };
}

function start(server) {
  const settings = SETTINGS.flatMap((setting) => ["-c", setting]);
  mkdirSync(server.folder, { recursive: true });
  if (server.via === "docker") {
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
    run("docker", ["run", "-d", "--name", container, ...variables, ...volume, "-p", `127.0.0.1:${server.port}:5432`, IMAGE, ...settings]);
    return { container, failed: () => undefined };
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
          : `the user ${user} must be able to enter ${server.folder}: set MILLRACE_CACHE to such a folder, or run as another user`,
    });
  }
  const address = ["-h", "127.0.0.1", "-p", String(server.port), "-k", server.folder];
  return { log, ...startDaemon(`${server.programs}postgres`, ["-D", data, ...address, ...settings], { log, cwd: server.folder, ...ids }) };
}

function lives(server) {
  if (server.container === undefined) return isAlive(server);
  try {
    return run("docker", ["inspect", "-f", "{{.State.Running}}", server.container]).trim() === "true";
  } catch {
    return false;
  }
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

async function up(instance, options) {
  const before = readState(instance);
  const server = before ?? (await plan(instance, options));
  if (!lives(server)) {
    if (!(await isFree(server.port))) throw new Problem(`port ${server.port} is in use`, "end what listens there, or give another --port");
    if (before === undefined) rmSync(server.folder, { recursive: true, force: true });
    if (server.container !== undefined) run("docker", ["rm", "-f", server.container]);
    const { failed, log, ...handle } = start(server);
    Object.assign(server, handle);
    writeState(instance, server);
    const alive = () => (lives(server) ? undefined : (failed()?.message ?? "it has ended"));
    try {
      await waitFor("postgres", () => answers(server), { timeoutMs: READY_TIMEOUT_MS, log, alive });
    } catch (error) {
      await end(server);
      if (before === undefined) removeState(instance);
      throw error;
    }
  }
  say(`${server.url} (by ${server.via}; state in ${relative(process.cwd(), join(runFolder, `${instance}.json`))})`);
}

async function end(server) {
  // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
  if (server.container === undefined) await stop(server, { signal: "SIGINT" });
  else if (lives(server)) run("docker", ["stop", server.container]);
}

async function down(instance, options) {
  const server = readState(instance);
  if (server === undefined) return say(`${instance} does not run`);
  await end(server);
  if (!options.keep) {
    if (server.container !== undefined) {
      run("docker", ["rm", "-f", server.container]);
      run("docker", ["volume", "rm", server.container]);
    }
    rmSync(server.folder, { recursive: true, force: true });
    removeState(instance);
  }
  say(`${instance} is down`);
}

async function status(instance) {
  const server = readState(instance);
  const isUp = server !== undefined && lives(server) && (await answers(server).catch(() => false));
  if (!isUp) process.exitCode = 1;
  say(isUp ? `${server.url} (${server.container ?? `pid ${server.pid}`}) answers` : `${instance} does not run`);
}

await runMain(async () => {
  const [command, ...rest] = process.argv.slice(2);
  const action = { up, down, status }[command];
  if (action === undefined) throw new Problem("hack/postgres needs a command", USAGE);
  const options = parseOptions(rest, { name: "text", port: "number", keep: "flag" }, USAGE);
  const instance = instanceName("postgres", options.name);
  if (action === status) await status(instance);
  else await withLock(instance, () => action(instance, options));
});
