// The rows of a table by its primary key, in keyed state: follows the table's changelog, and is there for joins to look rows up.
import { type Batch, rowKind } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { DeleteRule } from "../rows/delete-rule.ts";
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
  readonly #deletes: DeleteRule;
  readonly #reader: KeyReader;
  readonly #stored: StoredRows;
  #slots: Int32Array = new Int32Array(0);

  constructor(context: OperatorContext, { schema, key, ttl, isDelete }: TableRowsParams) {
    this.#deletes = new DeleteRule(context, schema, isDelete);
    this.#reader = new KeyReader(key);
    this.table = context.keyed.table({ name: "table", key, value: schema, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(schema, this.table);
  }

  /** Rows of the table's changelog, upserts or with retractions. */
  change(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    if (rows.kinds === null && this.#deletes.isByKind) {
      if (this.#slots.length < count) this.#slots = new Int32Array(Math.max(count, 1024));
      this.table.findAll(keys, null, this.#slots, true);
      for (let k = 0; k < count; k++) this.#stored.store(rows, selection[k] as number, this.#slots[k] as number);
      this.table.touchAll(this.#slots, count);
      return;
    }
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      // The row after the update replaces the one before it.
      if (rows.kindOf(row) === rowKind.updateBefore) continue;
      const gone = this.#deletes.isGone(rows, row);
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
}
