// Runs a streaming query over sources that a test fills, one batch per call, and shows what each batch wrote.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DataFrame } from "../../../dataframe/data-frame.ts";
import type { OutputMode } from "../../../operators/frame/frame-aggregate.ts";
import { type MemorySource, memorySource } from "../../../connectors/memory/index.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { Session } from "../../../dataframe/session.ts";
import type { QueryProgress } from "../progress.ts";
import type { QueryOptions } from "../query-options.ts";
import { StreamingQuery } from "../streaming-query.ts";

export interface HarnessOptions extends QueryOptions {
  readonly mode?: OutputMode;
}

/** A source of rows and the DataFrame that reads it as a stream. */
export interface TestInput<Row> {
  readonly source: MemorySource<Row>;
  readonly frame: DataFrame<Row>;
}

export function testInput<Row>(session: Session, name: string, schema: Schema<Row>): TestInput<Row> {
  const source = memorySource(schema, { bounded: false });
  return { source, frame: session.readStream(source, { name }) };
}

export class QueryHarness<Row> {
  readonly progress: QueryProgress[] = [];
  /** The rows that each batch wrote, by batch. */
  readonly batches: Row[][] = [];
  readonly folder: string;
  readonly #frame: DataFrame<Row>;
  readonly #options: HarnessOptions;
  #query: StreamingQuery | undefined;

  private constructor(frame: DataFrame<Row>, options: HarnessOptions, folder: string) {
    this.#frame = frame;
    this.#options = options;
    this.folder = folder;
  }

  static async start<Row>(frame: DataFrame<Row>, options: HarnessOptions = {}): Promise<QueryHarness<Row>> {
    const harness = new QueryHarness(frame, options, await mkdtemp(join(tmpdir(), "query-harness-")));
    try {
      await harness.restart();
    } catch (error) {
      await harness.close();
      throw error;
    }
    return harness;
  }

  /** Stops the query if it runs, and starts it again from its checkpoint. */
  async restart(frame: DataFrame<Row> = this.#frame, mode: OutputMode = this.#options.mode ?? "append"): Promise<void> {
    await this.#query?.stop();
    this.#query = undefined;
    const query = frame.writeStream(
      {
        kind: "foreachBatch",
        fn: ({ batchId, rows }) => {
          this.batches[batchId] = [...rows()];
        },
      },
      { name: "tested", mode },
    );
    this.#query = await StreamingQuery.start(query, {
      checkpointLocation: pathToFileURL(this.folder).href,
      onProgress: (progress) => this.progress.push(progress),
      ...this.#options,
    });
  }

  get query(): StreamingQuery {
    if (this.#query === undefined) throw new Error("the query was not started");
    return this.#query;
  }

  /** Pushes rows and runs until they and what they close are processed; returns what was written meanwhile. */
  async feed<T>(input: TestInput<T>, ...rows: readonly T[]): Promise<readonly Row[]> {
    for (const row of rows) input.source.push(row);
    return this.drain();
  }

  /** Runs until everything that is there is processed; returns what was written meanwhile. */
  async drain(): Promise<readonly Row[]> {
    const from = this.batches.length;
    await this.query.processAllAvailable();
    return this.batches.slice(from).flat();
  }

  get written(): readonly Row[] {
    return this.batches.flat();
  }

  /** Of the last batch that had input or output. */
  get lateRows(): number {
    return this.progress.reduce(
      (sum, { stateOperators }) => sum + stateOperators.reduce((all, one) => all + one.numRowsDroppedByWatermark, 0),
      0,
    );
  }

  async close(): Promise<void> {
    await this.#query?.stop().catch(() => {});
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Runs `test` with a session and closes what `open` made. */
export async function withHarness(
  test: (session: Session, open: <Row>(frame: DataFrame<Row>, options?: HarnessOptions) => Promise<QueryHarness<Row>>) => Promise<void>,
): Promise<void> {
  const opened: QueryHarness<unknown>[] = [];
  try {
    await test(new Session(), async (frame, options) => {
      const harness = await QueryHarness.start(frame, options);
      opened.push(harness as unknown as QueryHarness<unknown>);
      return harness;
    });
  } finally {
    for (const harness of opened) await harness.close();
  }
}
