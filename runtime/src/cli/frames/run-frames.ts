// `millrace run` of a DataFrame program: a batch with a progress bar, or a stream until it is stopped.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { formatDuration } from "../../base/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { FrameJob } from "../../dataframe/frame-job.ts";
import type { BatchQuery, StreamQuery } from "../../dataframe/query.ts";
import { type BatchProgress, runBatchQuery } from "../../drivers/microbatch/batch-query.ts";
import type { ExecutorOptions } from "../../drivers/microbatch/executors/driver/open-executors.ts";
import { makeWorkFolder } from "../../drivers/work-folder.ts";
import { heartbeatsOf, wholeNumber } from "../cluster/cluster-config.ts";
import { startLocalExecutors } from "./local-executors.ts";
import { StreamingQuery } from "../../drivers/microbatch/streaming-query.ts";
import type { CommandFlags } from "../run/run-command.ts";
import { withTrigger } from "../run/batch-config.ts";
import type { RunConfig } from "../run/run-config.ts";
import { openStateBackend } from "../run/state-backend.ts";
import type { Terminal } from "../run/terminal.ts";
import { tokenReader } from "../rest/auth.ts";
import { progressBar } from "./progress-line.ts";
import { type QueryServing, serveBatches } from "./serve-batches.ts";

/** Resolves when the query has ended or was stopped; rejects when it failed. */
export async function runFrames(job: FrameJob, config: RunConfig, flags: CommandFlags, terminal: Terminal, log: Log): Promise<void> {
  const query = job.build(config.parameters);
  if (query.kind === "batch") return runBatch(query, config, terminal, log);
  if (flags.executors !== undefined)
    return runOnExecutors(query, wholeNumber(flags.executors, "--executors"), config, flags, terminal, log);
  const { host, port, tokenFile } = flags;
  const { initialSavepoint } = config;
  const restore = initialSavepoint === undefined ? {} : { location: initialSavepoint };
  const executors = undefined;
  await runStream(withTrigger(query, config.batches), config, { host, port, tokenFile, run: 0, restore, executors }, terminal, log);
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

async function runOnExecutors(
  query: StreamQuery,
  count: number,
  given: RunConfig,
  flags: CommandFlags,
  terminal: Terminal,
  log: Log,
): Promise<void> {
  const folder = await makeWorkFolder(undefined, log);
  // Each executor has one part of every operator's state for each of its slots, unless somebody says otherwise.
  const parallelism = given.parallelismGiven ?? count * Number(flags.slots ?? "1");
  const config = { ...given, parallelism, storage: given.storage ?? pathToFileURL(join(folder.path, "checkpoint")).href };
  const { host, port, tokenFile, heartbeatTimeout } = flags;
  const token = tokenReader(tokenFile);
  let stopExecutors = async (): Promise<void> => {};
  const broken = new AbortController();
  try {
    const executors: ExecutorOptions = {
      ...{ host, port: 0, partitions: parallelism, heartbeats: heartbeatsOf(heartbeatTimeout) },
      ...(token === undefined ? {} : { token }),
      onListening: (listening) => {
        stopExecutors = startLocalExecutors({
          ...{ count, driver: `${host}:${listening}`, module: flags.file === undefined ? config.module : undefined, flags, config },
          ...{ storage: config.storage, directory: folder.path, terminal, log },
          failed: (name, code) =>
            broken.abort(new MillraceError("PROCESS_FAILED", name, `ended with exit code ${code}`, "see what it said above")),
        });
      },
    };
    const restore = config.initialSavepoint === undefined ? {} : { location: config.initialSavepoint };
    const serving = { host, port, tokenFile, run: 0, restore, executors, givenUp: broken.signal };
    if ((await runStream(withTrigger(query, config.batches), config, serving, terminal, log)) === "stopped") broken.signal.throwIfAborted();
  } finally {
    await stopExecutors();
    await folder.remove();
  }
}

/** Resolves with how the query ended; rejects when it failed. */
export async function runStream(
  query: StreamQuery,
  config: RunConfig,
  serving: QueryServing,
  terminal: Terminal,
  log: Log,
): Promise<"finished" | "stopped"> {
  return serveBatches(query.name, config, serving, terminal, log, async ({ onProgress, onPool }) => {
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
      ...(serving.executors === undefined
        ? {}
        : {
            executors: {
              minPartitions: config.batches.minPartitions,
              maxTaskAttempts: config.batches.maxTaskAttempts ?? 4,
              speculation: config.batches.speculation ?? false,
              ...serving.executors,
              onPool,
            },
          }),
      onProgress,
    });
    return { running, about: { mode: query.mode } };
  });
}
