// Directories by the values of a row: `year={at:yyyy}/country={country}`.
import { MillraceError } from "../../../base/errors.ts";
import type { Rows } from "../../../core/batch/batch.ts";
import { toJson } from "../../../core/codec/json-value.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";

/** The directory of a row, without slashes at its ends; "" for the top. */
export type PartitionOf = (rows: Rows, row: number) => string;

/** Stands for null in `name=value` directories, as in Hive. */
const nullValue = "__HIVE_DEFAULT_PARTITION__";
const placeholder = /\{([^{}:]+)(?::([^{}]*))?\}/g;
const eventTimeName = "$time";
const unitMs = { s: 1000, ms: 1, us: 0.001, ns: 0.000001 } as const;

function invalid(template: string, problem: string): MillraceError {
  return new MillraceError(
    "OPTION_INVALID",
    `files sink option "partition"`,
    `"${template}": ${problem}`,
    "write for example year={at:yyyy}/country={country}",
  );
}

/** Compiles a template. Throws OPTION_INVALID for a field that is not there or has no text form, and for a pattern that is none. */
export function partitionPath(template: string | undefined, schema: Schema): PartitionOf {
  if (template === undefined || template === "") return () => "";
  const segments = template.split("/").filter((segment) => segment !== "");
  const parts = segments.map((segment) => compileSegment(template, segment, schema));
  return (rows, row) => parts.map((part) => part(rows, row)).join("/");
}

function compileSegment(template: string, segment: string, schema: Schema): PartitionOf {
  const pieces: PartitionOf[] = [];
  let at = 0;
  for (const match of segment.matchAll(placeholder)) {
    const text = segment.slice(at, match.index);
    if (text !== "") pieces.push(() => text);
    const ofNull = segment.slice(0, match.index).endsWith("=") ? nullValue : "null";
    pieces.push(compileValue(template, match[1] as string, match[2], schema, ofNull));
    at = match.index + match[0].length;
  }
  const rest = segment.slice(at);
  if (/[{}]/.test(rest)) throw invalid(template, "has a brace without its other half");
  if (rest !== "") pieces.push(() => rest);
  // A name that begins with a dot or an underscore would be hidden from readers.
  return (rows, row) =>
    pieces
      .map((piece) => piece(rows, row))
      .join("")
      .replace(/^[._]/, (first) => (first === "." ? "%2E" : "%5F"));
}

function compileValue(template: string, name: string, pattern: string | undefined, schema: Schema, ofNull: string): PartitionOf {
  if (name === eventTimeName) {
    const format = timeFormat(template, pattern ?? "yyyy-MM-dd");
    return (rows, row) => {
      const timeMs = rows.times[row] as number;
      return Number.isFinite(timeMs) ? format(timeMs) : ofNull;
    };
  }
  const field = schema.find(name);
  if (field === undefined) throw invalid(template, `field "${name}" is not one of ${schema.fields.map((known) => known.name).join(", ")}`);
  if (pattern !== undefined) {
    const format = timeFormat(template, pattern);
    const toMs = timeOf(template, field);
    return (rows, row) => {
      const timeMs = toMs(rows, row);
      return timeMs === undefined ? ofNull : format(timeMs);
    };
  }
  return textOf(template, field, ofNull);
}

function isAbsent(field: SchemaField, rows: Rows, row: number): boolean {
  const { nulls } = rows.column(field.index);
  return nulls !== null && nulls[row] !== 0;
}

function timeOf(template: string, field: SchemaField): (rows: Rows, row: number) => number | undefined {
  const type = field.spec.type;
  if (type.kind !== "timestamp" && type.kind !== "date")
    throw invalid(template, `field "${field.name}" is a ${type.kind}, so it has no time pattern`);
  const scale = type.kind === "date" ? 86_400_000 : unitMs[type.unit];
  return (rows, row) => (isAbsent(field, rows, row) ? undefined : Math.floor((rows.column(field.index).numbers[row] as number) * scale));
}

const textKinds: ReadonlySet<string> = new Set([
  "boolean",
  "int8",
  "int16",
  "int32",
  "int64",
  "string",
  "enum",
  "date",
  "decimal",
  "timestamp",
]);

function textOf(template: string, field: SchemaField, ofNull: string): PartitionOf {
  const { name, spec } = field;
  if (!textKinds.has(spec.type.kind)) throw invalid(template, `field "${name}" is a ${spec.type.kind}, which makes no directory name`);
  return (rows, row) => {
    if (isAbsent(field, rows, row)) return ofNull;
    const column = rows.column(field.index);
    const value =
      column.kind === "text"
        ? column.getText(row)
        : column.kind === "object"
          ? column.objects[row]
          : column.kind === "int64"
            ? column.getInt64(row)
            : column.numbers[row];
    const shown = spec.type.kind === "boolean" ? String(value === 1) : String(toJson(spec, value));
    return encode(shown);
  };
}

/** The value as a part of a path: bytes that paths, URLs or Hive give a meaning are percent-encoded. An empty value is `%`. */
function encode(text: string): string {
  if (text === "") return "%";
  return text.toWellFormed().replace(/[^A-Za-z0-9_.,+@ -]/gu, (character) => {
    const encoded = encodeURIComponent(character);
    return encoded.startsWith("%") ? encoded : `%${encoded.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

const timeTokens: Readonly<Record<string, (date: Date) => string>> = {
  yyyy: (date) => String(date.getUTCFullYear()).padStart(4, "0"),
  MM: (date) => two(date.getUTCMonth() + 1),
  dd: (date) => two(date.getUTCDate()),
  HH: (date) => two(date.getUTCHours()),
  mm: (date) => two(date.getUTCMinutes()),
};

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** A pattern of yyyy, MM, dd, HH and mm, in UTC. */
function timeFormat(template: string, pattern: string): (timeMs: number) => string {
  const pieces = pattern.match(/yyyy|MM|dd|HH|mm|[^A-Za-z]+|[A-Za-z]+/g) ?? [];
  const bad = pieces.find((piece) => /^[A-Za-z]/.test(piece) && timeTokens[piece] === undefined);
  if (bad !== undefined || pieces.length === 0) throw invalid(template, `"${bad ?? pattern}" is not of yyyy, MM, dd, HH and mm`);
  let lastMinute = Number.NaN;
  let last = "";
  return (timeMs) => {
    // Rows of the same minute follow each other: the text of the last one mostly fits.
    const minute = Math.floor(timeMs / 60_000);
    if (minute === lastMinute) return last;
    lastMinute = minute;
    const date = new Date(timeMs);
    last = pieces.map((piece) => timeTokens[piece]?.(date) ?? piece).join("");
    return last;
  };
}
