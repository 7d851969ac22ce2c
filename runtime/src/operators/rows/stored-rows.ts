// Rows kept in keyed state: the schema of an entry is the row's own fields, then what the operator notes about it.
import { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { AnyField } from "../../core/schema/field.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { type ColumnCopier, wholeRow } from "./column-copier.ts";

/** The row's schema with notes behind it. A note's name has a `$` in front, more where the row has such a field. */
export function storedSchema(row: Schema, notes: Readonly<Record<string, AnyField>>): Schema {
  const spec: Record<string, FieldSpec> = { ...row.spec };
  for (const [name, field] of Object.entries(notes)) {
    let free = `$${name}`;
    while (spec[free] !== undefined) free = `$${free}`;
    spec[free] = field.spec;
  }
  return new Schema(spec);
}

/** What tables of both kinds have in common here. */
export interface ColumnsOwner {
  readonly columns: readonly Column[];
}

/** A table's entries seen as rows, the slot being the row number: row views and copiers of the row's schema work on them. */
export class StoredRows {
  readonly rows: Rows;
  /** The columns of the notes, in the order in which they were declared. */
  readonly notes: readonly Column[];
  readonly #columns: readonly Column[];
  readonly #copier: ColumnCopier;

  constructor(schema: Schema, table: ColumnsOwner) {
    this.rows = new Rows(schema, 0);
    const columns = this.rows.columns as Column[];
    for (let f = 0; f < columns.length; f++) columns[f] = table.columns[f] as Column;
    this.rows.ready.fill(1);
    this.notes = table.columns.slice(schema.fields.length);
    this.#columns = table.columns;
    this.#copier = wholeRow(schema);
  }

  /** Keeps a row in the entry at `slot`; the caller touches it. */
  store(source: Rows, row: number, slot: number): void {
    this.#copier.copy(source, row, this.#columns, slot);
  }

  note(index: number): Column {
    return this.notes[index] as Column;
  }
}
