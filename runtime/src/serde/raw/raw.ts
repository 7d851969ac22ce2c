// The raw format: a record's key, value and timestamp as they are.
import type { ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import type { LazyColumns, Rows } from "../../core/batch/batch.ts";
import { type Column, isNull } from "../../core/batch/column.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { Format, RecordDecoder, RecordEncoder } from "../../core/ports/format.ts";
import { bytes, timestamp } from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { blockBytes, freshRows } from "../fresh-rows.ts";

/** A row of the raw format. */
export interface RawRow {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timestamp: number | null;
}

const rawSchema: Schema<RawRow> = schema({ key: bytes().nullable(), value: bytes().nullable(), timestamp: timestamp().nullable() });

// Places in the schema: key, value, timestamp.
const keyField = 0;
const timestampField = 2;

class RawDecoder implements RecordDecoder, LazyColumns {
  #records: RawRecords | undefined;

  decode(records: RawRecords, rows: Rows, selection: Int32Array): number {
    freshRows(records, rows);
    rows.lazy = this;
    this.#records = records;
    const column = rows.columns[timestampField] as Column;
    for (let row = 0; row < records.count; row++) {
      const timeMs = records.timestampMs[row] as number;
      if (Number.isNaN(timeMs)) column.setAbsent(row, isNull);
      column.numbers[row] = Number.isNaN(timeMs) ? 0 : timeMs;
      selection[row] = row;
    }
    rows.ready[timestampField] = 1;
    return records.count;
  }

  want(): void {
    // Copies are made when a column is read, so there is nothing to prepare.
  }

  fill(rows: Rows, index: number): void {
    const records = this.#records;
    if (records === undefined || rows.origin !== records) throw new Error("a lazy column was read after the next block was decoded");
    const [starts, ends] = index === keyField ? [records.keyStart, records.keyEnd] : [records.valueStart, records.valueEnd];
    const column = rows.columns[index] as Column;
    const block = blockBytes(records);
    for (let row = 0; row < records.count; row++) {
      const start = starts[row] as number;
      if (start < 0) {
        column.setAbsent(row, isNull);
        column.objects[row] = undefined;
      } else column.objects[row] = new Uint8Array(block.subarray(start, ends[row]));
    }
  }
}

class RawEncoder implements RecordEncoder {
  readonly #index: number;

  constructor(rows: Schema) {
    const field = rows.find("value");
    if (field === undefined || (field.spec.type.kind !== "bytes" && field.spec.type.kind !== "string")) {
      throw new MillraceError(
        "FORMAT_SCHEMA_MISFIT",
        "format raw",
        'the rows have no field "value" of bytes or text',
        "map the rows to { value }",
      );
    }
    this.#index = field.index;
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    const column = rows.column(this.#index);
    if (column.nulls !== null && column.nulls[row] !== 0) return false;
    if (column.kind === "object") writer.raw(column.objects[row] as Uint8Array);
    else writeText(writer, column, row);
    return true;
  }
}

/** Appends the text of a row as UTF-8. */
export function writeText(writer: ByteWriter, column: Column, row: number): void {
  const start = column.starts[row] as number;
  if (start < 0) writer.utf8Raw(column.texts[row] as string);
  else writer.raw(column.bytes, start, column.ends[row] as number);
}

/**
 * Records as they are: rows of `{ key, value, timestamp }`, each null where the record has none; values are copies.
 * Written is the field `value` of bytes or text; a null value is a tombstone.
 */
export function raw(): Format<RawRow> {
  return {
    name: "raw",
    schema: rawSchema,
    options: {},
    openDecoder: async () => new RawDecoder(),
    openEncoder: async (rows) => new RawEncoder(rows),
  };
}
