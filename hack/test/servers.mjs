// The real servers of a test run: started on demand in a run folder of their own, ended with the run, also those that tests started there.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { localFolder, repository } from "../real/paths.mjs";
import { identityOf } from "../real/process.mjs";

const PREFIX = "run-test-";
const OWNER = "owner";
const upArguments = { kafka: ["--secure"], s3: [], postgres: [], cluster: [] };
const givenBy = { kafka: "MILLRACE_TEST_KAFKA", s3: "MILLRACE_TEST_S3_ENDPOINT", postgres: "MILLRACE_TEST_POSTGRES" };

export class Servers {
  folder = join(localFolder, `${PREFIX}${process.pid}`);
  #started = new Set();
  #run = promisify(execFile);

  /** Tests and the scripts they call find the servers by this. */
  get environment() {
    return { MILLRACE_SERVERS: this.folder };
  }

  /** Starts what is needed and not up yet; a server that the environment names is used as it is. Returns what the script said. */
  async need(kinds) {
    const said = [];
    for (const kind of kinds) {
      if (this.#started.has(kind) || process.env[givenBy[kind]]) continue;
      if (this.#started.size === 0) this.#claim();
      this.#started.add(kind);
      said.push((await this.#script(kind, "up", ...upArguments[kind])).stderr);
    }
    return said.join("");
  }

  /** Ends those of these kinds that this run has started: no later tier needs them. */
  async release(kinds) {
    for (const kind of kinds) {
      if (!this.#started.delete(kind)) continue;
      // One that does not end yet is tried again with the run's end, and told of then.
      await this.#script(kind, "down").catch(() => undefined);
    }
  }

  /** Ends every server recorded in the folder and deletes it. */
  async end() {
    await endAll(this.folder);
  }

  #claim() {
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, OWNER), JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) }));
  }

  #script(kind, ...args) {
    return this.#run(join(repository, "hack", kind), args, { env: { ...process.env, ...this.environment } });
  }
}

/** Ends what earlier runs left behind: those that were killed before they could. */
export async function endLeftovers() {
  if (!existsSync(localFolder)) return;
  for (const name of readdirSync(localFolder).filter((one) => one.startsWith(PREFIX))) {
    const folder = join(localFolder, name);
    if (!isOwned(folder)) await endAll(folder);
  }
}

function isOwned(folder) {
  try {
    const owner = JSON.parse(readFileSync(join(folder, OWNER), "utf8"));
    return identityOf(owner.pid) === owner.identity;
  } catch {
    return false;
  }
}

async function endAll(folder) {
  if (!existsSync(folder)) return;
  const states = readdirSync(folder).filter((name) => name.endsWith(".json"));
  for (const file of states) {
    const { kind, instance } = JSON.parse(readFileSync(join(folder, file), "utf8"));
    const name = instance === kind ? [] : ["--name", instance.slice(kind.length + 1)];
    await promisify(execFile)(join(repository, "hack", kind), ["down", ...name], { env: { ...process.env, MILLRACE_SERVERS: folder } });
  }
  rmSync(folder, { recursive: true, force: true });
}
