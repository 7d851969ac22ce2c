// Gives out rows as they stand in other rows or in state, with their kinds; no objects are made.
import { type RowKind, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type Output, RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { ColumnCopier } from "./column-copier.ts";

/** The fields of `input` go to those of `output` with the same names; other fields of the output are the caller's to fill. */
export class RowEmitter {
  readonly #builder: RowsBuilder;
  readonly #copier: ColumnCopier;

  constructor(input: Schema, output: Schema, to: Output) {
    this.#builder = new RowsBuilder(output, to);
    this.#copier = new ColumnCopier(
      input,
      input.fields.flatMap((field) => {
        const target = output.find(field.name);
        return target === undefined ? [] : [{ from: field.index, to: target.index }];
      }),
    );
  }

  /** The rows under construction, for columns that the caller fills. */
  get rows(): Rows {
    return this.#builder.rows;
  }

  /** Opens a row with the values of another; returns its number. `close` ends it. */
  open(rows: Rows, row: number, timeMs: number, kind: RowKind): number {
    const opened = this.#builder.next(timeMs, kind);
    this.#copier.copy(rows, row, this.#builder.rows.columns, opened);
    return opened;
  }

  /** The two rows of an update stay in one batch. */
  close(kind: RowKind): void {
    if (kind !== rowKind.updateBefore) this.#builder.flushIfFull();
  }

  emit(rows: Rows, row: number, timeMs: number, kind: RowKind): void {
    this.open(rows, row, timeMs, kind);
    this.close(kind);
  }

  flush(): void {
    this.#builder.flush();
  }
}
