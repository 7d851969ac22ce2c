// Copies values between columns of the same kind, without making objects.
import type { Batch, Rows } from "./batch.ts";
import type { Column } from "./column.ts";
import { present } from "./column.ts";

/** Copies one value. Text that is a byte range arrives as a string: the bytes may not outlive the batch. */
export function copyValue(from: Column, fromRow: number, to: Column, toRow: number): void {
  const mark = from.nulls === null ? present : (from.nulls[fromRow] as number);
  if (mark !== present || to.nulls !== null) to.setAbsent(toRow, mark);
  switch (from.kind) {
    case "number":
      to.numbers[toRow] = from.numbers[fromRow] as number;
      return;
    case "int64": {
      to.numbers[toRow] = from.numbers[fromRow] as number;
      const exact = from.exact?.get(fromRow);
      if (exact !== undefined) (to.exact ??= new Map()).set(toRow, exact);
      else to.exact?.delete(toRow);
      return;
    }
    case "text":
      to.setText(toRow, mark === present ? from.getText(fromRow) : "");
      return;
    case "object":
      to.objects[toRow] = from.objects[fromRow];
      return;
  }
}

/** Copies the selected rows of `batch` to the end of `target`, which has the same schema; times and kinds included. */
export function appendRows(batch: Batch, target: Rows): void {
  const { rows, selection, count } = batch;
  const base = target.size;
  target.ensure(base + count);
  for (let f = 0; f < rows.columns.length; f++) {
    const from = rows.column(f);
    const to = target.columns[f] as Column;
    if (from.kind === "number" && from.nulls === null && to.nulls === null) {
      for (let k = 0; k < count; k++) to.numbers[base + k] = from.numbers[selection[k] as number] as number;
    } else for (let k = 0; k < count; k++) copyValue(from, selection[k] as number, to, base + k);
    target.ready[f] = 1;
  }
  for (let k = 0; k < count; k++) target.times[base + k] = rows.times[selection[k] as number] as number;
  target.size = base + count;
  if (rows.kinds !== null || target.kinds !== null) {
    for (let k = 0; k < count; k++) target.setKind(base + k, rows.kindOf(selection[k] as number));
  }
}
