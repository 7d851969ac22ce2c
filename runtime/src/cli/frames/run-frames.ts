// `millrace run` of a DataFrame program: a batch with a progress bar, or a stream until it is stopped.
import { formatDuration } from "../../base/duration.ts";
import type { Log } from "../../base/log.ts";
import type { FrameJob } from "../../dataframe/frame-job.ts";
import type { BatchQuery, StreamQuery } from "../../dataframe/query.ts";
import { type BatchProgress, runBatchQuery } from "../../drivers/microbatch/batch-query.ts";
import type { QueryRestore } from "../../drivers/microbatch/query-options.ts";
import { StreamingQuery } from "../../drivers/microbatch/streaming-query.ts";
import type { CommandFlags } from "../run/run-command.ts";
import { withTrigger } from "../run/batch-config.ts";
import type { RunConfig } from "../run/run-config.ts";
import { openStateBackend } from "../run/state-backend.ts";
import { onStopSignals } from "../run/stop-signals.ts";
import type { Terminal } from "../run/terminal.ts";
import { tokenReader } from "../rest/auth.ts";
import { startRestServer } from "../rest/rest-server.ts";
import { FramesControl } from "./frames-control.ts";
import { openFramesMetrics } from "./frames-metrics.ts";
import { framesOpenApiDocument } from "./frames-openapi.ts";
import { addFramesRoutes } from "./frames-routes.ts";
import { progressBar, queryLine } from "./progress-line.ts";

/** Resolves when the query has ended or was stopped; rejects when it failed. */
export async function runFrames(job: FrameJob, config: RunConfig, flags: CommandFlags, terminal: Terminal, log: Log): Promise<void> {
  const query = job.build(config.parameters);
  if (query.kind === "batch") return runBatch(query, config, terminal, log);
  const { host, port, tokenFile } = flags;
  const { initialSavepoint } = config;
  const restore = initialSavepoint === undefined ? {} : { location: initialSavepoint };
  return runStream(withTrigger(query, config.batches), config, { host, port, tokenFile, run: 0, restore }, terminal, log);
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

/** Where a query answers, and as which run of it. */
export interface QueryServing {
  readonly host: string;
  readonly port: number;
  readonly tokenFile: string | undefined;
  readonly run: number;
  readonly restore: QueryRestore;
  /** Told at the end what `/v1/query` would answer. */
  readonly ended?: (query: object) => void;
}

export async function runStream(query: StreamQuery, config: RunConfig, serving: QueryServing, terminal: Terminal, log: Log): Promise<void> {
  const { render, observe } = await openFramesMetrics(query.name);
  const control = new FramesControl({ name: query.name, run: serving.run, config, metrics: render, executors: () => [] });
  const server = await startRestServer(control, {
    host: serving.host,
    port: serving.port,
    token: tokenReader(serving.tokenFile),
    more: { routes: (app) => addFramesRoutes(app, control), document: framesOpenApiDocument },
  });
  let stopSignals = (): void => {};
  try {
    const running = await StreamingQuery.start(query, {
      log,
      stateBackend: await openStateBackend(config),
      maxParallelism: config.maxParallelism,
      retained: config.retained,
      storageOptions: { s3: config.s3 },
      ...config.batches.input,
      run: serving.run,
      restore: serving.restore,
      allowNonRestoredState: config.allowNonRestoredState,
      ...(config.storage === undefined ? {} : { checkpointLocation: config.storage }),
      onProgress: (progress) => {
        observe(progress);
        log.debug("progress", { progress });
        terminal.live(queryLine(progress, terminal.columns));
      },
    });
    control.use(running);
    stopSignals = onStopSignals(() => {
      const mode = config.batches.stopMode ?? "batch";
      log.info(mode === "batch" ? "stopping behind the batch under way" : "giving up the batch under way", {});
      running.stop(mode).catch((error: unknown) => log.error("stop failed", { reason: String(error) }));
    });
    log.info("query running", {
      query: query.name,
      mode: query.mode,
      storage: config.storage ?? "none",
      restoredFrom: running.restoredFrom ?? "nothing",
      rest: server.url,
    });
    const ended = await running.done;
    terminal.end();
    log.info(`query ${ended}`, { lastBatchId: running.lastBatchId });
  } finally {
    terminal.end();
    stopSignals();
    serving.ended?.(control.query());
    await server.close();
  }
}
