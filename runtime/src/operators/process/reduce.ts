// reduce: all rows of a key so far, reduced to one of the same shape; gives out the new one after each row.
import { type Batch, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { wholeRow } from "../rows/column-copier.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { StoredRows } from "../rows/stored-rows.ts";

export interface ReduceParams<Row = unknown> {
  readonly input: Schema<Row>;
  readonly key: KeyLayout;
  /** From what there is and the next row to what there is then; may return one of the two. Both are views that are valid during the call. */
  readonly fn: (reduced: Row, row: Row) => Row;
  /** `append` gives each result as a row of its own; the others give a changelog of the latest. Default append. */
  readonly output?: "append" | "upsert" | "retract";
  readonly ttl?: TimeToLive;
}

/**
 * Takes an append-only stream. Results have the time of the row that made them. A row for which the function throws, or gives a
 * result that does not fit, goes to the dead letters as FUNCTION_FAILED and what there is stays.
 */
export function reduce<Row>(params: ReduceParams<Row>): OperatorFactory {
  return (context) => new Reduce(context, params as unknown as ReduceParams);
}

class Reduce implements Operator {
  readonly #context: OperatorContext;
  readonly #fn: ReduceParams["fn"];
  readonly #output: "append" | "upsert" | "retract";
  readonly #reader: KeyReader;
  readonly #reduced: RowView;
  readonly #row: RowView;
  readonly #table: KeyedTable;
  readonly #stored: StoredRows;
  readonly #builder: RowsBuilder;
  readonly #copier: ReturnType<typeof wholeRow>;

  constructor(context: OperatorContext, { input, key, fn, output = "append", ttl }: ReduceParams) {
    this.#context = context;
    this.#fn = fn;
    this.#output = output;
    this.#reader = new KeyReader(key);
    this.#reduced = rowView(input) as RowView;
    this.#row = rowView(input) as RowView;
    this.#table = context.keyed.table({ name: "reduced", key, value: input, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(input, this.#table);
    this.#builder = new RowsBuilder(input, context.output());
    this.#copier = wholeRow(input);
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const slot = this.#table.find(keys, k, 0, false);
      if (slot < 0) this.#first(keys, k, rows, row);
      else this.#next(rows, row, slot);
      this.#builder.flushIfFull();
    }
    this.#builder.flush();
  }

  #first(keys: KeyBatch, k: number, rows: Rows, row: number): void {
    this.#stored.store(rows, row, this.#table.find(keys, k, 0, true));
    this.#copier.copy(rows, row, this.#builder.rows.columns, this.#builder.next(rows.times[row] as number));
  }

  // The result is written to the output first, where it is checked, and from there to the state.
  #next(rows: Rows, row: number, slot: number): void {
    const timeMs = rows.times[row] as number;
    const out = this.#builder.rows;
    const mark = out.size;
    this.#reduced.point(this.#stored.rows, slot);
    this.#row.point(rows, row);
    try {
      if (this.#output === "retract")
        this.#copier.copy(this.#stored.rows, slot, out.columns, this.#builder.next(timeMs, rowKind.updateBefore));
      this.#builder.write(this.#fn(this.#reduced, this.#row), timeMs, this.#output === "append" ? rowKind.insert : rowKind.updateAfter);
    } catch (cause) {
      this.#builder.rollback(mark);
      functionFailed(this.#context, "the reduce function", rows, row, this.#row, cause);
      return;
    }
    this.#stored.store(out, out.size - 1, slot);
    this.#table.touch(slot);
  }
}
