// Runs a driver until its query has ended, and leaves behind how: whoever started it reads that when nobody answers any more.
import { writeFile } from "node:fs/promises";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { isFrameJob } from "../../dataframe/frame-job.ts";
import type { QueryRestore } from "../../drivers/microbatch/query-options.ts";
import { wholeNumber } from "../cluster/cluster-config.ts";
import { runStream } from "../frames/run-frames.ts";
import { withTrigger } from "../run/batch-config.ts";
import { loadExport } from "../run/load-job.ts";
import { openLog } from "../run/logging.ts";
import { readConfig } from "../run/read-config.ts";
import { openTerminal } from "../run/terminal.ts";
import type { DriverFlags } from "./driver-command.ts";
import { partingWords } from "./parting-words.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Resolves when the query has ended in order; rejects when it failed. */
export async function runDriver(flags: DriverFlags, environment: Environment = process.env): Promise<void> {
  const log = await openLog(flags.log, flags.logLevel, (line) => process.stderr.write(`${line}\n`));
  const run = wholeNumber(flags.run ?? environment["MILLRACE_RUN"] ?? "1", "--run");
  const path = flags.terminationLog ?? environment["MILLRACE_TERMINATION_LOG"];
  const release = endWithParent();
  let seen: object = { run, state: "failed" };
  try {
    await runQuery(flags, environment, run, log, (query) => {
      seen = query;
    });
    await leave(path, partingWords(seen, undefined), log);
  } catch (error) {
    await leave(path, partingWords({ ...seen, state: "failed" }, messageOf(error)), log);
    throw error;
  } finally {
    release();
  }
}

async function runQuery(
  flags: DriverFlags,
  environment: Environment,
  run: number,
  log: Log,
  ended: (query: object) => void,
): Promise<void> {
  const config = await readConfig(undefined, flags);
  const job = await loadExport(config.module);
  const query = isFrameJob(job) ? job.build(config.parameters) : undefined;
  if (query?.kind !== "stream") {
    throw new MillraceError(
      "JOB_EXPORT_MISSING",
      config.module,
      query === undefined ? "its default export is no DataFrame program" : "its program reads once, and a run of batches reads a stream",
      'write: export default frames("name", ({ session }) => session.readStream(...)....writeStream(...))',
    );
  }
  const { host, port } = flags;
  const tokenFile = flags.tokenFile ?? environment["MILLRACE_TOKEN_FILE"];
  const restore = restorePoint(environment, config.initialSavepoint);
  const terminal = openTerminal(process.stderr, false);
  await runStream(withTrigger(query, config.batches), config, { host, port, tokenFile, run, restore, ended }, terminal, log);
}

function restorePoint(environment: Environment, initialSavepoint: string | undefined): QueryRestore {
  const { MILLRACE_RESTORE_SINCE_RUN: since, MILLRACE_RESTORE_LOCATION: ordered } = environment;
  const location = ordered ?? (since === undefined ? initialSavepoint : undefined);
  return { ...(since === undefined ? {} : { sinceRun: Number(since) }), ...(location === undefined ? {} : { location }) };
}

async function leave(path: string | undefined, words: string, log: Log): Promise<void> {
  if (path === undefined) return;
  await writeFile(path, words).catch((error: unknown) =>
    log.warn("how the run ended could not be written", { path, reason: messageOf(error) }),
  );
}

// Of a local run: the parent is gone, so this ends as by SIGTERM.
function endWithParent(): () => void {
  if (process.send === undefined) return () => {};
  const listener = (): void => {
    process.kill(process.pid, "SIGTERM");
  };
  process.once("disconnect", listener);
  return () => {
    process.off("disconnect", listener);
    if (process.connected) process.disconnect?.();
  };
}
