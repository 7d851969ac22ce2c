// Rows that show columns of other rows under a schema of their own; nothing is copied.
import { Rows } from "../../../core/batch/batch.ts";
import type { Column } from "../../../core/batch/column.ts";
import type { Schema } from "../../../core/schema/schema.ts";

export class ColumnView {
  readonly rows: Rows;
  readonly #columns: (Column | undefined)[];

  constructor(schema: Schema) {
    this.rows = new Rows(schema, 0);
    this.#columns = this.rows.columns as Column[];
    this.rows.ready.fill(1);
  }

  set(index: number, column: Column): void {
    this.#columns[index] = column;
  }

  /** Takes over size, times and kinds. */
  like(rows: Rows): void {
    this.rows.size = rows.size;
    this.rows.capacity = rows.capacity;
    this.rows.times = rows.times;
    this.rows.kinds = rows.kinds;
  }
}
