// The rows of a table by its primary key, in keyed state: follows the table's changelog, and is there for joins to look rows up.
import { type Batch, isRetraction, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { StoredRows } from "../rows/stored-rows.ts";

export interface TableRowsParams<Row = unknown> {
  readonly schema: Schema<Row>;
  /** The table's primary key. */
  readonly key: KeyLayout;
  /** How long rows are kept. Default: until they are deleted. */
  readonly ttl?: TimeToLive;
  /** Rows that mean that their key is gone, beside those of kind delete. */
  readonly isDelete?: (row: Row) => boolean;
}

export class TableRows {
  readonly table: KeyedTable;
  readonly #context: OperatorContext;
  readonly #isDelete: ((row: unknown) => boolean) | undefined;
  readonly #view: RowView;
  readonly #reader: KeyReader;
  readonly #stored: StoredRows;
  #slots: Int32Array = new Int32Array(0);

  constructor(context: OperatorContext, { schema, key, ttl, isDelete }: TableRowsParams) {
    this.#context = context;
    this.#isDelete = isDelete as ((row: unknown) => boolean) | undefined;
    this.#view = rowView(schema) as RowView;
    this.#reader = new KeyReader(key);
    this.table = context.keyed.table({ name: "table", key, value: schema, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(schema, this.table);
  }

  /** Rows of the table's changelog, upserts or with retractions. */
  change(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    if (rows.kinds === null && this.#isDelete === undefined) {
      if (this.#slots.length < count) this.#slots = new Int32Array(Math.max(count, 1024));
      this.table.findAll(keys, null, this.#slots, true);
      for (let k = 0; k < count; k++) this.#stored.store(rows, selection[k] as number, this.#slots[k] as number);
      this.table.touchAll(this.#slots, count);
      return;
    }
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      // The row after the update replaces the one before it.
      if (kind === rowKind.updateBefore) continue;
      const gone = isRetraction(kind) || this.#meansDelete(rows, row);
      if (gone === undefined) continue;
      const slot = this.table.find(keys, k, 0, !gone);
      if (gone) {
        if (slot >= 0) this.table.delete(slot);
        continue;
      }
      this.#stored.store(rows, row, slot);
      this.table.touch(slot);
    }
  }

  // Undefined where the user's function failed.
  #meansDelete(rows: Rows, row: number): boolean | undefined {
    if (this.#isDelete === undefined) return false;
    this.#view.point(rows, row);
    try {
      return this.#isDelete(this.#view);
    } catch (cause) {
      functionFailed(this.#context, "the isDelete function", rows, row, this.#view, cause);
      return undefined;
    }
  }
}
