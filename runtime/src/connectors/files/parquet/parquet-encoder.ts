// Rows as Parquet: collected column by column, written as a row group when enough are there.
import { zstdCompressSync, gzipSync } from "node:zlib";
import type * as HyparquetWriter from "hyparquet-writer";
import type { Rows } from "../../../core/batch/batch.ts";
import { present } from "../../../core/batch/column.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { valueOf } from "../csv/csv-encoder.ts";
import type { RowEncoder } from "../sink/row-encoder.ts";
import type { Compression } from "../store/compression.ts";
import { type ParquetColumn, parquetColumns } from "./parquet-schema.ts";

/** Rows of a row group; readers load one at a time. */
const groupRows = 50_000;
/** A guess of what a collected value takes, for limits on file sizes. */
const bytesPerValue = 8;

/** The values of a column of the row group that is being filled: typed where the column holds numbers that are never absent. */
type Values = unknown[] | BigInt64Array | Float64Array;

function emptyValues({ form }: ParquetColumn): Values {
  return form === "bigints" ? new BigInt64Array(groupRows) : form === "numbers" ? new Float64Array(groupRows) : [];
}

/** Loads the library and gives encoders of one schema. */
export async function parquetEncoders(schema: Schema, compression: Compression): Promise<() => RowEncoder> {
  const [library, { compressSync }] = await Promise.all([import("hyparquet-writer"), import("snappy")]);
  return () => new ParquetEncoder(library, schema, compression, (input) => compressSync(input));
}

class ParquetEncoder implements RowEncoder {
  readonly #bytes: HyparquetWriter.ByteWriter;
  readonly #writer: HyparquetWriter.ParquetWriter;
  readonly #columns: readonly ParquetColumn[];
  #values: Values[];
  #rows = 0;
  #textBytes = 0;

  constructor(
    { ByteWriter, ParquetWriter }: typeof HyparquetWriter,
    schema: Schema,
    compression: Compression,
    snappy: (input: Uint8Array) => Uint8Array,
  ) {
    const { columns, elements } = parquetColumns(schema);
    this.#columns = columns;
    this.#values = columns.map(emptyValues);
    this.#bytes = new ByteWriter(1 << 16);
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: elements,
      codec: compression === "zstd" ? "ZSTD" : compression === "gzip" ? "GZIP" : "SNAPPY",
      compressors: { SNAPPY: snappy, ZSTD: (input) => zstdCompressSync(input), GZIP: (input) => gzipSync(input) },
      createdBy: "millrace",
    });
  }

  get readyBytes(): number {
    return this.#bytes.index;
  }

  get heldBytes(): number {
    return this.#bytes.index + this.#rows * this.#columns.length * bytesPerValue + this.#textBytes;
  }

  add(rows: Rows, row: number): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const { field, toStored, required } = this.#columns[i] as ParquetColumn;
      const column = rows.column(field.index);
      const values = this.#values[i] as Values;
      if (values instanceof BigInt64Array)
        values[this.#rows] = toStored(column.exact === null ? column.numbers[row] : column.getInt64(row)) as bigint;
      else if (values instanceof Float64Array) values[this.#rows] = column.numbers[row] as number;
      else {
        const absent = !required && column.nulls !== null && column.nulls[row] !== present;
        const value = absent ? null : toStored(valueOf(field, column, row));
        if (typeof value === "string") this.#textBytes += value.length;
        values.push(value);
      }
    }
    if (++this.#rows >= groupRows) this.#writeGroup();
  }

  #writeGroup(): void {
    if (this.#rows === 0) return;
    const columnData = this.#columns.map(({ name, plain }, i) => ({
      name,
      data: this.#group(i),
      ...(plain ? { encoding: "PLAIN" as const } : {}),
    }));
    // Synchronous: the writer below it has no flush.
    void this.#writer.write({ columnData, rowGroupSize: groupRows });
    this.#values = this.#values.map((values) => (Array.isArray(values) ? [] : values));
    this.#rows = 0;
    this.#textBytes = 0;
  }

  #group(i: number): Values {
    const values = this.#values[i] as Values;
    return Array.isArray(values) ? values : values.subarray(0, this.#rows);
  }

  take(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return bytes;
  }

  finish(): Uint8Array {
    this.#writeGroup();
    void this.#writer.finish();
    return this.take();
  }
}
