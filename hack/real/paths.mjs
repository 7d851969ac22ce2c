// Where the real parts keep what they install and run: downloads and builds in the user's cache, everything else in this checkout.
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** What is downloaded or built once per version and shared by all checkouts: MILLRACE_CACHE, else the user's cache folder. */
export const cacheFolder = process.env.MILLRACE_CACHE
  ? resolve(process.env.MILLRACE_CACHE)
  : join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "millrace");

/** Logs and what runs: of this checkout. */
export const localFolder = join(repository, ".cache");

/**
 * State files (`kafka.json`, `kafka-NAME.json`, `s3.json`, ...): what runs, where, and how to reach it. MILLRACE_SERVERS is another folder for
 * them, so that a test run has servers of its own beside those that a person started.
 */
export const runFolder = process.env.MILLRACE_SERVERS ? resolve(process.env.MILLRACE_SERVERS) : join(localFolder, "run");

/** A folder below the cache, made when it is missing. */
export function cachePath(...parts) {
  return made(join(cacheFolder, ...parts));
}

/** A folder of this checkout for logs and results, made when it is missing. MILLRACE_LOGS is another one. */
export function logsPath() {
  return made(process.env.MILLRACE_LOGS ? resolve(process.env.MILLRACE_LOGS) : join(localFolder, "logs"));
}

function made(path) {
  mkdirSync(path, { recursive: true });
  return path;
}

/** `kafka` for the usual instance, `kafka-x` for the one that `--name x` asks for. */
export function instanceName(kind, name) {
  return name === undefined || name === kind ? kind : `${kind}-${name}`;
}
