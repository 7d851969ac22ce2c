// Copies some columns of one row into another: what joins, tables and projections do instead of making objects.
import type { Rows } from "../../core/batch/batch.ts";
import { type Column, isNull } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** From field `from` of the source to field `to` of the target. */
export interface ColumnPair {
  readonly from: number;
  readonly to: number;
}

export class ColumnCopier {
  readonly #from: Int32Array;
  readonly #to: Int32Array;
  // A value of bytes may be a range of a fetched buffer, which is used again: what is kept is a copy.
  readonly #isBytes: Uint8Array;

  constructor(source: Schema, pairs: readonly ColumnPair[]) {
    this.#from = Int32Array.from(pairs, (pair) => pair.from);
    this.#to = Int32Array.from(pairs, (pair) => pair.to);
    this.#isBytes = Uint8Array.from(pairs, (pair) => (source.fields[pair.from]?.spec.type.kind === "bytes" ? 1 : 0));
  }

  /** Copies into the columns of `target`, a table's or those of rows; both are of the same kinds. */
  copy(source: Rows, row: number, target: readonly Column[], targetRow: number): void {
    const from = this.#from;
    for (let i = 0; i < from.length; i++) {
      const to = target[this.#to[i] as number] as Column;
      const column = source.column(from[i] as number);
      copyValue(column, row, to, targetRow);
      if (this.#isBytes[i] === 1) {
        const value = column.objects[row];
        if (value instanceof Uint8Array) to.objects[targetRow] = Uint8Array.from(value);
      }
    }
  }

  /** Makes the target's columns null: the side of an outer join that is not there. */
  clear(target: readonly Column[], targetRow: number): void {
    for (let i = 0; i < this.#to.length; i++) setNull(target[this.#to[i] as number] as Column, targetRow);
  }
}

/** Makes a value null. */
export function setNull(column: Column, row: number): void {
  column.setAbsent(row, isNull);
  if (column.kind === "text") column.setText(row, "");
  else if (column.kind === "object") column.objects[row] = undefined;
  else column.numbers[row] = 0;
}

/** All fields of a schema, to the same places. */
export function wholeRow(schema: Schema): ColumnCopier {
  return new ColumnCopier(
    schema,
    schema.fields.map((field) => ({ from: field.index, to: field.index })),
  );
}
