// `up`, `down` and `status` for a server that is one process or one container; what kind of server it is, the caller says.
import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import { containerRuns, docker } from "./docker.mjs";
import { instanceName, runFolder } from "./paths.mjs";
import { freePorts, isFree } from "./ports.mjs";
import { Problem, runMain } from "./problem.mjs";
import { isAlive, stop, waitFor } from "./process.mjs";
import { readState, removeState, withLock, writeState } from "./state.mjs";
import { parseOptions } from "./tools.mjs";

const READY_TIMEOUT_MS = 60_000;

/**
 * Runs the command line. `parts`: `kind`; `plan(base, say)` gives the record of a new instance from `{ instance, kind, folder, port, address }`;
 * `start(server, say)` starts it and gives `{ pid, identity, log, failed }` or `{ container }`; `answers(server)` says whether it is ready;
 * `describe(server)` is the line for a person; `signal` ends it well; `volume` is true when its container keeps data in a volume of its name.
 */
export function serverCommand(parts) {
  const { kind } = parts;
  const usage = `hack/${kind} up|down|status [--name x] [--port P] [--address A] [--keep]`;
  const say = (line) => process.stderr.write(`${kind}: ${line}\n`);
  const lives = (server) => (server.container === undefined ? isAlive(server) : containerRuns(server.container));

  async function up(instance, options) {
    const before = readState(instance);
    const port = before?.port ?? options.port ?? (await freePorts(1))[0];
    if (options.port !== undefined && options.port !== port)
      throw new Problem(`${instance} has port ${port} already`, `end it first: hack/${kind} down`);
    const address = options.address ?? "127.0.0.1";
    const server = before ?? { ...(await parts.plan({ instance, kind, folder: join(runFolder, instance), port, address }, say)) };
    if (!lives(server)) await start(instance, server, before === undefined);
    say(`${parts.describe(server)}; state in ${relative(process.cwd(), join(runFolder, `${instance}.json`))}`);
  }

  async function start(instance, server, isNew) {
    if (!(await isFree(server.port, server.address)))
      throw new Problem(`port ${server.port} is in use`, "end what listens there, or give another --port");
    if (isNew) rmSync(server.folder, { recursive: true, force: true });
    if (server.container !== undefined) docker("rm", "-f", server.container);
    const { failed, log, ...handle } = await parts.start(server, say);
    Object.assign(server, handle);
    // Recorded at once: whatever happens next, `down` knows what to end.
    writeState(instance, server);
    const alive = () => (lives(server) ? undefined : (failed?.()?.message ?? "it has ended"));
    try {
      await waitFor(kind, () => parts.answers(server), { timeoutMs: READY_TIMEOUT_MS, log, container: server.container, alive });
    } catch (error) {
      await end(server);
      if (isNew) removeState(instance);
      throw error;
    }
  }

  async function end(server) {
    if (server.container === undefined) await stop(server, { signal: parts.signal });
    else if (lives(server)) docker("stop", server.container);
  }

  async function down(instance, options) {
    const server = readState(instance);
    if (server === undefined) return say(`${instance} does not run`);
    await end(server);
    if (!options.keep) {
      if (server.container !== undefined) docker("rm", "-f", server.container);
      if (server.container !== undefined && parts.volume) docker("volume", "rm", server.container);
      rmSync(server.folder, { recursive: true, force: true });
      removeState(instance);
    }
    say(`${instance} is down`);
  }

  async function status(instance) {
    const server = readState(instance);
    const isUp = server !== undefined && lives(server) && (await Promise.resolve(parts.answers(server)).catch(() => false));
    if (!isUp) process.exitCode = 1;
    say(isUp ? `${parts.describe(server)}; answers` : `${instance} does not run`);
  }

  return runMain(async () => {
    const [command, ...rest] = process.argv.slice(2);
    const action = { up, down, status }[command];
    if (action === undefined) throw new Problem(`hack/${kind} needs a command`, usage);
    const options = parseOptions(rest, { name: "text", port: "number", address: "text", keep: "flag" }, usage);
    const instance = instanceName(kind, options.name);
    if (action === status) await status(instance);
    else await withLock(instance, () => action(instance, options));
  });
}
