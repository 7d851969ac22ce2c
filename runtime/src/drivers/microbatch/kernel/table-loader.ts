// Rows into a table of the kernel, by column: numbers as blocks of memory, short texts as cells, no JavaScript object per row.
import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk } from "@duckdb/node-api";
import type { Vector } from "@duckdb/node-bindings";
import type { Batch } from "../../../core/batch/batch.ts";
import type { Column } from "../../../core/batch/column.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import { quoted, sqlTypeOf } from "../../../dataframe/analysis/sql-types.ts";
import type { DuckDb } from "./duckdb.ts";
import { StringCells } from "./string-cells.ts";
import { toDuckValue } from "./values.ts";

type ColumnWriter = (vector: Vector, column: Column, selection: Int32Array, from: number, count: number) => void;

/** Columns of rows by the names they have in the table. */
export interface LoadedField {
  readonly field: SchemaField;
  /** Where the column stands in the rows that are loaded. */
  readonly index: number;
}

export class TableLoader {
  readonly #duckdb: DuckDb;
  readonly #connection: DuckDBConnection;
  readonly name: string;
  readonly #fields: readonly LoadedField[];
  readonly #ddl: string;
  readonly #chunkRows: number;
  readonly #chunk: DuckDBDataChunk;
  readonly #vectors: readonly Vector[];
  readonly #writers: readonly ColumnWriter[];
  readonly #scratch: ArrayBuffer;
  readonly #validity: Uint32Array;
  readonly #cells: StringCells;
  #appender: DuckDBAppender | undefined;
  /** Rows that were loaded since the last `begin`. */
  rows = 0;

  private constructor(duckdb: DuckDb, connection: DuckDBConnection, name: string, fields: readonly LoadedField[], chunk: DuckDBDataChunk) {
    const { bindings } = duckdb;
    this.#duckdb = duckdb;
    this.#connection = connection;
    this.name = name;
    this.#fields = fields;
    const columns = fields.map(({ field }) => `${quoted(field.name)} ${sqlTypeOf(field.spec.type, field.name)}`);
    this.#ddl = `CREATE OR REPLACE TEMP TABLE ${quoted(name)} (${columns.length === 0 ? "none$ BOOLEAN" : columns.join(", ")})`;
    this.#chunkRows = bindings.vector_size();
    this.#scratch = new ArrayBuffer(this.#chunkRows * 8);
    this.#validity = new Uint32Array(Math.ceil(this.#chunkRows / 64) * 2);
    this.#cells = new StringCells(this.#chunkRows);
    this.#chunk = chunk;
    this.#vectors = fields.map((_field, index) => bindings.data_chunk_get_vector(chunk.chunk, index));
    this.#writers = fields.map(({ field }, index) => this.#writerOf(field, index));
  }

  /** A table for some columns of rows; it holds nothing until `begin`. */
  static async create(duckdb: DuckDb, connection: DuckDBConnection, name: string, fields: readonly LoadedField[]): Promise<TableLoader> {
    // The types come from the kernel itself, so nested ones need no second description.
    const columns = fields.map(({ field }) => `NULL::${sqlTypeOf(field.spec.type, field.name)} AS ${quoted(field.name)}`);
    const typed = await connection.run(`SELECT ${columns.length === 0 ? "NULL::BOOLEAN" : columns.join(", ")} LIMIT 0`);
    return new TableLoader(duckdb, connection, name, fields, duckdb.api.DuckDBDataChunk.create(typed.columnTypes()));
  }

  /** Empties the table. */
  async begin(): Promise<void> {
    this.#close();
    await this.#connection.run(this.#ddl);
    this.#appender = await this.#connection.createAppender(this.name);
    this.rows = 0;
  }

  /** Appends the selected rows. */
  add({ rows, selection, count }: Batch): void {
    const appender = this.#appender as DuckDBAppender;
    const { bindings } = this.#duckdb;
    for (let from = 0; from < count; from += this.#chunkRows) {
      const part = Math.min(this.#chunkRows, count - from);
      this.#chunk.reset();
      // Columns first: a writer of nested values goes through the chunk itself, which must know how many rows there are.
      this.#chunk.rowCount = part;
      this.#fields.forEach(({ index }, at) => {
        const column = rows.column(index);
        (this.#writers[at] as ColumnWriter)(this.#vectors[at] as Vector, column, selection, from, part);
        if (column.nulls !== null && this.#fields[at]?.field.column !== "object")
          this.#writeNulls(bindings, this.#vectors[at] as Vector, column.nulls, selection, from, part);
      });
      appender.appendDataChunk(this.#chunk);
    }
    this.rows += count;
  }

  /** Makes the rows visible to queries. */
  end(): void {
    this.#close();
  }

  #close(): void {
    this.#appender?.closeSync();
    this.#appender = undefined;
  }

  close(): void {
    this.#close();
  }

  #writeNulls(bindings: DuckDb["bindings"], vector: Vector, nulls: Uint8Array, selection: Int32Array, from: number, count: number): void {
    const validity = this.#validity.fill(0xffffffff);
    let some = false;
    for (let k = 0; k < count; k++) {
      if (nulls[selection[from + k] as number] === 0) continue;
      some = true;
      validity[k >> 5] = (validity[k >> 5] as number) & ~(1 << (k & 31));
    }
    if (!some) return;
    bindings.vector_ensure_validity_writable(vector);
    bindings.copy_data_to_vector_validity(vector, 0, validity.buffer as ArrayBuffer, 0, Math.ceil(count / 64) * 8);
  }

  #writerOf(field: SchemaField, index: number): ColumnWriter {
    const { type } = field.spec;
    switch (type.kind) {
      case "boolean":
      case "int8":
        return this.#numbers(new Int8Array(this.#scratch));
      case "int16":
        return this.#numbers(new Int16Array(this.#scratch));
      case "int32":
      case "date":
        return this.#numbers(new Int32Array(this.#scratch));
      case "float32":
        return this.#numbers(new Float32Array(this.#scratch));
      case "float64":
        return this.#numbers(new Float64Array(this.#scratch));
      case "int64":
        return this.#int64(1);
      case "timestamp":
        return this.#int64(type.unit === "s" ? 1_000_000 : type.unit === "ms" ? 1000 : 1);
      case "string":
      case "enum":
        return this.#texts();
      default:
        return this.#values(field, index);
    }
  }

  #numbers(target: Int8Array | Int16Array | Int32Array | Float32Array | Float64Array): ColumnWriter {
    const { bindings } = this.#duckdb;
    return (vector, { numbers }, selection, from, count) => {
      for (let k = 0; k < count; k++) target[k] = numbers[selection[from + k] as number] as number;
      bindings.copy_data_to_vector(vector, 0, this.#scratch, 0, count * target.BYTES_PER_ELEMENT);
    };
  }

  // A double times `factor` as a 64-bit integer in two halves; exact values beside it where it is no safe integer.
  #int64(factor: number): ColumnWriter {
    const { bindings } = this.#duckdb;
    const words = new Int32Array(this.#scratch);
    const wide = new BigInt64Array(this.#scratch);
    return (vector, { numbers, exact }, selection, from, count) => {
      for (let k = 0; k < count; k++) {
        const value = (numbers[selection[from + k] as number] as number) * factor;
        words[2 * k] = value | 0;
        words[2 * k + 1] = Math.floor(value / 4294967296);
        if (exact === null) continue;
        const big = exact.get(selection[from + k] as number);
        if (big !== undefined) wide[k] = big * BigInt(factor);
      }
      bindings.copy_data_to_vector(vector, 0, this.#scratch, 0, count * 8);
    };
  }

  #texts(): ColumnWriter {
    const { bindings } = this.#duckdb;
    const cells = this.#cells;
    return (vector, column, selection, from, count) => {
      const { starts, ends, bytes, texts, nulls } = column;
      let long = false;
      for (let k = 0; k < count; k++) {
        const row = selection[from + k] as number;
        if (nulls !== null && nulls[row] !== 0) cells.setEmpty(k);
        else if (starts[row] === -1) long = !cells.setText(k, texts[row] as string) || long;
        else long = !cells.setBytes(k, bytes, starts[row] as number, ends[row] as number) || long;
      }
      bindings.copy_data_to_vector(vector, 0, cells.buffer, 0, count * 16);
      if (!long) return;
      for (let k = 0; k < count; k++) {
        const row = selection[from + k] as number;
        if (nulls !== null && nulls[row] !== 0) continue;
        const start = starts[row] as number;
        if (start !== -1) {
          if ((ends[row] as number) - start > 12) bindings.vector_assign_string_element_len(vector, k, bytes.subarray(start, ends[row]));
        } else {
          const text = texts[row] as string;
          if (text.length > 12 || !isAscii(text)) bindings.vector_assign_string_element(vector, k, text);
        }
      }
    };
  }

  // Decimals, bytes and nested values, one at a time.
  #values({ spec }: SchemaField, index: number): ColumnWriter {
    return (_vector, column, selection, from, count) => {
      const target = this.#chunk.getColumnVector(index);
      for (let k = 0; k < count; k++) {
        const row = selection[from + k] as number;
        const absent = column.nulls !== null && column.nulls[row] !== 0;
        target.setItem(k, absent ? null : toDuckValue(this.#duckdb.api, spec, column.objects[row]));
      }
      target.flush();
    };
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

/** All columns of a schema, in order. */
export function allFields(schema: Schema): readonly LoadedField[] {
  return schema.fields.map((field) => ({ field, index: field.index }));
}
