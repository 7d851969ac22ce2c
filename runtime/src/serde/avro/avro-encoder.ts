// Writes rows in Avro's binary encoding, with the schema that `avroSchemaOf` derives from theirs.
import type { ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { writeBigInteger, writeInteger } from "../../core/codec/varint.ts";
import type { RecordEncoder } from "../../core/ports/format.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { avroSchemaOf, isAvroEnum } from "./avro-schema-of.ts";
import { parseAvroSchema } from "./avro-schema.ts";

type WriteValue = (writer: ByteWriter, value: unknown) => void;
type WriteColumn = (writer: ByteWriter, column: Column, row: number) => void;

/** The least bytes of a big-endian two's-complement integer. */
export function bytesOfBigint(value: bigint): Buffer {
  let bytes = 1;
  while (BigInt.asIntN(bytes * 8, value) !== value) bytes++;
  return Buffer.from(
    BigInt.asUintN(bytes * 8, value)
      .toString(16)
      .padStart(bytes * 2, "0"),
    "hex",
  );
}

function writeText(writer: ByteWriter, text: string): void {
  writeInteger(writer, Buffer.byteLength(text));
  writer.utf8Raw(text);
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writeInteger(writer, bytes.length);
  writer.raw(bytes);
}

// An array or map: one block with all entries, and the empty one that ends it.
function writeBlock(writer: ByteWriter, count: number, entries: () => void): void {
  if (count > 0) {
    writeInteger(writer, count);
    entries();
  }
  writer.u8(0);
}

function refuse(name: string, value: unknown): never {
  throw new MillraceError(
    "ROW_INVALID",
    `field "${name}"`,
    `${String(value).slice(0, 60)} cannot be written`,
    "give a value of the field's type",
  );
}

function enumWriter(name: string, values: readonly string[], asText: boolean): WriteValue {
  if (asText) return (writer, value) => writeText(writer, value as string);
  const indexes = new Map(values.map((value, index) => [value, index]));
  return (writer, value) => writeInteger(writer, indexes.get(value as string) ?? refuse(name, value));
}

function valueWriter(name: string, spec: FieldSpec): WriteValue {
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
      return (writer, value) => writer.u8(value === true ? 1 : 0);
    case "int8":
    case "int16":
    case "int32":
    case "date":
      return (writer, value) => writeInteger(writer, value as number);
    case "int64":
    case "timestamp":
      return (writer, value) => (typeof value === "bigint" ? writeBigInteger(writer, value) : writeInteger(writer, value as number));
    case "float32":
      return (writer, value) => {
        const at = writer.reserve(4);
        writer.data.setFloat32(at, value as number, true);
        writer.length = at + 4;
      };
    case "float64":
      return (writer, value) => writer.f64(value as number);
    case "decimal":
      return (writer, value) =>
        writeBytes(writer, bytesOfBigint((value instanceof Decimal ? value : refuse(name, value)).rescale(type.scale).unscaled));
    case "string":
      return (writer, value) => writeText(writer, value as string);
    case "enum":
      return enumWriter(name, type.values, !isAvroEnum(type.values));
    case "bytes":
      return (writer, value) => writeBytes(writer, value as Uint8Array);
    case "list": {
      const item = elementWriter(`${name}[]`, type.of);
      return (writer, value) => {
        const items = value as readonly unknown[];
        writeBlock(writer, items.length, () => {
          for (let i = 0; i < items.length; i++) item(writer, items[i]);
        });
      };
    }
    case "map": {
      const item = elementWriter(`${name}{}`, type.of);
      return (writer, value) => {
        const map = value as ReadonlyMap<string, unknown>;
        writeBlock(writer, map.size, () => {
          for (const [key, entry] of map) {
            writeText(writer, key);
            item(writer, entry);
          }
        });
      };
    }
    case "struct": {
      const fields = Object.entries(type.fields as RowSpec).map(([field, inner]) => ({
        field,
        write: elementWriter(`${name}.${field}`, inner),
      }));
      return (writer, value) => {
        for (const { field, write } of fields) write(writer, (value as Readonly<Record<string, unknown>>)[field]);
      };
    }
    case "any":
      return (_writer, value) => refuse(name, value);
  }
}

// A value that may be null or missing is the second type of a union with null.
function elementWriter(name: string, spec: FieldSpec): WriteValue {
  const write = valueWriter(name, spec);
  if (!spec.nullable && !spec.optional) return (writer, value) => write(writer, value ?? refuse(name, value));
  return (writer, value) => {
    const absent = value === null || value === undefined;
    writeInteger(writer, absent ? 0 : 1);
    if (!absent) write(writer, value);
  };
}

function columnWriter(name: string, spec: FieldSpec, kind: Column["kind"]): WriteColumn {
  const write = valueWriter(name, spec);
  if (kind === "text" && spec.type.kind === "string") return writeTextColumn;
  if (kind === "text") return (writer, column, row) => write(writer, column.getText(row));
  if (kind === "object") return (writer, column, row) => write(writer, column.objects[row]);
  if (kind === "int64") {
    return (writer, column, row) => {
      const exact = column.exact?.get(row);
      if (exact === undefined) writeInteger(writer, column.numbers[row] as number);
      else writeBigInteger(writer, exact);
    };
  }
  return spec.type.kind === "boolean"
    ? (writer, column, row) => writer.u8(column.numbers[row] as number)
    : (writer, column, row) => write(writer, column.numbers[row]);
}

function writeTextColumn(writer: ByteWriter, column: Column, row: number): void {
  const start = column.starts[row] as number;
  if (start < 0) {
    writeText(writer, column.texts[row] as string);
    return;
  }
  const end = column.ends[row] as number;
  writeInteger(writer, end - start);
  writer.raw(column.bytes, start, end);
}

export class AvroEncoder implements RecordEncoder {
  readonly #frame: Uint8Array;
  readonly #columns: readonly { readonly index: number; readonly mayBeAbsent: boolean; readonly write: WriteColumn }[];

  /** `frame` goes before each record. */
  constructor(schema: Schema, frame: Uint8Array) {
    // What has no Avro form is refused here, and not at the first row.
    parseAvroSchema(avroSchemaOf(schema));
    this.#frame = frame;
    this.#columns = schema.fields.map(({ index, name, spec, column }) => ({
      index,
      mayBeAbsent: spec.nullable || spec.optional,
      write: columnWriter(name, spec, column),
    }));
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    writer.raw(this.#frame);
    for (const { index, mayBeAbsent, write } of this.#columns) {
      const column = rows.column(index);
      if (mayBeAbsent) {
        const absent = column.nulls !== null && column.nulls[row] !== 0;
        writeInteger(writer, absent ? 0 : 1);
        if (absent) continue;
      }
      write(writer, column, row);
    }
    return true;
  }
}
