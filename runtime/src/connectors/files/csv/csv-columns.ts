// Which column of a CSV file is which field, and how the text of a value becomes one.
import { MillraceError } from "../../../base/errors.ts";
import { type Column, isMissing, isNull, present } from "../../../core/batch/column.ts";
import { fits } from "../../../core/batch/rows-builder.ts";
import { fromJson } from "../../../core/codec/json-value.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import { plainInstantMs } from "./csv-instant.ts";

/** Puts the value `bytes[start, end)` into a row; returns why it cannot. */
export type PutValue = (column: Column, row: number, bytes: Buffer, start: number, end: number) => string | undefined;
/** Puts what stands for "no value" into a row; returns why there must be one. */
export type PutAbsent = (column: Column, row: number) => string | undefined;

export interface CsvColumn {
  readonly field: SchemaField;
  readonly put: PutValue;
  readonly putAbsent: PutAbsent;
}

export interface CsvColumns {
  /** By place in a record; undefined for columns that the schema does not have. */
  readonly byPlace: readonly (CsvColumn | undefined)[];
  /** Fields that the file does not have. */
  readonly absent: readonly CsvColumn[];
}

/** Names that a field is found under, the outside name first. */
export function namesOf(field: SchemaField): readonly string[] {
  return [field.spec.wireName ?? field.name, ...field.spec.aliases];
}

/** Finds the schema's fields in a header. Throws FILES_SCHEMA_MISFIT when one that must have a value is not there. */
export function csvColumns(path: string, schema: Schema, header: readonly string[] | undefined): CsvColumns {
  const columns = schema.fields.map(csvColumn);
  if (header === undefined) return { byPlace: columns, absent: [] };
  const byPlace: (CsvColumn | undefined)[] = header.map(() => undefined);
  const absent: CsvColumn[] = [];
  for (const column of columns) {
    const { field } = column;
    const place = namesOf(field)
      .map((name) => header.indexOf(name))
      .find((found) => found >= 0);
    if (place !== undefined) byPlace[place] = column;
    else if (field.spec.nullable || field.spec.optional || field.spec.default !== undefined) absent.push(column);
    else {
      const problem = `the header has no column "${namesOf(field)[0]}", only ${header.join(", ").slice(0, 500)}`;
      throw new MillraceError(
        "FILES_SCHEMA_MISFIT",
        path,
        problem,
        "correct the schema, name the column by .from(), or make the field optional",
      );
    }
  }
  return { byPlace, absent };
}

function csvColumn(field: SchemaField): CsvColumn {
  return { field, put: putter(field), putAbsent: absentPutter(field) };
}

/** Clears what an earlier row at this place may have left. */
function clear(column: Column, row: number): void {
  if (column.nulls !== null) column.nulls[row] = present;
}

function absentPutter({ name, spec, column: kind }: SchemaField): PutAbsent {
  if (spec.default !== undefined) {
    const value = fromJson(name, spec, spec.default);
    return (column, row) => {
      clear(column, row);
      store(column, row, value);
      return undefined;
    };
  }
  const mark = spec.nullable ? isNull : spec.optional ? isMissing : undefined;
  if (mark !== undefined) {
    return (column, row) => {
      column.setAbsent(row, mark);
      if (kind === "text") column.setText(row, "");
      else if (kind === "object") column.objects[row] = undefined;
      else column.numbers[row] = 0;
      return undefined;
    };
  }
  if (spec.type.kind === "string") {
    return (column, row) => {
      clear(column, row);
      column.setText(row, "");
      return undefined;
    };
  }
  return () => `field "${name}" has no value`;
}

function store(column: Column, row: number, value: unknown): void {
  switch (column.kind) {
    case "number":
      column.numbers[row] = typeof value === "boolean" ? Number(value) : (value as number);
      return;
    case "int64":
      column.setInt64(row, value as bigint);
      return;
    case "text":
      column.setText(row, value as string);
      return;
    case "object":
      column.objects[row] = value;
  }
}

/** Digits that a double holds exactly whatever they are. */
const safeDigits = 15;
const numberText = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const floatWords: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Infinity,
  infinity: Infinity,
  "-inf": -Infinity,
  "-infinity": -Infinity,
};
const zonelessTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/;
const zoneAtEnd = /(?:[Zz]|[+-]\d\d:?\d\d)$/;
const dayOnly = /^\d{4}-\d\d-\d\d$/;

function putter(field: SchemaField): PutValue {
  const { name, spec } = field;
  const type = spec.type;
  const isMs = type.kind === "timestamp" && type.unit === "ms";
  const misfit = (bytes: Buffer, start: number, end: number): string =>
    `field "${name}": "${bytes.toString("utf8", start, Math.min(end, start + 80))}" is not a ${type.kind}`;
  switch (type.kind) {
    case "string":
      return (column, row, bytes, start, end) => {
        clear(column, row);
        // The bytes of the block are the value; a string is made only when somebody asks for it.
        column.bytes = bytes;
        column.starts[row] = start;
        column.ends[row] = end;
        if (column.texts.length > row) column.texts[row] = undefined;
        return undefined;
      };
    case "int8":
    case "int16":
    case "int32":
      return (column, row, bytes, start, end) => {
        const value = integerOf(bytes, start, end);
        if (!fits(spec, value)) return misfit(bytes, start, end);
        clear(column, row);
        column.numbers[row] = value;
        return undefined;
      };
    case "float32":
    case "float64":
      return (column, row, bytes, start, end) => {
        const text = bytes.toString("latin1", start, end);
        const value = numberText.test(text) ? Number(text) : floatWords[text.toLowerCase()];
        if (value === undefined) return misfit(bytes, start, end);
        clear(column, row);
        column.numbers[row] = type.kind === "float32" ? Math.fround(value) : value;
        return undefined;
      };
    case "boolean":
      return (column, row, bytes, start, end) => {
        const text = bytes.toString("latin1", start, end).toLowerCase();
        if (text !== "true" && text !== "false" && text !== "1" && text !== "0") return misfit(bytes, start, end);
        clear(column, row);
        column.numbers[row] = text === "true" || text === "1" ? 1 : 0;
        return undefined;
      };
    default:
      return (column, row, bytes, start, end) => {
        if (isMs) {
          const instantMs = plainInstantMs(bytes, start, end);
          if (!Number.isNaN(instantMs)) {
            clear(column, row);
            column.numbers[row] = instantMs;
            return undefined;
          }
        }
        if (column.kind === "number" && end - start <= safeDigits) {
          const quick = integerOf(bytes, start, end);
          if (!Number.isNaN(quick) && type.kind !== "date") {
            clear(column, row);
            column.numbers[row] = quick;
            return undefined;
          }
        }
        const value = valueOf(field, bytes.toString("utf8", start, end));
        if (value === unfit) return misfit(bytes, start, end);
        clear(column, row);
        store(column, row, value);
        return undefined;
      };
  }
}

const unfit: unique symbol = Symbol("unfit");

/** The value of a text that is neither a plain number nor plain text; nested types are written as JSON. */
function valueOf({ name, spec }: SchemaField, text: string): unknown {
  try {
    switch (spec.type.kind) {
      case "timestamp":
        return fromJson(name, { ...spec, type: { ...spec.type, text: /^[+-]?\d+$/.test(text) ? "number" : "iso" } }, instantOf(text));
      case "list":
      case "map":
      case "struct":
      case "any":
        return fromJson(name, spec, JSON.parse(text) as unknown);
      default:
        return fromJson(name, spec, text);
    }
  } catch {
    return unfit;
  }
}

/** An instant as ISO 8601 with a zone: CSV files mostly leave it out and mean UTC. */
function instantOf(text: string): string {
  if (dayOnly.test(text)) return `${text}T00:00:00Z`;
  return zonelessTime.test(text) && !zoneAtEnd.test(text.slice(10)) ? `${text}Z` : text;
}

/** A whole number of at most 15 digits from its bytes; NaN for anything else. */
function integerOf(bytes: Buffer, start: number, end: number): number {
  let at = start;
  const sign = bytes[at];
  if (sign === 45 || sign === 43) at++;
  if (at >= end || end - at > safeDigits) return Number.NaN;
  let value = 0;
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return sign === 45 ? -value : value;
}
