// Chunks of a result into rows, by column: numbers from blocks of memory, texts as ranges of bytes.
import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { Vector } from "@duckdb/node-bindings";
import { MillraceError } from "../../../base/errors.ts";
import { noTime, Rows } from "../../../core/batch/batch.ts";
import { type Column, isNull } from "../../../core/batch/column.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import type { DuckDb } from "./duckdb.ts";
import { cellBytes, inlineBytes } from "./string-cells.ts";
import { fromDuckValue } from "./values.ts";

type ColumnReader = (chunk: DuckDBDataChunk, vector: Vector, column: Column, first: number, count: number) => void;

const firstTextBytes = 64 * 1024;

/**
 * Appends chunks to rows of one schema. The columns of the result must have exactly the SQL types of the fields, in their order; the
 * plan casts them so.
 */
export class ResultReader {
  readonly rows: Rows;
  readonly #duckdb: DuckDb;
  readonly #readers: readonly ColumnReader[];
  /** The field that gives each row its event time, -1 for none. */
  readonly #timeIndex: number;
  readonly #unitsPerMs: number;

  constructor(duckdb: DuckDb, schema: Schema, timeField?: string) {
    this.#duckdb = duckdb;
    this.rows = new Rows(schema, 1024);
    this.#readers = schema.fields.map((field) => this.#readerOf(field));
    const time = timeField === undefined ? undefined : schema.field(timeField);
    this.#timeIndex = time?.index ?? -1;
    const unit = time?.spec.type.kind === "timestamp" ? time.spec.type.unit : "ms";
    this.#unitsPerMs = unit === "s" ? 0.001 : unit === "us" ? 1000 : 1;
    this.reset();
  }

  reset(): void {
    this.rows.reset();
    this.rows.ready.fill(1);
  }

  append(chunk: DuckDBDataChunk): void {
    const { bindings } = this.#duckdb;
    const { rows } = this;
    const count = chunk.rowCount;
    const first = rows.size;
    rows.ensure(first + count);
    this.#readers.forEach((read, index) => {
      const vector = bindings.data_chunk_get_vector(chunk.chunk, index);
      const column = rows.columns[index] as Column;
      read(chunk, vector, column, first, count);
      readNulls(bindings.vector_get_validity(vector, Math.ceil(count / 64) * 8), column, first, count);
    });
    this.#writeTimes(first, count);
    rows.size = first + count;
  }

  #writeTimes(first: number, count: number): void {
    const { times } = this.rows;
    if (this.#timeIndex < 0) {
      times.fill(noTime, first, first + count);
      return;
    }
    const { numbers, nulls } = this.rows.columns[this.#timeIndex] as Column;
    for (let row = first; row < first + count; row++)
      times[row] = nulls !== null && nulls[row] !== 0 ? noTime : Math.floor((numbers[row] as number) / this.#unitsPerMs);
  }

  #readerOf(field: SchemaField): ColumnReader {
    const { type } = field.spec;
    switch (type.kind) {
      case "boolean":
        return this.#numbers((bytes, count) => new Uint8Array(bytes.buffer, bytes.byteOffset, count), 1);
      case "int8":
        return this.#numbers((bytes, count) => new Int8Array(bytes.buffer, bytes.byteOffset, count), 1);
      case "int16":
        return this.#numbers((bytes, count) => new Int16Array(bytes.buffer, bytes.byteOffset, count), 2);
      case "int32":
      case "date":
        return this.#numbers((bytes, count) => new Int32Array(bytes.buffer, bytes.byteOffset, count), 4);
      case "float32":
        return this.#numbers((bytes, count) => new Float32Array(bytes.buffer, bytes.byteOffset, count), 4);
      case "float64":
        return this.#numbers((bytes, count) => new Float64Array(bytes.buffer, bytes.byteOffset, count), 8);
      case "int64":
        return this.#int64(field, 1, type.as === "number");
      case "timestamp":
        if (type.unit === "ns") return this.#int64(field, 1, false);
        return this.#int64(field, type.unit === "s" ? 1_000_000 : type.unit === "ms" ? 1000 : 1, true);
      case "string":
      case "enum":
        return (_chunk, vector, column, first, count) => this.#texts(vector, column, first, count);
      default:
        return (chunk, _vector, column, first, count) => {
          const source = chunk.getColumnVector(field.index);
          for (let k = 0; k < count; k++) {
            const value = source.getItem(k);
            column.objects[first + k] = value === null ? undefined : fromDuckValue(field.spec, value);
          }
        };
    }
  }

  #numbers(view: (bytes: Uint8Array, count: number) => ArrayLike<number>, width: number): ColumnReader {
    const { bindings } = this.#duckdb;
    return (_chunk, vector, { numbers }, first, count) => {
      const values = view(bindings.vector_get_data(vector, count * width), count);
      for (let k = 0; k < count; k++) numbers[first + k] = values[k] as number;
    };
  }

  #int64(field: SchemaField, divisor: number, mustBeSafe: boolean): ColumnReader {
    const { bindings } = this.#duckdb;
    return (_chunk, vector, column, first, count) => {
      const bytes = bindings.vector_get_data(vector, count * 8);
      const words = new Int32Array(bytes.buffer, bytes.byteOffset, count * 2);
      const { numbers } = column;
      for (let k = 0; k < count; k++) {
        const value = (words[2 * k + 1] as number) * 4294967296 + ((words[2 * k] as number) >>> 0);
        if (Number.isSafeInteger(value)) numbers[first + k] = divisor === 1 ? value : Math.floor(value / divisor);
        else if (mustBeSafe) this.#unsafe(field, vector, column, first + k, k);
        else
          column.setInt64(
            first + k,
            new BigInt64Array(bytes.buffer.slice(bytes.byteOffset + 8 * k, bytes.byteOffset + 8 * k + 8))[0] as bigint,
          );
      }
    };
  }

  // A cell whose value is null holds anything.
  #unsafe(field: SchemaField, vector: Vector, { numbers }: Column, row: number, k: number): void {
    const validity = this.#duckdb.bindings.vector_get_validity(vector, Math.ceil((k + 1) / 64) * 8);
    if (validity !== null && ((validity[k >> 3] as number) & (1 << (k & 7))) === 0) {
      numbers[row] = 0;
      return;
    }
    throw new MillraceError(
      "DATAFRAME_RANGE",
      `column "${field.name}"`,
      "has a value beyond 2^53, which its type cannot hold",
      "declare the fields it is computed from as int64(), or cast to DOUBLE or DECIMAL",
    );
  }

  // Texts are copied into one buffer per set of rows; long ones lie elsewhere in the kernel's memory.
  #texts(vector: Vector, column: Column, first: number, count: number): void {
    const { bindings } = this.#duckdb;
    const cells = bindings.vector_get_data(vector, count * cellBytes);
    const validity = bindings.vector_get_validity(vector, Math.ceil(count / 64) * 8);
    const words = new Int32Array(cells.buffer, cells.byteOffset, count * 4);
    let at = first === 0 ? 0 : textEnd(column, first);
    for (let k = 0; k < count; k++) {
      const row = first + k;
      const valid = validity === null || ((validity[k >> 3] as number) & (1 << (k & 7))) !== 0;
      const length = valid ? (words[4 * k] as number) : 0;
      if (at + length > column.bytes.length) grow(column, at + length);
      const cell = k * cellBytes;
      if (length <= inlineBytes) column.bytes.set(cells.subarray(cell + 4, cell + 4 + length), at);
      else column.bytes.set(bindings.get_data_from_pointer(cells.buffer as ArrayBuffer, cells.byteOffset + cell + 8, length), at);
      column.starts[row] = at;
      at += length;
      column.ends[row] = at;
    }
  }
}

function textEnd(column: Column, first: number): number {
  return column.ends[first - 1] as number;
}

function grow(column: Column, needed: number): void {
  const larger = Buffer.allocUnsafe(Math.max(needed, firstTextBytes, column.bytes.length * 2));
  column.bytes.copy(larger);
  column.bytes = larger;
}

function readNulls(validity: Uint8Array | null, column: Column, first: number, count: number): void {
  const { nulls } = column;
  if (validity === null) {
    nulls?.fill(0, first, first + count);
    return;
  }
  for (let k = 0; k < count; k++) {
    const valid = ((validity[k >> 3] as number) & (1 << (k & 7))) !== 0;
    if (!valid) column.setAbsent(first + k, isNull);
    else if (column.nulls !== null) column.nulls[first + k] = 0;
  }
}
