// Rows as CSV (RFC 4180): a header, values quoted where they must be; nested values as JSON.
import { ByteWriter } from "../../../base/bytes.ts";
import type { Rows } from "../../../core/batch/batch.ts";
import { type Column, present } from "../../../core/batch/column.ts";
import { toJson } from "../../../core/codec/json-value.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import type { RowEncoder } from "../sink/row-encoder.ts";
import { type CsvOptions, delimiterByte } from "./csv-record.ts";

const initialBytes = 64 * 1024;
const lineEnd = "\n";

export class CsvEncoder implements RowEncoder {
  readonly #writer = new ByteWriter(initialBytes);
  readonly #schema: Schema;
  readonly #delimiter: string;
  readonly #nullText: string;
  readonly #special: RegExp;

  constructor(schema: Schema, options: CsvOptions) {
    this.#schema = schema;
    this.#delimiter = String.fromCharCode(delimiterByte(options));
    this.#nullText = options.nullText ?? "";
    this.#special = new RegExp(`["\\r\\n\\u{${delimiterByte(options).toString(16)}}]`, "u");
    if (options.header !== false) {
      const names = schema.fields.map((field) => this.#quoted(field.spec.wireName ?? field.name));
      this.#writer.utf8Raw(names.join(this.#delimiter) + lineEnd);
    }
  }

  get readyBytes(): number {
    return this.#writer.length;
  }

  get heldBytes(): number {
    return this.#writer.length;
  }

  add(rows: Rows, row: number): void {
    const values = this.#schema.fields.map((field) => this.#value(field, rows.column(field.index), row));
    // A line of nothing is no record: a single empty value is written in quotes.
    const line = values.join(this.#delimiter);
    this.#writer.utf8Raw((line === "" ? '""' : line) + lineEnd);
  }

  #value(field: SchemaField, column: Column, row: number): string {
    if (column.nulls !== null && column.nulls[row] !== present) return this.#nullText;
    const value = valueOf(field, column, row);
    const json = field.spec.type.kind === "string" ? (value as string) : toJson(field.spec, value);
    // JSON has no text for negative zero.
    const text = typeof json === "string" ? json : Object.is(json, -0) ? "-0" : JSON.stringify(json);
    return text === "" || text === this.#nullText ? `"${text}"` : this.#quoted(text);
  }

  #quoted(text: string): string {
    return this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  take(): Uint8Array {
    const bytes = this.#writer.copy();
    this.#writer.reset();
    return bytes;
  }

  finish(): Uint8Array {
    return this.take();
  }
}

/** The value of a row in the form that rows have. */
export function valueOf(field: SchemaField, column: Column, row: number): unknown {
  switch (column.kind) {
    case "number":
      return field.spec.type.kind === "boolean" ? column.numbers[row] === 1 : column.numbers[row];
    case "int64":
      return column.getInt64(row);
    case "text":
      return column.getText(row);
    case "object":
      return column.objects[row];
  }
}
