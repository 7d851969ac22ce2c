// `millrace run` of a DataFrame program: a batch with a progress bar, or a stream until it is stopped.
import { formatDuration } from "../../base/duration.ts";
import type { Log } from "../../base/log.ts";
import type { FrameJob } from "../../dataframe/frame-job.ts";
import type { BatchQuery, StreamQuery } from "../../dataframe/query.ts";
import { type BatchProgress, runBatchQuery } from "../../drivers/microbatch/batch-query.ts";
import { StreamingQuery } from "../../drivers/microbatch/streaming-query.ts";
import type { CommandFlags } from "../run/run-command.ts";
import type { RunConfig } from "../run/run-config.ts";
import { openStateBackend } from "../run/state-backend.ts";
import { onStopSignals } from "../run/stop-signals.ts";
import type { Terminal } from "../run/terminal.ts";
import { openFramesMetrics } from "./frames-metrics.ts";
import { startFramesServer } from "./frames-server.ts";
import { progressBar, queryLine } from "./progress-line.ts";

/** Resolves when the query has ended or was stopped; rejects when it failed. */
export async function runFrames(job: FrameJob, config: RunConfig, flags: CommandFlags, terminal: Terminal, log: Log): Promise<void> {
  const query = job.build(config.parameters);
  return query.kind === "batch" ? runBatch(query, config, terminal, log) : runStream(query, config, flags, terminal, log);
}

async function runBatch(query: BatchQuery, config: RunConfig, terminal: Terminal, log: Log): Promise<void> {
  const show = (progress: BatchProgress): void => terminal.live(progressBar(query.name, progress, terminal.columns));
  try {
    const result = await runBatchQuery(query, {
      log,
      stateBackend: await openStateBackend(config),
      maxParallelism: config.maxParallelism,
      onBatchProgress: show,
    });
    terminal.end();
    log.info("batch finished", { inputRows: result.inputRows, outputRows: result.outputRows, took: formatDuration(result.durationMs) });
  } finally {
    terminal.end();
  }
}

async function runStream(query: StreamQuery, config: RunConfig, flags: CommandFlags, terminal: Terminal, log: Log): Promise<void> {
  const metrics = await openFramesMetrics(query.name);
  const running = await StreamingQuery.start(query, {
    log,
    stateBackend: await openStateBackend(config),
    maxParallelism: config.maxParallelism,
    retained: config.retained,
    storageOptions: { s3: config.s3 },
    ...(config.storage === undefined ? {} : { checkpointLocation: config.storage }),
    onProgress: (progress) => {
      metrics.observe(progress);
      log.debug("progress", { progress });
      terminal.live(queryLine(progress, terminal.columns));
    },
  });
  const server = await startFramesServer(running, metrics, { host: flags.host, port: flags.port });
  const stopSignals = onStopSignals(() => {
    log.info("stopping behind the batch under way", {});
    running.stop().catch((error: unknown) => log.error("stop failed", { reason: String(error) }));
  });
  log.info("query running", {
    query: query.name,
    mode: query.mode,
    storage: config.storage ?? "none",
    restoredFrom: running.restoredFrom ?? "nothing",
    rest: server.url,
  });
  try {
    const ended = await running.done;
    terminal.end();
    log.info(`query ${ended}`, { lastBatchId: running.lastBatchId });
  } finally {
    terminal.end();
    stopSignals();
    await server.close();
  }
}
