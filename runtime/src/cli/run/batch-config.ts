// What the manifest of a MicroBatchJob says of batches and executors, for the driver.
import type { MicroBatchJobSpec } from "../../api/index.ts";
import { parseDuration } from "../../base/duration.ts";
import { parseSize } from "../../base/size.ts";
import type { StreamQuery, Trigger } from "../../dataframe/query.ts";
import type { QueryOptions } from "../../drivers/microbatch/query-options.ts";

export interface BatchConfig {
  /** A MicroBatchJob's manifest or a trigger was given: a job of the dataflow API runs in batches, which otherwise runs record by record. */
  readonly wanted?: boolean;
  /** Instead of the query's own. */
  readonly trigger?: Trigger;
  readonly input?: Pick<QueryOptions, "maxRecordsPerTrigger" | "backpressure">;
  /** The most bytes of a batch, of a job of the dataflow API. */
  readonly maxBytesPerTrigger?: number;
  readonly stopMode?: "batch" | "immediate";
  /** The most executors that there will be. */
  readonly executors?: number;
  readonly slots?: number;
  readonly maxTaskAttempts?: number;
  /** Tasks that share what a batch takes of a source, at least. */
  readonly minPartitions?: number | undefined;
  readonly speculation?: boolean;
}

export function batchConfig({ trigger, input, stopMode, executors }: MicroBatchJobSpec): BatchConfig {
  return {
    wanted: true,
    ...(trigger === undefined ? {} : { trigger: triggerOf(trigger) }),
    ...(input?.maxBytesPerBatch === undefined ? {} : { maxBytesPerTrigger: parseSize(input.maxBytesPerBatch, "input.maxBytesPerBatch") }),
    input: {
      ...(input?.maxRecordsPerBatch === undefined ? {} : { maxRecordsPerTrigger: input.maxRecordsPerBatch }),
      backpressure: input?.backpressure ?? true,
    },
    executors: executors?.max ?? 0,
    slots: executors?.slots ?? 1,
    maxTaskAttempts: executors?.maxTaskAttempts ?? 4,
    minPartitions: input?.minPartitions,
    speculation: executors?.speculation ?? false,
    stopMode: stopMode === "immediate" ? "immediate" : "batch",
  };
}

/** The query with the manifest's trigger, where it has one. */
export function withTrigger(query: StreamQuery, { trigger }: BatchConfig): StreamQuery {
  return trigger === undefined ? query : { ...query, trigger };
}

/** What `--trigger` says: `available-now`, `once`, or the time between two batches. */
export function triggerFlag(text: string): BatchConfig {
  if (text === "available-now" || text === "once") return { wanted: true, trigger: triggerOf({ type: text }) };
  return { wanted: true, trigger: { kind: "processingTime", intervalMs: parseDuration(text, "--trigger") } };
}

function triggerOf({ type = "processing-time", interval }: NonNullable<MicroBatchJobSpec["trigger"]>): Trigger {
  const intervalMs = interval === undefined ? 0 : parseDuration(interval, "trigger.interval");
  switch (type) {
    case "processing-time":
      return { kind: "processingTime", intervalMs };
    case "available-now":
      return { kind: "availableNow" };
    case "once":
      return { kind: "once" };
    case "continuous":
      return { kind: "continuous", checkpointMs: intervalMs };
  }
}
