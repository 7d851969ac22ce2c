// A sink that keeps rows in memory, with the same exactly-once protocol as a real one: what a test looks at.
import { MillraceError } from "../../base/errors.ts";
import { refuseUnknownOptions } from "../../base/options.ts";
import { type Batch, isRetraction, noTime, type RowKind } from "../../core/batch/batch.ts";
import { rowObject, rowView } from "../../core/batch/row-view.ts";
import type { ChangelogMode, Delivery, Sink, SinkContext, SinkWriter } from "../../core/ports/sink.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** A row as it was written. */
export interface WrittenRow<Row = unknown> {
  readonly row: Row;
  readonly kind: RowKind;
  /** Event time, ms since the epoch; `-Infinity` where the row has none. */
  readonly timeMs: number;
  readonly subtask: number;
}

export interface MemorySinkOptions {
  /** Default `exactly-once`: rows are seen once their checkpoint is committed. `at-least-once`: at once. */
  readonly delivery?: Delivery;
  /** The rows it takes. Default `retract`: any. */
  readonly accepts?: ChangelogMode;
}

/** The sink is also what it wrote: it outlives the job that writes to it. */
export class MemorySink<Row = unknown> implements Sink {
  readonly connector = "memory";
  readonly options: Readonly<Record<string, unknown>>;
  readonly accepts: ChangelogMode;
  readonly delivery: Delivery;
  /** What is visible, in the order it became so. */
  readonly written: WrittenRow<Row>[] = [];
  /** Prepared and not committed: invisible. */
  readonly #prepared = new Map<number, readonly WrittenRow<Row>[]>();
  #nextTransaction = 1;
  #failure: Error | undefined;

  constructor(options: MemorySinkOptions = {}) {
    refuseUnknownOptions("memory sink", options, ["delivery", "accepts"]);
    this.delivery = options.delivery ?? "exactly-once";
    this.accepts = options.accepts ?? "retract";
    this.options = { delivery: this.delivery, accepts: this.accepts };
  }

  /** The visible rows without their kinds. */
  get rows(): readonly Row[] {
    return this.written.map((entry) => entry.row);
  }

  /** What is left of the changelog: rows that were inserted and not taken back, in order of their first appearance. */
  get table(): readonly Row[] {
    const counts = new Map<string, { row: Row; count: number }>();
    for (const { row, kind } of this.written) {
      const key = JSON.stringify(row, (_name, value: unknown) =>
        typeof value === "bigint" ? `${value}n` : value instanceof Map ? [...value] : value,
      );
      const entry = counts.get(key);
      const change = isRetraction(kind) ? -1 : 1;
      if (entry === undefined) counts.set(key, { row, count: change });
      else entry.count += change;
    }
    return [...counts.values()].flatMap(({ row, count }) => Array.from({ length: Math.max(0, count) }, () => row));
  }

  /** From now on writers fail with `error` when they prepare or commit; undefined mends it. */
  fail(error: Error | undefined): void {
    this.#failure = error;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Puts rows aside under a new transaction number; rows become visible by `publish`. */
  putAside(rows: readonly WrittenRow<Row>[]): number {
    this.#check();
    const transaction = this.#nextTransaction++;
    this.#prepared.set(transaction, rows);
    return transaction;
  }

  /** Makes prepared rows visible. A transaction that is not there was published before. */
  publish(transactions: readonly number[]): void {
    this.#check();
    for (const transaction of transactions) {
      for (const row of this.#prepared.get(transaction) ?? []) this.written.push(row);
      this.#prepared.delete(transaction);
    }
  }

  async openWriter(context: SinkContext, schema: Schema): Promise<SinkWriter> {
    const { restored, subtask } = context;
    if (restored !== undefined && !restored.committed && subtask === 0) {
      for (const state of restored.states) this.publish(readState(state));
    }
    return this.delivery === "exactly-once" ? new TransactionalWriter(this, subtask, schema) : new DirectWriter(this, subtask, schema);
  }
}

/** A sink in memory for tests; look at `rows`, `written` and `table`. */
export function memorySink<Row = unknown>(options: MemorySinkOptions = {}): MemorySink<Row> {
  return new MemorySink<Row>(options);
}

function readState(state: Uint8Array): readonly number[] {
  // An at-least-once writer has nothing to commit and stores nothing.
  if (state.length === 0) return [];
  try {
    return JSON.parse(Buffer.from(state).toString()) as readonly number[];
  } catch (cause) {
    throw new MillraceError("SINK_STATE_CORRUPT", "memory sink", "the restored state is not readable", "restore from another snapshot", {
      cause,
    });
  }
}

function collect<Row>(batch: Batch, schema: Schema, subtask: number, into: WrittenRow<Row>[]): void {
  const view = rowView(schema as Schema<Row>);
  for (let k = 0; k < batch.count; k++) {
    const at = batch.selection[k] as number;
    const row = rowObject(batch, at, view);
    into.push({ row, kind: batch.rows.kindOf(at), timeMs: batch.rows.times[at] ?? noTime, subtask });
  }
}

class DirectWriter<Row> implements SinkWriter {
  readonly #sink: MemorySink<Row>;
  readonly #subtask: number;
  readonly #schema: Schema;

  constructor(sink: MemorySink<Row>, subtask: number, schema: Schema) {
    this.#sink = sink;
    this.#subtask = subtask;
    this.#schema = schema;
  }

  write(batch: Batch): void {
    collect(batch, this.#schema, this.#subtask, this.#sink.written);
  }

  ready(): undefined {
    return undefined;
  }

  async flush(): Promise<void> {}

  async prepare(): Promise<Uint8Array> {
    this.#sink.publish([]);
    return new Uint8Array();
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}
}

class TransactionalWriter<Row> implements SinkWriter {
  readonly #sink: MemorySink<Row>;
  readonly #subtask: number;
  readonly #schema: Schema;
  #open: WrittenRow<Row>[] = [];
  /** Prepared and not committed, by checkpoint: a later commit covers what an earlier one did not. */
  #pending: { readonly checkpointId: number; readonly transaction: number }[] = [];

  constructor(sink: MemorySink<Row>, subtask: number, schema: Schema) {
    this.#sink = sink;
    this.#subtask = subtask;
    this.#schema = schema;
  }

  write(batch: Batch): void {
    collect(batch, this.#schema, this.#subtask, this.#open);
  }

  ready(): undefined {
    return undefined;
  }

  async flush(): Promise<void> {}

  async prepare(checkpointId: number): Promise<Uint8Array> {
    const transaction = this.#sink.putAside(this.#open);
    this.#open = [];
    this.#pending.push({ checkpointId, transaction });
    return Buffer.from(JSON.stringify(this.#pending.map((entry) => entry.transaction)));
  }

  async commit(checkpointId: number): Promise<void> {
    const due = this.#pending.filter((entry) => entry.checkpointId <= checkpointId);
    this.#sink.publish(due.map((entry) => entry.transaction));
    this.#pending = this.#pending.filter((entry) => entry.checkpointId > checkpointId);
  }

  async close(): Promise<void> {
    this.#open = [];
  }
}
