// Runs a driver until its query has ended, and leaves behind how: whoever started it reads that when nobody answers any more.
import { writeFile } from "node:fs/promises";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { QueryRestore } from "../../drivers/microbatch/query-options.ts";
import { TlsFiles } from "../../drivers/tls/tls-files.ts";
import { runNumberOf } from "../cluster/cluster-config.ts";
import { readQueryProcess } from "../frames/query-options.ts";
import { runBatchJob } from "../frames/run-batch-job.ts";
import { runStream } from "../frames/run-frames.ts";
import { tokenReader } from "../rest/auth.ts";
import { openLog } from "../run/logging.ts";
import { openTerminal } from "../run/terminal.ts";
import type { DriverFlags } from "./driver-command.ts";
import { failureText, isFinalFailure } from "./final-failure.ts";
import { partingWords } from "./parting-words.ts";

/** Where executors of a manifest find the driver. */
const defaultRpcPort = 6123;

type Environment = Readonly<Record<string, string | undefined>>;

/** Resolves when the query has ended in order; rejects when it failed. */
export async function runDriver(flags: DriverFlags, environment: Environment = process.env): Promise<void> {
  const log = await openLog(flags.log, flags.logLevel, (line) => process.stderr.write(`${line}\n`));
  const run = runNumberOf(flags, environment);
  const path = flags.terminationLog ?? environment["MILLRACE_TERMINATION_LOG"];
  const release = endWithParent();
  let seen: object = { run, state: "failed" };
  try {
    await runQuery(flags, environment, run, log, (query) => {
      seen = query;
    });
    await leave(path, partingWords(seen, undefined), log);
  } catch (error) {
    await leave(path, partingWords({ ...seen, state: "failed" }, { text: failureText(error), isFinal: isFinalFailure(error) }), log);
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
  const { config, work, tokenFile, tlsDir, heartbeats } = await readQueryProcess(flags, environment);
  const { host, port } = flags;
  const restore = restorePoint(environment, config.initialSavepoint);
  const rpcPort = flags.rpcPort ?? ((config.batches.executors ?? 0) > 0 ? defaultRpcPort : undefined);
  const token = tokenReader(tokenFile);
  const executors =
    rpcPort === undefined
      ? undefined
      : {
          ...{ host, port: rpcPort, heartbeats, partitions: config.parallelism },
          ...(tlsDir === undefined ? {} : { tls: TlsFiles.open(tlsDir, log) }),
          ...(token === undefined ? {} : { token }),
          onListening: (listening: number) => log.info("driver listening for executors", { rpc: `${host}:${listening}` }),
        };
  const terminal = openTerminal(process.stderr, false);
  const serving = { host, port, tokenFile, run, restore, ended, executors };
  await (work.kind === "query"
    ? runStream(work.query, config, serving, terminal, log)
    : runBatchJob(work.dataflow, config, serving, terminal, log));
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
