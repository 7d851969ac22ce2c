// A job of the dataflow API in batches: `millrace run --trigger`, a MicroBatchJob's manifest, `millrace driver`.
import { MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { BatchJob } from "../../drivers/microbatch/dataflow/batch-job.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { openDeadLetterSink } from "../run/dead-letter-sink.ts";
import type { CommandFlags } from "../run/run-command.ts";
import type { RunConfig } from "../run/run-config.ts";
import { keyedInstances, openStateBackend } from "../run/state-backend.ts";
import type { Terminal } from "../run/terminal.ts";
import { type QueryServing, serveBatches } from "./serve-batches.ts";

/** How a job answers that was started by `millrace run`. */
export function batchServing({ initialSavepoint }: RunConfig, { host, port, tokenFile, executors }: CommandFlags): QueryServing {
  if (executors !== undefined) throw noExecutors("--executors");
  return {
    host,
    port,
    tokenFile,
    run: 0,
    restore: initialSavepoint === undefined ? {} : { location: initialSavepoint },
    executors: undefined,
  };
}

/** Refuses what would have a job's batches computed elsewhere. */
export function noExecutors(option: string): MillraceError {
  return new MillraceError(
    "OPTION_INVALID",
    option,
    "is for DataFrame queries; a job of the dataflow API is computed by its driver",
    "leave it out, or make it 0; for more than one process make the job a StreamJob",
  );
}

/** Resolves with how the job ended; rejects when it failed. */
export async function runBatchJob(
  dataflow: Dataflow,
  config: RunConfig,
  serving: QueryServing,
  terminal: Terminal,
  log: Log,
): Promise<"finished" | "stopped"> {
  const trigger = config.batches.trigger ?? { kind: "processingTime", intervalMs: 0 };
  if (trigger.kind === "continuous") {
    throw new MillraceError(
      "OPTION_INVALID",
      "trigger continuous",
      `is not for a driver of batches, and job ${dataflow.name} needs none then`,
      "make it a StreamJob with the same checkpoints.storage, which goes on from the same state",
    );
  }
  if (serving.executors !== undefined) throw noExecutors("executors.max");
  // Half of what may be on its way is held for the batch, the other half is that of sources and sinks.
  const bufferBytes = Math.floor(config.bufferBytes / 2);
  return serveBatches(dataflow.name, config, serving, terminal, log, async ({ onProgress }) => {
    const deadLetterSink = await openDeadLetterSink(config.deadLetters);
    const running = await BatchJob.start({
      ...{ dataflow, trigger, log, bufferBytes, onProgress, run: serving.run, restore: serving.restore },
      parallelism: config.parallelism,
      maxParallelism: config.maxParallelism,
      stateBackend: await openStateBackend(config, keyedInstances(dataflow, config)),
      retained: config.retained,
      storageOptions: { s3: config.s3 },
      tolerableFailures: config.tolerableFailures,
      checkpointTimeoutMs: config.checkpointTimeoutMs,
      allowNonRestoredState: config.allowNonRestoredState,
      badRows: { onBadRecord: config.onBadRecord, maxPerMinute: config.maxBadPerMinute },
      ...(deadLetterSink === undefined ? {} : { deadLetterSink }),
      maxBytesPerTrigger: config.batches.maxBytesPerTrigger ?? bufferBytes,
      ...config.batches.input,
      ...(config.storage === undefined ? {} : { checkpointLocation: config.storage }),
    });
    return { running, about: { trigger: trigger.kind, parallelism: config.parallelism } };
  });
}
