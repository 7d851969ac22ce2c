// Rows as bytes: the form of state entries, exchanged batches and snapshots. docs/reference/row-format.md describes it byte by byte.
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { Column } from "../batch/column.ts";
import type { Schema } from "../schema/schema.ts";
import { compileDecode, compileEncode, type DecodeColumns } from "./column-codec.ts";
import { rowObjectCodec } from "./value-codec.ts";

/**
 * Reads and writes rows of one schema. Reading damaged bytes throws RangeError, and never allocates more than the bytes
 * that are there could hold. Writing throws ROW_INVALID for a nested value that does not fit its field.
 */
export interface RowCodec<Row = unknown> {
  readonly schema: Schema<Row>;
  /** Appends row `row` of `columns`, which are in the schema's order. */
  encode(columns: readonly Column[], row: number, writer: ByteWriter): void;
  /** Reads a row into `columns` at `row`, for which the caller has made room. Text becomes strings. */
  decode(reader: ByteReader, columns: readonly Column[], row: number): void;
  /**
   * As `decode`, but text stays a range of the reader's buffer and is not checked to be UTF-8. All rows of a batch must come
   * from one buffer, which must not change while the batch is in use.
   */
  decodeRanges(reader: ByteReader, columns: readonly Column[], row: number): void;
  /** Appends a row object; throws ROW_INVALID for a value that does not fit its field. */
  encodeObject(row: Row, writer: ByteWriter): void;
  /** Reads a row as an object; missing fields have no property. */
  decodeObject(reader: ByteReader): Row;
  /** Moves past a row. */
  skip(reader: ByteReader): void;
}

const codecs = new WeakMap<Schema, RowCodec>();

/** The codec of rows of `schema`; made once per schema. */
export function rowCodec<Row>(schema: Schema<Row>): RowCodec<Row> {
  let made = codecs.get(schema);
  if (made === undefined) {
    made = makeCodec(schema);
    codecs.set(schema, made);
  }
  return made as RowCodec<Row>;
}

function makeCodec(schema: Schema): RowCodec {
  const objects = rowObjectCodec(schema.spec);
  // Most codecs read text one way only, so the other way is compiled when it is first used.
  let ranges: DecodeColumns | undefined;
  return {
    schema,
    encode: compileEncode(schema),
    decode: compileDecode(schema, false),
    decodeRanges(reader, columns, row) {
      ranges ??= compileDecode(schema, true);
      ranges(reader, columns, row);
    },
    encodeObject: (row, writer) => objects.write(writer, row),
    decodeObject: (reader) => objects.read(reader),
    skip: (reader) => objects.skip(reader),
  };
}
