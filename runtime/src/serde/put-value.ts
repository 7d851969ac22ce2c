// Puts single values into columns, for decoders that make values first.
import { type Column, isMissing, isNull } from "../core/batch/column.ts";
import { defaultOf } from "../core/codec/json-value.ts";
import type { FieldSpec } from "../core/schema/type-spec.ts";

/** Puts a value as row objects have it; null and undefined are for `putAbsent`. */
export function putValue(column: Column, row: number, value: unknown): void {
  if (column.kind === "text") column.setText(row, value as string);
  else if (column.kind === "object") column.objects[row] = value;
  else if (typeof value === "bigint") column.setInt64(row, value);
  else column.numbers[row] = Number(value);
}

/** Marks a row null or missing, and leaves nothing else there. */
export function putAbsent(column: Column, row: number, mark: typeof isNull | typeof isMissing): void {
  column.setAbsent(row, mark);
  if (column.kind === "text") {
    column.starts[row] = 0;
    column.ends[row] = 0;
  } else if (column.kind === "object") column.objects[row] = undefined;
  else column.numbers[row] = 0;
}

/** Puts what a field that a record lacks reads as: its default, or missing. The field has a default or is optional. */
export function absentPutter(name: string, spec: FieldSpec): (column: Column, row: number) => void {
  if (spec.default === undefined) return (column, row) => putAbsent(column, row, isMissing);
  return (column, row) => {
    // Made anew for each row: rows do not share what a user's function might change.
    const value = defaultOf(name, spec);
    if (value === null) putAbsent(column, row, isNull);
    else putValue(column, row, value);
  };
}
