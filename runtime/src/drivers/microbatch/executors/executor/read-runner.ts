// Read tasks of an executor, one at a time: records into a kernel of its own, and from there into what others need of them.
import { join } from "node:path";
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import { memoryBackend } from "../../../../state/memory/memory-backend.ts";
import { Kernel, type KernelOptions } from "../../kernel/kernel.ts";
import type { TableLoader } from "../../kernel/table-loader.ts";
import type { SourceRange } from "../../log/batch-log.ts";
import { OperatorRunner } from "../../run/operator-runner.ts";
import { SourceFeed } from "../../run/source-feed.ts";
import type { SplitReader } from "../../run/split-reader.ts";
import { StageRunner } from "../../run/stage-runner.ts";
import type { BatchStages, TableStage } from "../../stages/stage.ts";
import type { Distribution } from "../distribution.ts";
import { finiteOrNull, type ReadResult, type ReadTask } from "../messages.ts";
import { RowFrames } from "../row-frames.ts";
import type { OutputParts } from "./output-store.ts";

export interface ReadRunnerParts {
  readonly queryName: string;
  readonly stages: BatchStages;
  readonly distribution: Distribution;
  readonly maxParallelism: number;
  readonly kernel: KernelOptions;
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class ReadRunner {
  readonly #parts: ReadRunnerParts;
  readonly #kernel: Kernel;
  readonly #runner: StageRunner;
  readonly #operators: OperatorRunner;

  private constructor(parts: ReadRunnerParts, kernel: Kernel, runner: StageRunner, operators: OperatorRunner) {
    this.#parts = parts;
    this.#kernel = kernel;
    this.#runner = runner;
    this.#operators = operators;
  }

  /** Opens a kernel and reads the inputs that are no streams. */
  static async open(parts: ReadRunnerParts): Promise<ReadRunner> {
    const { stages, maxParallelism, directory, clock, log, queryName } = parts;
    const kernel = await Kernel.open({ ...parts.kernel, directory: join(directory, "kernel") });
    try {
      const operators = await OperatorRunner.open(
        stages.operators.filter(({ streaming }) => !streaming),
        {
          ...{ maxParallelism, clock, log, restored: undefined, watermarkMs: -Infinity },
          stateBackend: memoryBackend(),
          workDirectory: join(directory, "static"),
        },
      );
      const runner = await StageRunner.open(kernel, stages, operators);
      for (const table of stages.tables) {
        if (table.rows.kind !== "scan" || table.streaming) continue;
        const feed = await SourceFeed.open(
          { scan: table.rows, table: runner.loaderOf(table), jobName: queryName, clock, log, bounded: true, timeColumns: [] },
          undefined,
        );
        try {
          await feed.poll(Infinity, Infinity);
        } finally {
          await feed.close();
        }
      }
      return new ReadRunner(parts, kernel, runner, operators);
    } catch (error) {
      kernel.close();
      throw error;
    }
  }

  async run(task: ReadTask, reader: SplitReader): Promise<{ readonly result: Omit<ReadResult, "output">; readonly parts: OutputParts }> {
    const { distribution } = this.#parts;
    const { scan } = task.group;
    const malformedBefore = reader.malformed;
    await this.#emptyTables(scan);
    const table = this.#runner.loaderOf(this.#tableOf(scan));
    const { range, records } = await read(task, reader, table);
    const lags = reader.lags();
    const parts = new Map<string, readonly ArrayBuffer[]>();
    const latestSqlMs: Record<string, number | null> = {};
    if (records > 0) {
      this.#runner.begin(-Infinity);
      for (const channel of distribution.channels) {
        if (!channel.scans.has(scan)) continue;
        const { target, stage, name } = channel;
        const frames = new RowFrames(stage.schema, target?.operator.keys[target.input], task.partitions, this.#parts.maxParallelism);
        await this.#runner.rows(stage, (batch) => frames.take(batch));
        frames.end().forEach((part, partition) => parts.set(`${name}/${partition}`, part));
      }
      for (const { sql, scans } of distribution.watermarkSql) {
        if (!scans.has(scan)) continue;
        const tables = this.#parts.stages.watermarks.flatMap(({ from }) => (from.kind === "sql" && from.sql === sql ? from.tables : []));
        latestSqlMs[sql] = finiteOrNull(await this.#runner.latestMs(sql, tables));
      }
    }
    const latestMs = Object.fromEntries([...reader.latestMs].map(([name, ms]) => [name, records === 0 ? null : finiteOrNull(ms)]));
    const result = {
      kind: "read" as const,
      ...{ range, records, latestMs, latestSqlMs },
      finished: reader.finished.splice(0),
      lags: lags === undefined ? null : Object.fromEntries(lags),
      malformed: reader.malformed - malformedBefore,
    };
    return { result, parts };
  }

  // Records of other sources are other tasks': here their tables are empty.
  async #emptyTables(scan: string): Promise<void> {
    for (const table of this.#parts.stages.tables) {
      if (table.rows.kind !== "scan" || !table.streaming || table.rows.uid === scan) continue;
      const loader = this.#runner.loaderOf(table);
      await loader.begin();
      loader.end();
    }
  }

  #tableOf(scan: string): TableStage {
    const found = this.#parts.stages.tables.find(({ rows }) => rows.kind === "scan" && rows.uid === scan);
    if (found === undefined) throw new Error(`assertion failed: source ${scan} has no table`);
    return found;
  }

  async close(): Promise<void> {
    await this.#operators.close(this.#parts.log);
    this.#kernel.close();
  }
}

async function read(
  { work, group }: ReadTask,
  reader: SplitReader,
  table: TableLoader,
): Promise<{ readonly range: SourceRange; readonly records: number }> {
  if (work.kind === "replay") {
    const records = await reader.replay(table, group.splits, work.counts);
    return { range: { from: group.splits, to: [], counts: work.counts }, records };
  }
  const { maxRecords, quotas, maxMs } = work;
  return reader.poll(table, { maxRecords: maxRecords ?? Infinity, maxMs, ...(quotas === null ? {} : { quotas }) });
}
