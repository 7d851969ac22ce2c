// Where a batch's rows go: connectors of the core with their two phases, sinks that go by the batch's id, functions of the user's own.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import { rowObject, rowView } from "../../../core/batch/row-view.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { BatchSink, BatchSinkWriter, ForeachBatchSink, ForeachSink, FrameSink } from "../../../dataframe/query.ts";

/** The order of calls for a batch: `write`*, `prepare` -> its result is stored with the batch's state -> `commit`. */
export interface SinkRunner {
  write(batch: Batch): Promise<void> | void;
  /** What `commit` needs after a restart; sinks that go by the batch's id have done their work when this settles. */
  prepare(batchId: number): Promise<Uint8Array>;
  commit(batchId: number): Promise<void>;
  close(): Promise<void>;
}

export interface SinkParts {
  readonly queryName: string;
  readonly queryId: string;
  readonly schema: Schema;
  readonly clock: Clock;
  readonly log: Log;
  readonly triggerMs: number;
  /** What the restored checkpoint holds; its output is committed before this opens. */
  readonly restored: { readonly checkpointId: number; readonly committed: boolean; readonly states: readonly Uint8Array[] } | undefined;
}

/** The uid of a query's sink in snapshots. */
export const sinkUid = "sink";

/** A checkpoint's id is its batch's and one: ids of checkpoints begin at 1, those of batches at 0. */
export function checkpointIdOf(batchId: number): number {
  return batchId + 1;
}

export function isCoreSink(sink: FrameSink<never>): sink is Sink {
  return !("kind" in sink);
}

/** How plans and progress call a sink. */
export function sinkName(sink: FrameSink<never>): string {
  return isCoreSink(sink) ? sink.connector : sink.kind === "batch" ? sink.connector : sink.kind;
}

export async function openSink(sink: FrameSink<never>, parts: SinkParts): Promise<SinkRunner> {
  if (isCoreSink(sink)) return CoreSinkRunner.open(sink, parts);
  switch (sink.kind) {
    case "batch":
      return BatchSinkRunner.open(sink, parts);
    case "foreachBatch":
      return new ForeachBatchRunner(sink as ForeachBatchSink, parts.schema);
    case "foreach":
      return new ForeachRunner(sink as ForeachSink, parts.schema);
  }
}

const nothing = new Uint8Array(0);

class CoreSinkRunner implements SinkRunner {
  readonly #writer: SinkWriter;

  private constructor(writer: SinkWriter) {
    this.#writer = writer;
  }

  static async open(sink: Sink, parts: SinkParts): Promise<CoreSinkRunner> {
    const { queryName, schema, clock, log, triggerMs, restored } = parts;
    const context = { jobName: queryName, uid: sinkUid, subtask: 0, parallelism: 1, clock, log: log.child({ uid: sinkUid }) };
    const writer = await sink.openWriter(
      { ...context, checkpointIntervalMs: triggerMs, ...(restored === undefined ? {} : { restored }) },
      schema,
    );
    return new CoreSinkRunner(writer);
  }

  write(batch: Batch): Promise<void> | void {
    this.#writer.write(batch);
    return this.#writer.ready();
  }

  prepare(batchId: number): Promise<Uint8Array> {
    return this.#writer.prepare(checkpointIdOf(batchId));
  }

  commit(batchId: number): Promise<void> {
    return this.#writer.commit(checkpointIdOf(batchId));
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

class BatchSinkRunner implements SinkRunner {
  readonly #writer: BatchSinkWriter;

  private constructor(writer: BatchSinkWriter) {
    this.#writer = writer;
  }

  static async open(sink: BatchSink, { queryName, queryId, schema }: SinkParts): Promise<BatchSinkRunner> {
    return new BatchSinkRunner(await sink.open({ queryName, queryId, fields: schema }));
  }

  write(batch: Batch): void {
    this.#writer.write(batch);
  }

  async prepare(batchId: number): Promise<Uint8Array> {
    await this.#writer.finish(batchId);
    return nothing;
  }

  async commit(): Promise<void> {}

  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** Collects the rows of a batch as objects. */
abstract class ObjectRunner implements SinkRunner {
  protected rows: unknown[] = [];
  readonly #view: ReturnType<typeof rowView<object>>;

  constructor(schema: Schema) {
    this.#view = rowView(schema as Schema<object>);
  }

  write(batch: Batch): void {
    for (let k = 0; k < batch.count; k++) this.rows.push(rowObject(batch, batch.selection[k] as number, this.#view));
  }

  async prepare(batchId: number): Promise<Uint8Array> {
    const { rows } = this;
    this.rows = [];
    await this.take(batchId, rows);
    return nothing;
  }

  protected abstract take(batchId: number, rows: readonly unknown[]): Promise<void>;

  async commit(): Promise<void> {}

  async close(): Promise<void> {}
}

class ForeachBatchRunner extends ObjectRunner {
  readonly #sink: ForeachBatchSink;

  constructor(sink: ForeachBatchSink, schema: Schema) {
    super(schema);
    this.#sink = sink;
  }

  protected async take(batchId: number, rows: readonly unknown[]): Promise<void> {
    await this.#sink.fn({ batchId, rows: () => rows });
  }
}

class ForeachRunner extends ObjectRunner {
  readonly #sink: ForeachSink;

  constructor(sink: ForeachSink, schema: Schema) {
    super(schema);
    this.#sink = sink;
  }

  protected async take(batchId: number, rows: readonly unknown[]): Promise<void> {
    const { open, process, close } = this.#sink;
    await open?.(batchId);
    try {
      for (const row of rows) await process(row);
    } catch (error) {
      await close?.(error);
      throw error;
    }
    await close?.(undefined);
  }
}
