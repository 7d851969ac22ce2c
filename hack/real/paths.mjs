// Where the real parts keep what they install and run: one cache folder, never outside it.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The cache folder: `.cache` of the repository, or MILLRACE_CACHE. */
export const cacheFolder = process.env.MILLRACE_CACHE ? resolve(process.env.MILLRACE_CACHE) : join(repository, ".cache");

/**
 * State files (`kafka.json`, `kafka-NAME.json`, `s3.json`, ...): what runs, where, and how to reach it. MILLRACE_RUN is another folder for
 * them, so that a test run has servers of its own beside those that a person started.
 */
export const runFolder = process.env.MILLRACE_RUN ? resolve(process.env.MILLRACE_RUN) : join(cacheFolder, "run");

/** A folder below the cache, made when it is missing. */
export function cachePath(...parts) {
  const path = join(cacheFolder, ...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

/** `kafka` for the usual instance, `kafka-x` for the one that `--name x` asks for. */
export function instanceName(kind, name) {
  return name === undefined || name === kind ? kind : `${kind}-${name}`;
}
