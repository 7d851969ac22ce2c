// A query over bounded input: the same stages as a stream's, once, with all input in one batch and event time at its end.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { analyze } from "../../dataframe/analysis/analyzer.ts";
import type { BatchQuery } from "../../dataframe/query.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { Kernel } from "./kernel/kernel.ts";
import type { QueryOptions } from "./query-options.ts";
import { OperatorRunner } from "./run/operator-runner.ts";
import { openSink } from "./run/sink-runner.ts";
import { SourceFeed } from "./run/source-feed.ts";
import { StageRunner } from "./run/stage-runner.ts";
import { makeWorkFolder } from "../work-folder.ts";
import { buildStages } from "./stages/build-stages.ts";

/** How far a batch query has come. */
export interface BatchProgress {
  readonly phase: "reading" | "computing" | "writing" | "done";
  readonly inputRows: number;
  readonly outputRows: number;
  /** Of the phase, 0 to 1; undefined where it is not known. */
  readonly fraction: number | undefined;
}

export interface BatchResult {
  readonly inputRows: number;
  readonly outputRows: number;
  readonly durationMs: number;
}

export type BatchQueryOptions = Pick<QueryOptions, "clock" | "log" | "stateBackend" | "maxParallelism" | "kernel"> & {
  readonly onBatchProgress?: (progress: BatchProgress) => void;
};

/** Records that are read between two looks at the progress. */
const readRecords = 100_000;

/** Runs the query to its end. Rejects with why it could not; its sink shows nothing then. */
export async function runBatchQuery(query: BatchQuery, options: BatchQueryOptions = {}): Promise<BatchResult> {
  const { clock = systemClock, maxParallelism = 128 } = options;
  const log = (options.log ?? silentLog).child({ query: query.name });
  const startedMs = performance.now();
  const opened: (() => Promise<void> | void)[] = [];
  try {
    const folder = await makeWorkFolder(undefined, log);
    opened.push(() => folder.remove());
    const work = folder.path;
    const kernel = await Kernel.open({ directory: join(work, "kernel"), threads: 2, ...options.kernel });
    opened.push(() => kernel.close());
    const plan = await analyze(query.relation, kernel);
    if (plan.streaming) {
      throw new MillraceError(
        "DATAFRAME_UNSUPPORTED",
        "write",
        "is for inputs that end, and one of this query is a stream",
        "use writeStream, or read the input with read",
      );
    }
    const stages = buildStages(plan, "append");
    const parts = {
      maxParallelism,
      stateBackend: options.stateBackend ?? memoryBackend(),
      workDirectory: join(work, "state"),
      clock,
      log,
      restored: undefined,
      watermarkMs: -Infinity,
    };
    const operators = await OperatorRunner.open(stages.operators, parts);
    opened.push(() => operators.close(log));
    const runner = await StageRunner.open(kernel, stages, operators);
    let inputRows = 0;
    let outputRows = 0;
    const tell = (phase: BatchProgress["phase"], fraction: number | undefined): void =>
      options.onBatchProgress?.({ phase, inputRows, outputRows, fraction });
    for (const [index, table] of stages.tables.entries()) {
      if (table.rows.kind !== "scan") continue;
      const feed = await SourceFeed.open(
        { scan: table.rows, table: runner.loaderOf(table), jobName: query.name, clock, log, bounded: true, timeColumns: [] },
        undefined,
      );
      try {
        const before = inputRows;
        inputRows =
          before +
          (
            await feed.poll(Infinity, Infinity, readRecords, (records) => {
              inputRows = before + records;
              tell("reading", fractionOf(feed.lag(), records, index, stages.tables.length));
            })
          ).records;
      } finally {
        await feed.close();
      }
    }
    const sink = await openSink(query.sink, {
      queryName: query.name,
      queryId: randomUUID(),
      schema: stages.result.schema,
      clock,
      log,
      triggerMs: 10_000,
      restored: undefined,
    });
    opened.push(() => sink.close());
    const ticking = setInterval(() => {
      const percent = kernel.progressPercent;
      tell("computing", percent < 0 ? undefined : percent / 100);
    }, 200);
    try {
      await runner.run(endOfTime, (batch) => {
        outputRows += batch.count;
        return sink.write(batch);
      });
    } finally {
      clearInterval(ticking);
    }
    tell("writing", undefined);
    await sink.prepare(0);
    await sink.commit(0);
    tell("done", 1);
    return { inputRows, outputRows, durationMs: performance.now() - startedMs };
  } finally {
    for (const close of opened.splice(0).reverse()) await close();
  }
}

function fractionOf(lag: number | undefined, records: number, index: number, tables: number): number | undefined {
  if (lag === undefined) return undefined;
  return (index + records / Math.max(1, records + lag)) / tables;
}
