// Runs a JobManager until it is told to stop, or the job has ended and nobody need be told any more.
import { systemClock, type Clock } from "../../base/clock.ts";
import type { CoordinatorOptions, Outcome } from "../../drivers/cluster/coordinator/types.ts";
import { JobManager } from "../../drivers/cluster/leader/job-manager.ts";
import type { LeaseStore } from "../../drivers/cluster/leadership/lease.ts";
import type { LeaderParts } from "../../drivers/cluster/leader/leader-session.ts";
import { TlsFiles } from "../../drivers/tls/tls-files.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { tokenReader } from "../rest/auth.ts";
import { startRestServer } from "../rest/rest-server.ts";
import { loadJob } from "../run/load-job.ts";
import { openLog } from "../run/logging.ts";
import { type ClusterConfig, graphOf, readClusterConfig } from "./cluster-config.ts";
import { ClusterControl } from "./cluster-control.ts";
import type { JobManagerFlags } from "./jobmanager-command.ts";
import { openClusterMetrics } from "./cluster-metrics.ts";
import { openLease } from "./open-lease.ts";
import { Standby } from "./standby.ts";
import { stopSignal } from "./stop-signal.ts";
import { checkVertexParallelism } from "../run/vertex-parallelism.ts";

/** Time that does not jump when somebody sets the clock. */
const steadyClock: Clock = { now: () => performance.now(), after: (delayMs, callback) => systemClock.after(delayMs, callback) };

export async function runJobManager(flags: JobManagerFlags): Promise<void> {
  const config = await readClusterConfig(flags, process.env);
  const log = (await openLog(flags.log, flags.logLevel, (line) => process.stderr.write(`${line}\n`))).child({ process: "jobmanager" });
  const dataflow = await loadJob(config.run.module, config.run.parameters);
  const token = tokenReader(config.tokenFile);
  const tls = config.tlsDir === undefined ? undefined : TlsFiles.open(config.tlsDir, log);
  const { store: lease, times } = await openLease(config, dataflow.name);
  const { promise: over, resolve: tellOver } = Promise.withResolvers<{ readonly outcome: Outcome; readonly reason: string | undefined }>();
  const late: { manager?: JobManager } = {};
  const control = new ClusterControl(() => late.manager, config, dataflow);
  const metrics = await openClusterMetrics(dataflow.name, control);
  control.useMetrics(metrics);
  const standby = config.standby ? new Standby(config.runNumber) : undefined;
  control.useStandby(standby);
  const rest = await startRestServer(control, { host: config.listen, port: flags.port, token });
  const stop = stopSignal();
  const restPort = new URL(rest.url).port;
  const manager = await JobManager.start({
    holder: config.instance,
    advertise: config.advertise,
    restUrl: () => `http://${config.advertise}:${restPort}`,
    rpc: { host: config.listen, port: flags.rpcPort, tls, token, heartbeats: config.heartbeats },
    lease,
    times,
    session: sessionParts(config, dataflow, log),
    restorePoint: ordered(config, standby, lease, stop.asked, log),
    over: (outcome, reason) => {
      log.info("job is over", { outcome, reason });
      process.send?.({ kind: "over", outcome, ...(reason === undefined ? {} : { reason }) });
      tellOver({ outcome, reason });
    },
    clock: steadyClock,
    random: Math.random,
    log,
  });
  late.manager = manager;
  log.info("job manager started", {
    job: dataflow.name,
    run: config.runNumber,
    rest: rest.url,
    rpc: `${config.advertise}:${manager.rpcPort}`,
  });
  process.send?.({ kind: "started", rest: rest.url });
  try {
    const first = await Promise.race([stop.asked, manager.failed, flags.exitAtEnd === true ? over : stop.asked]);
    if (typeof first === "object") {
      // Whoever waits for the end over REST hears of it.
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (first.outcome === "failed") process.exitCode = 1;
    }
  } finally {
    stop.release();
    await manager.stop();
    await rest.close();
  }
}

/** What to start from; undefined when this process is stopped before it is told. */
async function ordered(
  config: ClusterConfig,
  standby: Standby | undefined,
  lease: LeaseStore,
  stopped: Promise<unknown>,
  log: LeaderParts["log"],
): Promise<LeaderParts["restorePoint"] | undefined> {
  if (standby === undefined) return restorePoint(config.run.initialSavepoint);
  log.info("standing by", { run: config.runNumber });
  let over = false;
  const ended = stopped.then(() => {
    over = true;
    return undefined;
  });
  const watching = standby.watch(lease, log, () => over);
  const order = await Promise.race([standby.ordered, ended]);
  await watching;
  if (order === undefined) return undefined;
  log.info("told to start", { run: order.run, sinceRun: order.restore.sinceRun, location: order.restore.location ?? "none" });
  return { sinceRun: order.restore.sinceRun, location: order.restore.location };
}

function sessionParts(
  config: ClusterConfig,
  dataflow: LeaderParts["dataflow"],
  log: LeaderParts["log"],
): Omit<LeaderParts, "over" | "fenced" | "restorePoint"> {
  const { run, runNumber } = config;
  checkVertexParallelism(dataflow, run);
  const options: Omit<CoordinatorOptions, "epoch"> = {
    revision: String(runNumber),
    parallelism: run.parallelism,
    vertexParallelism: run.vertexParallelism,
    checkpointIntervalMs: run.checkpointIntervalMs,
    minPauseMs: run.minPauseMs,
    alignmentTimeoutMs: run.alignmentTimeoutMs,
    checkpointTimeoutMs: run.checkpointTimeoutMs,
    tolerableFailures: run.tolerableFailures,
    restarts: run.restarts,
    reconnectMs: 500,
    adoptMs: 10_000,
    deployTimeoutMs: 120_000,
    cancelTimeoutMs: 5000,
    allowNonRestoredState: run.allowNonRestoredState,
  };
  return {
    dataflow,
    graph: graphOf(dataflow, run),
    run: runNumber,
    storage: run.storage ?? "",
    storageOptions: { s3: run.s3 },
    retained: run.retained,
    merging: entryMerging,
    hasDeadLetterSink: run.deadLetters !== undefined,
    options,
    clock: steadyClock,
    random: Math.random,
    log,
  };
}

function restorePoint(initialSavepoint: string | undefined): LeaderParts["restorePoint"] {
  const { MILLRACE_RESTORE_SINCE_RUN: since, MILLRACE_RESTORE_LOCATION: location } = process.env;
  return { sinceRun: since === undefined ? 0 : Number(since), location: location ?? initialSavepoint };
}
