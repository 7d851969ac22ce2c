// Generates the code that moves a row between columns and its binary form: one straight sequence of loads and stores per schema.
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { Column } from "../batch/column.ts";
import type { Schema, SchemaField } from "../schema/schema.ts";
import { readText, take } from "./text.ts";
import { refuseValue, type ValueCodec, valueCodec } from "./value-codec.ts";
import { maxVarintBytes, putInt64, putInteger, readInt64Into, readInteger, readIntegerWithin } from "./varint.ts";

export type EncodeColumns = (columns: readonly Column[], row: number, writer: ByteWriter) => void;
export type DecodeColumns = (reader: ByteReader, columns: readonly Column[], row: number) => void;

/** Where the bits of absent fields stand in the presence bitmap; -1 for a field that cannot be null, or missing. */
interface Presence {
  readonly nullBit: number;
  readonly missingBit: number;
}

function presenceOf(schema: Schema): { readonly of: readonly Presence[]; readonly bitmapBytes: number; readonly unusedMask: number } {
  let bits = 0;
  const of = schema.fields.map(({ spec }) => {
    const nullBit = spec.nullable ? bits++ : -1;
    return { nullBit, missingBit: spec.optional ? bits++ : -1 };
  });
  return { of, bitmapBytes: (bits + 7) >> 3, unusedMask: (bits & 7) === 0 ? 0 : (0xff << (bits & 7)) & 0xff };
}

// Fields whose bytes are of bounded size are written into room that was reserved for all of them at once.
function fixedBytes(field: SchemaField): number {
  const kind = field.spec.type.kind;
  if (field.column === "text") return kind === "enum" ? 5 : -1;
  if (field.column === "object") return -1;
  return kind === "boolean" ? 1 : kind === "float32" ? 4 : kind === "float64" ? 8 : maxVarintBytes;
}

const functions = {
  putInteger,
  putInt64,
  putUnsigned,
  writeTextOf,
  enumIndex,
  refuseMark,
  take,
  readInteger,
  readIntegerWithin,
  readInt64Into,
  readText,
  readFlag,
  enumOf,
  badBitmap,
  setRange,
};

// What generated code calls, by the name that it uses.
function scopeOf(schema: Schema): Readonly<Record<string, unknown>> {
  return {
    ...functions,
    codecs: schema.fields.map((field) => valueCodec(field.name, field.spec)),
    enums: schema.fields.map((field) => (field.spec.type.kind === "enum" ? enumTable(field) : null)),
  };
}

function generate<F>(scope: Readonly<Record<string, unknown>>, source: string): F {
  const names = Object.keys(scope);
  return new Function(...names, source)(...names.map((name) => scope[name])) as F;
}

/** The function that appends a row of columns in the order of the schema. */
export function compileEncode(schema: Schema): EncodeColumns {
  const { of, bitmapBytes } = presenceOf(schema);
  const { fields } = schema;
  // Room for the bounded fields from `from` up to and including the next unbounded one's predecessor.
  const room = (from: number): number => {
    let bytes = 0;
    for (let i = from; i < fields.length; i++) {
      const size = fixedBytes(fields[i] as SchemaField);
      if (size < 0) break;
      bytes += size;
    }
    return bytes;
  };
  const lines = [`let p = writer.reserve(${bitmapBytes + room(0)}); let b = writer.buffer;`];
  for (let i = 0; i < bitmapBytes; i++) lines.push(`let m${i} = 0;`);
  for (const field of fields) {
    const i = field.index;
    const { nullBit, missingBit } = of[i] as Presence;
    lines.push(`const c${i} = columns[${i}];`);
    if (nullBit < 0 && missingBit < 0) continue;
    // A null of type any may stand in the column as a value; it has one form all the same.
    const orNull = field.spec.type.kind === "any" && nullBit >= 0 ? ` || (c${i}.objects[row] === null ? 1 : 0)` : "";
    lines.push(`const a${i} = (c${i}.nulls === null ? 0 : c${i}.nulls[row])${orNull};`);
    const mark = (bit: number, value: number): string =>
      bit < 0
        ? `if (a${i} === ${value}) refuseMark(${JSON.stringify(field.name)}, ${value});`
        : `if (a${i} === ${value}) m${bit >> 3} |= ${1 << (bit & 7)};`;
    lines.push(`if (a${i} !== 0) { ${mark(nullBit, 1)} ${mark(missingBit, 2)} }`);
  }
  for (let i = 0; i < bitmapBytes; i++) lines.push(`b[p++] = m${i};`);
  for (const field of fields) {
    const i = field.index;
    const { nullBit, missingBit } = of[i] as Presence;
    const guard = nullBit < 0 && missingBit < 0 ? "" : `if (a${i} === 0) `;
    if (fixedBytes(field) >= 0) lines.push(`${guard}{ ${encodeFixed(field)} }`);
    else {
      const write = field.column === "text" ? `writeTextOf(writer, c${i}, row);` : `codecs[${i}].write(writer, c${i}.objects[row]);`;
      lines.push(`${guard}{ writer.length = p; ${write} p = writer.reserve(${room(i + 1)}); b = writer.buffer; }`);
      if (guard !== "") lines.push(`else { writer.length = p; p = writer.reserve(${room(i + 1)}); b = writer.buffer; }`);
    }
  }
  lines.push("writer.length = p;");
  return generate(scopeOf(schema), `return function encodeRow(columns, row, writer) {\n${lines.join("\n")}\n}`);
}

function encodeFixed(field: SchemaField): string {
  const c = `c${field.index}`;
  const kind = field.spec.type.kind;
  if (kind === "enum") return `p = putUnsigned(b, p, enumIndex(enums[${field.index}], ${c}, row));`;
  if (kind === "boolean") return `b[p++] = ${c}.numbers[row];`;
  if (kind === "float32") return `writer.data.setFloat32(p, ${c}.numbers[row], true); p += 4;`;
  if (kind === "float64") return `writer.data.setFloat64(p, ${c}.numbers[row], true); p += 8;`;
  if (field.column === "int64") {
    return `const x = ${c}.exact === null ? undefined : ${c}.exact.get(row); p = x === undefined ? putInteger(b, p, ${c}.numbers[row]) : putInt64(b, p, x);`;
  }
  return `p = putInteger(b, p, ${c}.numbers[row]);`;
}

/** The function that reads a row into columns. With `ranges`, text stays where it is: a range of the reader's buffer. */
export function compileDecode(schema: Schema, ranges: boolean): DecodeColumns {
  const { of, bitmapBytes, unusedMask } = presenceOf(schema);
  const lines: string[] = [];
  if (bitmapBytes > 0) lines.push(`const bm = take(reader, ${bitmapBytes}); const b = reader.buffer;`);
  for (let i = 0; i < bitmapBytes; i++) lines.push(`const m${i} = b[bm + ${i}];`);
  if (unusedMask !== 0) lines.push(`if ((m${bitmapBytes - 1} & ${unusedMask}) !== 0) badBitmap(bm);`);
  for (const field of schema.fields) {
    const i = field.index;
    const { nullBit, missingBit } = of[i] as Presence;
    const read = decodeValue(field, ranges);
    if (nullBit < 0 && missingBit < 0) {
      lines.push(`{ const c = columns[${i}]; ${read} }`);
      continue;
    }
    const bit = (at: number): string => (at < 0 ? "0" : `(m${at >> 3} >> ${at & 7}) & 1`);
    const empty =
      field.column === "text" ? 'c.setText(row, "");' : field.column === "object" ? "c.objects[row] = undefined;" : "c.numbers[row] = 0;";
    lines.push(
      `{ const c = columns[${i}]; const mark = (${bit(nullBit)}) | (${bit(missingBit)}) << 1; if (mark === 3) badBitmap(bm);`,
      `if (mark !== 0) { c.setAbsent(row, mark); ${empty} } else { if (c.nulls !== null) c.nulls[row] = 0; ${read} } }`,
    );
  }
  return generate(scopeOf(schema), `return function decodeRow(reader, columns, row) {\n${lines.join("\n")}\n}`);
}

function decodeValue(field: SchemaField, ranges: boolean): string {
  const kind = field.spec.type.kind;
  if (kind === "enum") return `c.setText(row, enumOf(enums[${field.index}], reader));`;
  if (field.column === "text") return ranges ? "setRange(c, row, reader);" : "c.setText(row, readText(reader));";
  if (field.column === "object") return `c.objects[row] = codecs[${field.index}].read(reader);`;
  if (field.column === "int64") return "readInt64Into(reader, c, row);";
  switch (kind) {
    case "boolean":
      return "c.numbers[row] = readFlag(reader);";
    case "float32":
      return "c.numbers[row] = reader.buffer.readFloatLE(take(reader, 4));";
    case "float64":
      return "c.numbers[row] = reader.f64();";
    case "int8":
      return "c.numbers[row] = readIntegerWithin(reader, -128, 127);";
    case "int16":
      return "c.numbers[row] = readIntegerWithin(reader, -32768, 32767);";
    case "int32":
    case "date":
      return "c.numbers[row] = readIntegerWithin(reader, -2147483648, 2147483647);";
    default:
      return "c.numbers[row] = readInteger(reader);";
  }
}

function putUnsigned(buffer: Uint8Array, at: number, value: number): number {
  let p = at;
  let rest = value;
  while (rest > 0x7f) {
    buffer[p++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[p++] = rest;
  return p;
}

function writeTextOf(writer: ByteWriter, column: Column, row: number): void {
  const start = column.starts[row] as number;
  if (start === -1) writer.string(column.texts[row] as string);
  else writer.bytes(column.bytes, start, column.ends[row]);
}

function setRange(column: Column, row: number, reader: ByteReader): void {
  const length = reader.varint();
  const at = take(reader, length);
  column.bytes = reader.buffer;
  column.starts[row] = at;
  column.ends[row] = at + length;
  if (column.texts.length > row) column.texts[row] = undefined;
}

function readFlag(reader: ByteReader): number {
  const byte = reader.u8();
  if (byte > 1) throw new RangeError(`${byte} before ${reader.position} is not a boolean`);
  return byte;
}

interface EnumTable {
  readonly field: SchemaField;
  readonly codec: ValueCodec;
  readonly indexes: ReadonlyMap<string, number>;
  readonly utf8: readonly Buffer[];
}

function enumTable(field: SchemaField): EnumTable {
  const values = field.spec.type.kind === "enum" ? field.spec.type.values : [];
  return {
    field,
    codec: valueCodec(field.name, field.spec),
    indexes: new Map(values.map((value, index) => [value, index])),
    utf8: values.map((value) => Buffer.from(value)),
  };
}

// The index of a row's text among the values of an enumeration, without making a string of a byte range.
function enumIndex(table: EnumTable, column: Column, row: number): number {
  const start = column.starts[row] as number;
  if (start === -1)
    return table.indexes.get(column.texts[row] as string) ?? refuseValue(table.field.name, table.field.spec, column.texts[row]);
  const length = (column.ends[row] as number) - start;
  const { bytes } = column;
  for (let v = 0; v < table.utf8.length; v++) {
    const value = table.utf8[v] as Buffer;
    if (value.length !== length) continue;
    let i = 0;
    while (i < length && bytes[start + i] === value[i]) i++;
    if (i === length) return v;
  }
  return refuseValue(table.field.name, table.field.spec, column.getText(row));
}

function enumOf(table: EnumTable, reader: ByteReader): string {
  return table.codec.read(reader) as string;
}

function refuseMark(name: string, mark: number): never {
  throw new Error(`field "${name}" is ${mark === 1 ? "null" : "missing"} in a column, but not by its schema`);
}

function badBitmap(at: number): never {
  throw new RangeError(`the presence bitmap at ${at} has bits that cannot be set`);
}
