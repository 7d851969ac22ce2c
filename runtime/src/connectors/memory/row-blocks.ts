// Blocks of rows from row objects: what sources in memory hand out.
import { noTime, type RowKind, Rows, rowKind } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { BlockMaker } from "./memory-reader.ts";

/** A row with its event time (ms since the epoch, `noTime` for none) and kind. */
export interface TimedRow {
  readonly row: unknown;
  readonly timeMs: number;
  readonly kind: RowKind;
}

/** A row that stands for nothing but its values: an insert without a time. */
export function plainRow(row: unknown): TimedRow {
  return { row, timeMs: noTime, kind: rowKind.insert };
}

/** Writes entries into columns that it reuses from block to block. */
export function rowBlocks(schema: Schema): BlockMaker<TimedRow> {
  const rows = new Rows(schema, 64);
  const write = rowWriter(schema);
  return (split, from, to) => {
    rows.reset();
    rows.ensure(to - from);
    rows.ready.fill(1);
    rows.size = to - from;
    for (let at = from, row = 0; at < to; at++, row++) {
      const entry = split.entries[at] as TimedRow;
      rows.times[row] = entry.timeMs;
      write(rows, row, entry.row);
      if (entry.kind !== rowKind.insert || rows.kinds !== null) rows.setKind(row, entry.kind);
    }
    return { kind: "rows", splitId: split.id, rows, firstPosition: from };
  };
}

/** Throws ROW_INVALID for a row that does not fit, where the caller's own line is still on the stack. */
export function checkRow(schema: Schema, row: unknown): void {
  rowWriter(schema)(new Rows(schema, 1), 0, row);
}
