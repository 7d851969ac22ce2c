// Output rows under construction: an operator appends rows, and full batches go to its output.
import { MillraceError } from "../../base/errors.ts";
import { Decimal } from "../schema/decimal.ts";
import type { Schema, SchemaField } from "../schema/schema.ts";
import type { FieldSpec } from "../schema/type-spec.ts";
import { Batch, type RowKind, Rows, identitySelection } from "./batch.ts";
import { isMissing, isNull } from "./column.ts";

/** Where batches go: the next operator of a chain, an exchange, a sink. The batch is valid only during the call. */
export interface Output {
  emit(batch: Batch): void;
}

export type RowWriter = (rows: Rows, row: number, value: unknown) => void;
const writers = new WeakMap<Schema, RowWriter>();

/**
 * Writes a row object into columns, checking each value against its field.
 * Throws ROW_INVALID with the field for a value that does not fit: it is the user's function that made it.
 */
export function rowWriter(schema: Schema): RowWriter {
  let made = writers.get(schema);
  if (made === undefined) {
    made = compileWriter(schema);
    writers.set(schema, made);
  }
  return made;
}

/** Collects rows of one schema and hands on a batch whenever `capacity` rows are there, and at `flush`. */
export class RowsBuilder {
  readonly rows: Rows;
  readonly #output: Output;
  readonly #capacity: number;
  readonly #write: RowWriter;
  readonly #batch: Batch;

  constructor(schema: Schema, output: Output, capacity = 1024) {
    this.rows = new Rows(schema, capacity);
    this.rows.ready.fill(1);
    this.#output = output;
    this.#capacity = capacity;
    this.#write = rowWriter(schema);
    this.#batch = new Batch(this.rows);
  }

  /** Appends a row object. */
  append(value: unknown, timeMs: number, kind: RowKind = 0): void {
    this.write(value, timeMs, kind);
    this.flushIfFull();
  }

  /**
   * Appends a row object and hands nothing on, so that what this throws is the row's fault and never that of an operator
   * downstream. A row that does not fit leaves no trace. The caller calls `flushIfFull`.
   */
  write(value: unknown, timeMs: number, kind: RowKind = 0): void {
    const row = this.next(timeMs, kind);
    try {
      this.#write(this.rows, row, value);
    } catch (error) {
      this.rollback(row);
      throw error;
    }
  }

  /** Takes back the rows from number `size` on: those that were appended since `rows.size` was that. */
  rollback(size: number): void {
    const rows = this.rows;
    // A later row finds its columns as if nothing had been written: stores do not clear the marks of absence.
    for (const column of rows.columns) column.nulls?.fill(0, size, rows.size);
    rows.size = size;
  }

  /** Opens a row whose columns the caller fills; it calls `flushIfFull` when they are. Grows where the caller opens more before that. */
  next(timeMs: number, kind: RowKind = 0): number {
    const rows = this.rows;
    const row = rows.size++;
    if (row >= rows.capacity) rows.ensure(row + 1);
    rows.times[row] = timeMs;
    if (kind !== 0 || rows.kinds !== null) rows.setKind(row, kind);
    return row;
  }

  flushIfFull(): void {
    if (this.rows.size >= this.#capacity) this.flush();
  }

  /** Hands on what is there. Operators call it at the end of each call that may have appended. */
  flush(): void {
    const rows = this.rows;
    if (rows.size === 0) return;
    this.#output.emit(this.#batch.set(rows, identitySelection(rows.size), rows.size));
    rows.reset();
    rows.ready.fill(1);
  }
}

function refuse(field: SchemaField, value: unknown): never {
  const shown = typeof value === "bigint" ? `${value}n` : value === undefined ? "undefined" : (JSON.stringify(value) ?? String(value));
  throw new MillraceError(
    "ROW_INVALID",
    `field "${field.name}"`,
    `${shown.slice(0, 80)} is not a ${describe(field.spec)}`,
    "return a value of the field's type, or declare the field nullable or optional",
  );
}

function describe(spec: FieldSpec): string {
  return spec.type.kind === "int64" ? (spec.type.as === "number" ? "safe integer" : "bigint within 64 bits") : spec.type.kind;
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;

/** True where a value that is neither null nor undefined fits its type; nested values are checked by the codec that writes them. */
export function fits(spec: FieldSpec, value: unknown): boolean {
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean";
    case "int8":
      return Number.isInteger(value) && (value as number) >= -128 && (value as number) <= 127;
    case "int16":
      return Number.isInteger(value) && (value as number) >= -32768 && (value as number) <= 32767;
    case "int32":
    case "date":
      return typeof value === "number" && (value | 0) === value;
    case "int64":
      return type.as === "number" ? Number.isSafeInteger(value) : typeof value === "bigint" && value >= int64Min && value <= int64Max;
    case "timestamp":
      return type.unit === "ns" ? typeof value === "bigint" && value >= int64Min && value <= int64Max : Number.isSafeInteger(value);
    case "float32":
    case "float64":
      return typeof value === "number";
    case "string":
      return typeof value === "string";
    case "enum":
      return typeof value === "string" && type.values.includes(value);
    case "decimal":
      return value instanceof Decimal;
    case "bytes":
      return value instanceof Uint8Array;
    case "list":
      return Array.isArray(value);
    case "map":
      return value instanceof Map;
    case "struct":
      return typeof value === "object" && value !== null;
    case "any":
      return true;
  }
}

function writeAbsent(rows: Rows, row: number, field: SchemaField, value: null | undefined): void {
  if (field.spec.type.kind === "any" && value === null) {
    (rows.columns[field.index] as { objects: unknown[] }).objects[row] = null;
    return;
  }
  if (value === null ? !field.spec.nullable : !field.spec.optional) refuse(field, value);
  const column = rows.columns[field.index];
  if (column === undefined) return;
  column.setAbsent(row, value === null ? isNull : isMissing);
  if (column.kind === "text") column.setText(row, "");
  else if (column.kind === "object") column.objects[row] = undefined;
  else column.numbers[row] = 0;
}

/**
 * A text that a function has put together from pieces is kept by V8 as a tree of them, which can take ten times the memory of its characters
 * and is not what memory budgets count. Looking at a character makes one piece of it; shorter texts are not worth the look.
 */
const mostPieces = 64;

// Generated from the schema alone: one straight sequence of checks and stores per row.
function compileWriter(schema: Schema): RowWriter {
  const lines = schema.fields.map((field) => {
    const { index, name } = field;
    const type = field.spec.type;
    const quick =
      type.kind === "float64" || type.kind === "float32"
        ? `typeof v === "number"`
        : type.kind === "string"
          ? `typeof v === "string"`
          : type.kind === "boolean"
            ? `typeof v === "boolean"`
            : type.kind === "int32"
              ? `(v | 0) === v`
              : `fits(fields[${index}].spec, v)`;
    const store =
      field.column === "number"
        ? `c.numbers[row] = ${type.kind === "boolean" ? "v ? 1 : 0" : type.kind === "float32" ? "Math.fround(v)" : "v"};`
        : field.column === "int64"
          ? "c.setInt64(row, v);"
          : field.column === "text"
            ? `if (v.length > ${mostPieces}) seen ^= v.charCodeAt(0); c.setText(row, v);`
            : type.kind === "decimal"
              ? `c.objects[row] = v.rescale(${type.scale});`
              : "c.objects[row] = v;";
    return `{ const v = value.${name}; const c = rows.columns[${index}];
      if (v === null || v === undefined) absent(rows, row, fields[${index}], v);
      else if (${quick}) { ${store} } else refuse(fields[${index}], v); }`;
  });
  const source = `let seen = 0; return (rows, row, value) => {
    if (value === null || typeof value !== "object") throw new TypeError("a row must be an object, not " + (value === null ? "null" : typeof value));
    ${lines.join("\n")} };`;
  return new Function("fields", "fits", "absent", "refuse", source)(schema.fields, fits, writeAbsent, refuse) as RowWriter;
}
