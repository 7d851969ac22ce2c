// The text format: a record's value as one string.
import { isUtf8 } from "node:buffer";
import type { ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { BadRecordHandler, Format, RecordDecoder, RecordEncoder } from "../../core/ports/format.ts";
import { string } from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { blockBytes, freshRows } from "../fresh-rows.ts";
import { writeText } from "./raw.ts";

const textSchema = schema({ value: string() });

/** A row of the text format. */
export interface TextRow {
  readonly value: string;
}

class TextDecoder implements RecordDecoder {
  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number {
    freshRows(records, rows);
    const bytes = blockBytes(records);
    const column = rows.columns[0] as Column;
    column.bytes = bytes;
    let selected = 0;
    for (let row = 0; row < records.count; row++) {
      const start = records.valueStart[row] as number;
      const end = records.valueEnd[row] as number;
      column.starts[row] = Math.max(start, 0);
      column.ends[row] = start < 0 ? 0 : end;
      if (start < 0) onBad(row, "RECORD_UNPARSABLE", "the record has no value");
      else if (!isAscii(bytes, start, end) && !isUtf8(bytes.subarray(start, end)))
        onBad(row, "RECORD_UNPARSABLE", "the record is not UTF-8");
      else selection[selected++] = row;
    }
    rows.ready[0] = 1;
    return selected;
  }

  want(): void {
    // The text of a row is a range of the record: there is nothing to prepare.
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((bytes[i] as number) > 0x7f) return false;
  return true;
}

class TextEncoder implements RecordEncoder {
  readonly #index: number;

  constructor(rows: Schema) {
    const field = rows.find("value") ?? (rows.fields.length === 1 ? rows.fields[0] : undefined);
    if (field === undefined || field.column !== "text") {
      throw new MillraceError("FORMAT_SCHEMA_MISFIT", "format string", 'the rows have no text field "value"', "map the rows to { value }");
    }
    this.#index = field.index;
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    const column = rows.column(this.#index);
    if (column.nulls !== null && column.nulls[row] !== 0) return false;
    writeText(writer, column, row);
    return true;
  }
}

/** Each record is UTF-8 text: rows of `{ value }`. Written is the field `value`, or the only field, if it is text; null is a tombstone. */
export function text(): Format<TextRow> {
  return {
    name: "string",
    schema: textSchema,
    options: {},
    openDecoder: async () => new TextDecoder(),
    openEncoder: async (rows) => new TextEncoder(rows),
  };
}
