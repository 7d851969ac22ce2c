// Runs the stages of one batch: fills tables, runs queries over them, and passes rows through functions and operators to the result.
import { Batch, type Rows } from "../../../core/batch/batch.ts";
import { Column } from "../../../core/batch/column.ts";
import { endOfTime } from "../../../core/time/end-of-time.ts";
import { readValue, writeValue } from "../../../operators/aggregate/scalar.ts";
import type { Kernel, KernelQuery } from "../kernel/kernel.ts";
import { allFields, type TableLoader } from "../kernel/table-loader.ts";
import type { BatchStages, ColumnsStage, OperatorStage, RowsStage, SqlStage, TableStage, UdfStage } from "../stages/stage.ts";
import { ColumnView } from "./column-view.ts";
import type { OperatorRunner } from "./operator-runner.ts";

/** Takes rows, which are valid during the call. */
export type TakeRows = (batch: Batch) => Promise<void> | void;

/** Stages whose rows are computed elsewhere. */
export interface RemoteStages {
  has(stage: RowsStage): boolean;
  /** Rows of the stage in this batch go to `take`. */
  run(stage: RowsStage, watermarkMs: number, take: TakeRows): Promise<void>;
  /** The latest time that a watermark's query found in the batch, ms; undefined where the query is not for elsewhere. */
  latestMs(sql: string): number | undefined;
}

export class StageRunner {
  readonly #kernel: Kernel;
  readonly #stages: BatchStages;
  readonly #operators: OperatorRunner;
  readonly #loaders: ReadonlyMap<TableStage, TableLoader>;
  readonly #queries = new Map<SqlStage, KernelQuery>();
  readonly #filled = new Set<TableStage>();
  readonly #remote: RemoteStages | undefined;
  #watermarkMs = -Infinity;

  private constructor(
    kernel: Kernel,
    stages: BatchStages,
    operators: OperatorRunner,
    loaders: ReadonlyMap<TableStage, TableLoader>,
    remote: RemoteStages | undefined,
  ) {
    this.#kernel = kernel;
    this.#stages = stages;
    this.#operators = operators;
    this.#loaders = loaders;
    this.#remote = remote;
  }

  static async open(kernel: Kernel, stages: BatchStages, operators: OperatorRunner, remote?: RemoteStages): Promise<StageRunner> {
    return new StageRunner(kernel, stages, operators, await createLoaders(kernel, stages), remote);
  }

  loaderOf(table: TableStage): TableLoader {
    const loader = this.#loaders.get(table);
    if (loader === undefined) throw new Error(`assertion failed: table ${table.name} has no loader`);
    return loader;
  }

  /** The tables of sources were filled; the rest of the batch follows. Rows of the result go to `take`. */
  async run(watermarkMs: number, take: TakeRows): Promise<void> {
    this.begin(watermarkMs);
    await this.rows(this.#stages.result, take);
  }

  /** The tables of sources were filled with another batch. */
  begin(watermarkMs: number): void {
    this.#watermarkMs = watermarkMs;
    this.#operators.begin();
    // Tables of inputs that are no streams stay as they were filled first.
    for (const table of this.#filled) if (table.streaming) this.#filled.delete(table);
  }

  /** The latest time that a watermark's query finds in the batch, ms. */
  async latestMs(sql: string, tables: readonly TableStage[]): Promise<number> {
    const elsewhere = this.#remote?.latestMs(sql);
    if (elsewhere !== undefined) return elsewhere;
    for (const table of tables) await this.#fill(table);
    return (await this.#kernel.number(sql)) ?? -Infinity;
  }

  /** Rows of one stage of the batch go to `take`. */
  async rows(stage: RowsStage, take: TakeRows): Promise<void> {
    if (this.#remote?.has(stage) === true) return this.#remote.run(stage, this.#watermarkMs, take);
    switch (stage.kind) {
      case "sql":
        for (const table of stage.tables) await this.#fill(table);
        return this.#queryOf(stage).run((rows) => take(new Batch(rows)));
      case "operator":
        return this.#operator(stage, take);
      case "columns":
        return this.#columns(stage, take);
      case "udf":
        return this.#udf(stage, take);
    }
  }

  async #fill(table: TableStage): Promise<void> {
    if (this.#filled.has(table) || table.rows.kind === "scan") return;
    this.#filled.add(table);
    const loader = this.loaderOf(table);
    await loader.begin();
    await this.rows(table.rows, (batch) => loader.add(batch));
    loader.end();
  }

  #queryOf(stage: SqlStage): KernelQuery {
    let query = this.#queries.get(stage);
    if (query === undefined) {
      query = this.#kernel.query(stage.sql, stage.schema, stage.timeField);
      this.#queries.set(stage, query);
    }
    return query;
  }

  async #operator(stage: OperatorStage, take: TakeRows): Promise<void> {
    // An operator emits synchronously; whoever takes its rows may ask for time between its inputs.
    let owed: Promise<void> | undefined;
    const enter = this.#operators.connect(stage, (batch) => {
      const taken = take(batch);
      if (taken !== undefined) owed = owed === undefined ? taken : Promise.all([owed, taken]).then(() => {});
    });
    for (const [index, input] of stage.inputs.entries()) {
      await this.rows(input, async (batch) => {
        enter(batch, index);
        await owed;
        owed = undefined;
      });
    }
    this.#operators.finish(stage, this.#watermarkOf(stage));
    await owed;
  }

  // State upstream that lives beyond the watermark may still give rows behind it: what follows waits as long.
  #watermarkOf(stage: OperatorStage): number {
    if (!stage.streaming) return endOfTime;
    return this.#watermarkMs === -Infinity ? -Infinity : this.#watermarkMs - heldMs(stage);
  }

  async #columns(stage: ColumnsStage, take: TakeRows): Promise<void> {
    const view = new ColumnView(stage.schema);
    const indexes = stage.from.map((name) => stage.input.schema.field(name).index);
    await this.rows(stage.input, ({ rows, selection, count }) => {
      indexes.forEach((from, to) => view.set(to, rows.column(from)));
      view.like(rows);
      return take(new Batch(view.rows, selection, count));
    });
  }

  async #udf(stage: UdfStage, take: TakeRows): Promise<void> {
    const view = new ColumnView(stage.schema);
    const { schema } = stage.input;
    await this.rows(stage.input, (batch) => {
      const { rows, selection, count } = batch;
      for (const { index, name } of schema.fields) view.set(stage.schema.field(name).index, rows.column(index));
      view.like(rows);
      for (const { as, udf, args } of stage.calls) {
        const columns = args.map((name) => valuesOf(schema.field(name), rows, selection, count));
        const results = udf.call(columns, count);
        const field = stage.schema.field(as);
        const column = new Column(field.column, rows.size);
        for (let k = 0; k < count; k++) writeValue(field.spec, column, selection[k] as number, results[k]);
        view.set(field.index, column);
      }
      return take(new Batch(view.rows, selection, count));
    });
  }
}

async function createLoaders(kernel: Kernel, stages: BatchStages): Promise<ReadonlyMap<TableStage, TableLoader>> {
  const loaders = new Map<TableStage, TableLoader>();
  for (const table of stages.tables) {
    const source = table.rows.kind === "scan" ? table.rows.plan.schema : table.rows.schema;
    const fields = table.rows.kind === "scan" ? table.rows.columns.map((name) => source.field(name)) : undefined;
    loaders.set(table, await kernel.table(table.name, fields?.map((field) => ({ field, index: field.index })) ?? allFields(source)));
  }
  return loaders;
}

function heldMs(stage: OperatorStage): number {
  const upstream = (rows: RowsStage): number => {
    switch (rows.kind) {
      case "operator":
        return heldMs(rows) + rows.holdsMs;
      case "columns":
      case "udf":
        return upstream(rows.input);
      case "sql":
        return Math.max(0, ...rows.tables.map((table) => (table.rows.kind === "scan" ? 0 : upstream(table.rows))));
    }
  };
  return Math.max(0, ...stage.inputs.map(upstream));
}

function valuesOf(field: Rows["schema"]["fields"][number], rows: Rows, selection: Int32Array, count: number): readonly unknown[] {
  const column = rows.column(field.index);
  const values: unknown[] = Array.from({ length: count });
  for (let k = 0; k < count; k++) {
    const row = selection[k] as number;
    values[k] = column.nulls !== null && column.nulls[row] !== 0 ? null : readValue(field.spec, column, row);
  }
  return values;
}
