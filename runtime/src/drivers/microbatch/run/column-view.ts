// Rows that show columns of other rows under a schema of their own; nothing is copied.
import { Rows } from "../../../core/batch/batch.ts";
import type { Column } from "../../../core/batch/column.ts";
import type { Schema } from "../../../core/schema/schema.ts";

export class ColumnView {
  readonly #schema: Schema;
  #rows: Rows;
  #isShown = false;

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#rows = emptyRows(schema);
  }

  get rows(): Rows {
    return this.#rows;
  }

  set(index: number, column: Column): void {
    const columns = this.#rows.columns as Column[];
    if (columns[index] === column) return;
    // Whoever looks at rows remembers their columns: other columns are other rows.
    if (this.#isShown) {
      const before = this.#rows;
      this.#rows = emptyRows(this.#schema);
      columns.forEach((kept, at) => {
        (this.#rows.columns as Column[])[at] = kept;
      });
      this.like(before);
      this.#isShown = false;
    }
    (this.#rows.columns as Column[])[index] = column;
  }

  /** Takes over size, times and kinds. */
  like(rows: Rows): void {
    this.#rows.size = rows.size;
    this.#rows.capacity = rows.capacity;
    this.#rows.times = rows.times;
    this.#rows.kinds = rows.kinds;
    this.#isShown = true;
  }
}

function emptyRows(schema: Schema): Rows {
  const rows = new Rows(schema, 0);
  rows.ready.fill(1);
  return rows;
}
