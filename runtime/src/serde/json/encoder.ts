// The JSON encoder: code generated from the schema writes a row's bytes straight from its columns.
import type { ByteWriter } from "../../base/bytes.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { RecordEncoder } from "../../core/ports/format.ts";
import type { Schema, SchemaField } from "../../core/schema/schema.ts";
import { maxNumberBytes, putDouble, putInteger, writeBigint } from "./write-number.ts";
import { type NestedOptions, nestedText } from "./write-nested.ts";
import { writeText, writeTextBytes } from "./write-text.ts";
import { writeDay, writeInstant } from "./write-time.ts";

// Text columns that are ranges of one buffer share its view from row to row.
class TextSource {
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  write(writer: ByteWriter, column: Column, row: number): void {
    const start = column.starts[row] as number;
    if (start < 0) {
      writeText(writer, column.texts[row] as string);
      return;
    }
    const { bytes } = column;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    writeTextBytes(writer, bytes, this.#view, start, column.ends[row] as number);
  }
}

// Bytes that are always the same, as word stores of which the last may overlap the one before.
function store(bytes: Buffer): string {
  const parts: string[] = [];
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) parts.push(`d.setInt32(p + ${at}, ${bytes.readInt32LE(at)}, true);`);
  if (at < bytes.length) {
    if (bytes.length >= 4) parts.push(`d.setInt32(p + ${bytes.length - 4}, ${bytes.readInt32LE(bytes.length - 4)}, true);`);
    else for (; at < bytes.length; at++) parts.push(`d.setUint8(p + ${at}, ${bytes[at] as number});`);
  }
  return `${parts.join(" ")} p += ${bytes.length};`;
}

// Writes a value at `p` where room is reserved for it; undefined for values of unbounded size.
function boundedValue(field: SchemaField): string | undefined {
  const c = `c${field.index}`;
  const type = field.spec.type;
  switch (type.kind) {
    case "boolean":
      return `if (${c}.numbers[row] === 1) { ${store(Buffer.from("true"))} } else { ${store(Buffer.from("false"))} }`;
    case "float32":
    case "float64":
      return `p = putDouble(d, p, ${c}.numbers[row], ${type.kind === "float32"});`;
    case "int8":
    case "int16":
    case "int32":
      return `p = putInteger(d, p, ${c}.numbers[row]);`;
    case "int64":
    case "timestamp":
      if (type.kind === "timestamp" && type.text === "iso") return undefined;
      if (field.column === "number") return `p = putInteger(d, p, ${c}.numbers[row]);`;
      return `if (${c}.exact !== null && ${c}.exact.has(row)) { w.length = p; writeBigint(w, ${c}.exact.get(row)); p = w.length; } else p = putInteger(d, p, ${c}.numbers[row]);`;
    default:
      return undefined;
  }
}

function unboundedValue(field: SchemaField): string {
  const { index, column } = field;
  const kind = field.spec.type.kind;
  if (kind === "timestamp") return `writeInstant(w, fields[${index}], c${index}, row);`;
  if (kind === "date") return `writeDay(w, fields[${index}], c${index}, row);`;
  if (column === "text") return `text${index}.write(w, c${index}, row);`;
  return `w.utf8Raw(nestedText(fields[${index}].name, fields[${index}].spec, c${index}.objects[row], options));`;
}

type EncodeRow = (rows: Rows, row: number, writer: ByteWriter) => void;

function compile(schema: Schema, options: NestedOptions): EncodeRow {
  const { fields } = schema;
  // Each field is written with a comma before it; the first one becomes the brace at the end.
  const prefixes = fields.map((field) => Buffer.from(`,${JSON.stringify(field.spec.wireName ?? field.name)}:`));
  const room = prefixes.reduce((sum, prefix) => sum + prefix.length + maxNumberBytes, 16);
  const lines = fields.map((field) => {
    const { index, spec } = field;
    const prefix = store(prefixes[index] as Buffer);
    const bounded = boundedValue(field);
    // Values of unbounded size make their own room, and the room for all that is bounded again.
    const value = bounded ?? `w.length = p; ${unboundedValue(field)} p = w.reserve(${room}); d = w.data;`;
    const load = `const c${index} = rows.ready[${index}] !== 0 ? rows.columns[${index}] : rows.column(${index});`;
    if (!spec.nullable && !spec.optional) return `${load} ${prefix} ${value}`;
    return `${load} const m${index} = c${index}.nulls === null ? 0 : c${index}.nulls[row];
      if (m${index} === 0) { ${prefix} ${value} } else if (m${index} === 1) { ${prefix} ${store(Buffer.from("null"))} }`;
  });
  const source = `
    ${fields.map((field) => (field.column === "text" ? `const text${field.index} = new TextSource();` : "")).join("")}
    return function encodeRow(rows, row, w) {
      const start = w.reserve(${room});
      let p = start, d = w.data;
      ${lines.join("\n      ")}
      if (p === start) p++;
      d.setUint8(start, 0x7b);
      d.setUint8(p++, 0x7d);
      w.length = p;
    };`;
  const scope = { fields, options, TextSource, putInteger, putDouble, writeBigint, writeInstant, writeDay, nestedText };
  return new Function(...Object.keys(scope), source)(...Object.values(scope)) as EncodeRow;
}

/** Encodes rows of `schema`: every field under its wire name, in the schema's order; missing fields are left out. */
export class JsonEncoder implements RecordEncoder {
  readonly #encodeRow: EncodeRow;

  constructor(schema: Schema, options: NestedOptions) {
    this.#encodeRow = compile(schema, options);
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    this.#encodeRow(rows, row, writer);
    return true;
  }
}
