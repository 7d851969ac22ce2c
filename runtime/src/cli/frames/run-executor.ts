// Runs an executor until it is told to leave, and nothing of it is needed any more.
import { join } from "node:path";
import { parseDuration } from "../../base/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { openExecutor } from "../../drivers/microbatch/executors/executor/open-executor.ts";
import { TlsFiles } from "../../drivers/tls/tls-files.ts";
import { makeWorkFolder } from "../../drivers/work-folder.ts";
import { wholeNumber } from "../cluster/cluster-config.ts";
import { startHealthServer } from "../cluster/health-server.ts";
import { stopSignal } from "../cluster/stop-signal.ts";
import { tokenReader } from "../rest/auth.ts";
import { openLog } from "../run/logging.ts";
import { openStateBackend } from "../run/state-backend.ts";
import type { ExecutorFlags } from "./executor-command.ts";
import { readQueryProcess } from "./query-options.ts";
import { noExecutors } from "./run-batch-job.ts";

export async function runExecutor(flags: ExecutorFlags): Promise<void> {
  const driver = flags.driver ?? process.env["MILLRACE_DRIVER"];
  if (driver === undefined) throw new MillraceError("OPTION_INVALID", "--driver", "is not given", "give host:port of the query's driver");
  const asked = await readQueryProcess(flags, process.env);
  const { config, work: program, advertise, tokenFile, heartbeats, instance } = asked;
  if (program.kind === "job") throw noExecutors("millrace executor");
  const { query } = program;
  const { storage } = config;
  if (storage === undefined) {
    throw new MillraceError(
      "CLUSTER_STORAGE",
      "checkpoints.storage",
      "is not set, and executors keep the state of a query there",
      "set it to a file:// or s3:// URL that all processes reach",
    );
  }
  const log = (await openLog(flags.log, flags.logLevel, (line) => process.stderr.write(`${line}\n`))).child({ process: "executor" });
  const token = tokenReader(tokenFile);
  const tls = asked.tlsDir === undefined ? undefined : TlsFiles.open(asked.tlsDir, log);
  const slots = wholeNumber(flags.slots ?? process.env["MILLRACE_SLOTS"] ?? String(config.batches.slots ?? 1), "--slots");
  const work = await makeWorkFolder(flags.workDir);
  const stop = stopSignal();
  try {
    const { executor, done, close } = await openExecutor(query, {
      ...{ driver, executorId: instance, slots, host: flags.host, port: flags.exchangePort, advertise, heartbeats, log },
      ...{ checkpointLocation: storage, storageOptions: { s3: config.s3 }, maxParallelism: config.maxParallelism },
      directory: join(work.path, "executor"),
      stateBackend: await openStateBackend(config, config.parallelism),
      orphanMs: parseDuration(flags.orphanTimeout, "--orphan-timeout"),
      ...(tls === undefined ? {} : { tls }),
      ...(token === undefined ? {} : { token }),
    });
    try {
      const health = await startHealthServer({
        ...{ host: flags.host, port: flags.port, jobName: query.name },
        ready: () => executor.isConnected,
      });
      log.info("executor started", { query: query.name, executorId: instance, slots, driver, health: health.url });
      process.send?.({ kind: "started", rest: health.url });
      try {
        if ((await Promise.race([done, stop.asked])) === "stop") {
          log.info("leaving", { runningTasks: executor.runningTasks });
          await executor.leave(
            parseDuration(flags.decommissionTimeout ?? Number(process.env["MILLRACE_DECOMMISSION_MS"] ?? 60_000), "--decommission-timeout"),
          );
        }
      } finally {
        await health.close();
      }
    } finally {
      await close();
    }
  } finally {
    stop.release();
    await work.remove();
  }
}
