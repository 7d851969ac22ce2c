// Runs one job in this process: puts the parts together, shows the status, and ends in order.
import { tmpdir } from "node:os";
import { systemClock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import type { Log } from "../../base/log.ts";
import { makeWorkFolder } from "../../drivers/work-folder.ts";
import { Supervisor } from "../../drivers/continuous/supervisor.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { jobSnapshots } from "../../drivers/continuous/job-snapshots.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { openDeadLetterSink } from "./dead-letter-sink.ts";
import { openMetrics } from "./job-metrics.ts";
import { isFrameJob } from "../../dataframe/frame-job.ts";
import { loadExport, loadJob } from "./load-job.ts";
import { openLog } from "./logging.ts";
import { tokenReader } from "../rest/auth.ts";
import { startRestServer } from "../rest/rest-server.ts";
import { ProcessControl } from "./process-control.ts";
import type { CommandFlags } from "./run-command.ts";
import { readRunConfig } from "./read-config.ts";
import type { RunConfig } from "./run-config.ts";
import { statusFigures, statusLine } from "./status-line.ts";
import { onStopSignals } from "./stop-signals.ts";
import { keyedInstances, openStateBackend } from "./state-backend.ts";
import { type Terminal, openTerminal } from "./terminal.ts";
import { checkVertexParallelism } from "./vertex-parallelism.ts";

const statusIntervalMs = 1000;

/** Resolves when the job has ended or was stopped; rejects when it failed. */
export async function runInProcess(module: string | undefined, flags: CommandFlags): Promise<void> {
  const config = await readRunConfig(module, flags);
  const terminal = openTerminal(process.stderr, flags.status && flags.log === "text");
  const log = await openLog(flags.log, flags.logLevel, (line) => terminal.print(line));
  const exported = await loadExport(config.module);
  if (isFrameJob(exported)) {
    const { runFrames } = await import("../frames/run-frames.ts");
    return runFrames(exported, config, flags, terminal, log);
  }
  const dataflow = await loadJob(config.module, config.parameters);
  warnOfDerivedUids(dataflow, log);
  if (config.batches.wanted === true) {
    const { batchServing, runBatchJob } = await import("../frames/run-batch-job.ts");
    await runBatchJob(dataflow, config, batchServing(config, flags), terminal, log);
    return;
  }
  const work = await makeWorkFolder(tmpdir(), log);
  try {
    await runDataflow(config, dataflow, work.path, flags, terminal, log);
  } finally {
    await work.remove();
  }
}

async function runDataflow(
  config: RunConfig,
  dataflow: Dataflow,
  directory: string,
  flags: CommandFlags,
  terminal: Terminal,
  log: Log,
): Promise<void> {
  const supervisor = await supervise(config, dataflow, directory, log);
  const metrics = await openMetrics(
    dataflow.name,
    () => supervisor.status().run ?? undefined,
    () => supervisor.status().restarts,
  );
  const server = await startRestServer(new ProcessControl(supervisor, config, metrics), {
    host: flags.host,
    port: flags.port,
    token: tokenReader(flags.tokenFile),
  });
  log.info("job starting", {
    job: dataflow.name,
    parallelism: config.parallelism,
    state: config.backend,
    storage: config.storage ?? "none",
    rest: server.url,
  });
  const stopSignals = onStopSignals(() => {
    log.info("stopping with a last checkpoint", {});
    supervisor.stop().catch((error: unknown) => log.error("stop failed", { reason: String(error) }));
  });
  const stopStatus = showStatus(supervisor, terminal, dataflow.name);
  const startedMs = performance.now();
  try {
    const outcome = await supervisor.run();
    stopStatus();
    const status = supervisor.status();
    const records = status.run === null ? 0 : statusFigures(status.run, undefined, 0, Date.now()).records;
    log.info(outcome === "ended" ? "job finished" : `job ${outcome}`, {
      records,
      took: formatDuration(performance.now() - startedMs),
      checkpoint: supervisor.checkpoints().findLast((record) => record.phase === "completed")?.location,
    });
  } finally {
    stopStatus();
    stopSignals();
    await server.close();
  }
}

async function supervise(config: RunConfig, dataflow: Dataflow, directory: string, log: Log): Promise<Supervisor> {
  checkVertexParallelism(dataflow, config);
  const deadLetterSink = await openDeadLetterSink(config.deadLetters);
  const stateBackend = await openStateBackend(config, keyedInstances(dataflow, config));
  const checkpoints = {
    intervalMs: config.checkpointIntervalMs,
    minPauseMs: config.minPauseMs,
    tolerableFailures: config.tolerableFailures,
    timeoutMs: config.checkpointTimeoutMs,
  };
  return new Supervisor({
    jobName: dataflow.name,
    dataflow,
    parallelism: config.parallelism,
    vertexParallelism: config.vertexParallelism,
    maxParallelism: config.maxParallelism,
    clock: systemClock,
    log,
    stateBackend,
    directory,
    checkpointIntervalMs: config.checkpointIntervalMs,
    bufferBytes: config.bufferBytes,
    badRows: { onBadRecord: config.onBadRecord, maxPerMinute: config.maxBadPerMinute },
    ...(deadLetterSink === undefined ? {} : { deadLetterSink }),
    checkpoints,
    restarts: config.restarts,
    begin: jobSnapshots({
      storage: config.storage,
      storageOptions: { s3: config.s3 },
      dataflow,
      maxParallelism: config.maxParallelism,
      retained: config.retained,
      initialSavepoint: config.initialSavepoint,
      allowNonRestoredState: config.allowNonRestoredState,
      merging: entryMerging,
      hasDeadLetterSink: deadLetterSink !== undefined,
      log,
      clock: systemClock,
    }),
    random: Math.random,
  });
}

function warnOfDerivedUids(dataflow: Dataflow, log: Log): void {
  const derived = dataflow.nodes.filter((node) => node.stateful && node.uidDerived).map((node) => node.uid);
  if (derived.length > 0)
    log.warn("operators with state have no uid of their own: their state is lost when the job changes", { uids: derived });
}

function showStatus(supervisor: Supervisor, terminal: Terminal, name: string): () => void {
  let before = supervisor.status().run ?? undefined;
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const status = supervisor.status();
    if (status.run !== null && terminal.isLive) {
      terminal.live(statusLine(name, statusFigures(status.run, before, nowMs - beforeMs, Date.now()), terminal.columns));
    }
    before = status.run ?? undefined;
    beforeMs = nowMs;
  }, statusIntervalMs);
  return () => {
    clearInterval(timer);
    terminal.end();
  };
}
