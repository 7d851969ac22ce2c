// Moves user values between JavaScript and the columns of a state table: checked and copied on the way in, whole on the way out.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../batch/batch.ts";
import { type Column, isNull, present } from "../batch/column.ts";
import { copyValue } from "../batch/copy.ts";
import { type RowView, rowView } from "../batch/row-view.ts";
import { rowWriter } from "../batch/rows-builder.ts";
import { valueCodec } from "../codec/value-codec.ts";
import type { Schema, SchemaField } from "../schema/schema.ts";

export interface ValueAccess<T> {
  read(slot: number): T;
  /** Throws ROW_INVALID for a value that does not fit; the entry is then unchanged. */
  write(slot: number, value: T): void;
}

/** Access to the values of a table whose columns are `columns`. */
export function valueAccess<T>(schema: Schema, scalar: boolean, columns: readonly Column[]): ValueAccess<T> {
  const write = checkedWriter(schema, columns);
  if (scalar) {
    const field = schema.fields[0] as SchemaField;
    const read = scalarReader(field, columns[0] as Column);
    const box: { value: unknown } = { value: undefined };
    return {
      read: (slot) => read(slot) as T,
      write(slot, value) {
        box.value = value;
        write(slot, box);
        box.value = undefined;
      },
    };
  }
  const view = rowView(schema as Schema<object>);
  const rows = rowsOver(schema, columns);
  return { read: (slot) => readRow(view, rows, slot) as T, write };
}

// A view on the table's own columns; they stay the same objects when the table grows.
function rowsOver(schema: Schema, columns: readonly Column[]): Rows {
  const rows = new Rows(schema, 0);
  (rows as { columns: readonly Column[] }).columns = columns;
  rows.ready.fill(1);
  return rows;
}

function readRow(view: RowView, rows: Rows, slot: number): object {
  view.point(rows, slot);
  return { ...view };
}

function scalarReader(field: SchemaField, column: Column): (slot: number) => unknown {
  const readPresent = (slot: number): unknown => {
    switch (column.kind) {
      case "number":
        return field.spec.type.kind === "boolean" ? column.numbers[slot] === 1 : column.numbers[slot];
      case "int64":
        return column.getInt64(slot);
      case "text":
        return column.getText(slot);
      case "object":
        return column.objects[slot];
    }
  };
  return (slot) => {
    const mark = column.nulls === null ? present : (column.nulls[slot] as number);
    return mark === present ? readPresent(slot) : mark === isNull ? null : undefined;
  };
}

// Values are checked in a row of their own first: a function that fails on one field leaves the entry as it was.
function checkedWriter(schema: Schema, columns: readonly Column[]): (slot: number, row: unknown) => void {
  const write = rowWriter(schema);
  const scratch = new Rows(schema, 1);
  scratch.ready.fill(1);
  const copiers = schema.fields.map((field) => copierOf(field));
  return (slot, row) => {
    for (const column of scratch.columns) if (column.nulls !== null) column.nulls[0] = present;
    write(scratch, 0, row);
    for (const [f, copier] of copiers.entries()) {
      if (copier === undefined) continue;
      const column = scratch.columns[f] as Column;
      if (column.nulls === null || column.nulls[0] === present) column.objects[0] = copier(column.objects[0]);
    }
    for (let f = 0; f < columns.length; f++) copyValue(scratch.columns[f] as Column, 0, columns[f] as Column, slot);
  };
}

// Lists, maps, structs and bytes may be changed by whoever handed them in: state keeps a copy, checked on the way.
function copierOf(field: SchemaField): ((value: unknown) => unknown) | undefined {
  if (field.column !== "object" || field.spec.type.kind === "decimal") return undefined;
  const codec = valueCodec(field.name, field.spec);
  const writer = new ByteWriter(256);
  return (value) => {
    writer.reset();
    codec.write(writer, value);
    return codec.read(new ByteReader(writer.copy()));
  };
}
