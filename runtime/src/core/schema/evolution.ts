// Schema evolution: how rows that an older version of a schema wrote are read into today's columns, or why they cannot be.
import type { ByteReader } from "../../base/bytes.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { Rows } from "../batch/batch.ts";
import { Column, isMissing, isNull, present } from "../batch/column.ts";
import { copyValue } from "../batch/copy.ts";
import { rowWriter } from "../batch/rows-builder.ts";
import { rowCodec } from "../codec/row-codec.ts";
import { absentValue, addedConversion, type Conversion, type Convert, conversionOf, storedNameOf } from "./conversion.ts";
import { Schema, type SchemaField } from "./schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "./type-spec.ts";

/** A schema as a manifest stores it: JSON objects promise no order of fields, so it stands beside them. */
export interface StoredSchema {
  readonly spec: RowSpec;
  readonly order: readonly string[];
}

/** From the value an older version stored, as a plain object, to one of today's schema. */
export type Migrate = (old: Readonly<Record<string, unknown>>) => Record<string, unknown>;

/** Reads one stored row into columns of today's schema. */
export type RowAdapter = (reader: ByteReader, columns: readonly Column[], row: number) => void;

/** The schema that a manifest describes. */
export function schemaOf(stored: StoredSchema): Schema {
  return new Schema(Object.fromEntries(stored.order.map((name) => [name, stored.spec[name]])) as RowSpec);
}

/**
 * Plans how rows of `stored` become rows of `today`. Rows of the same shape are read as they are. With `migrate`, rows of any
 * other shape go through it. Without, fields may have been added (optional, nullable or with a default), removed, renamed
 * (with an alias) and widened: int8 < int16 < int32 < int53 < int64, float32 < float64, a decimal with no fewer digits on either
 * side of the point, an enumeration with more values, null allowed where it was not; the same within lists, maps and structs.
 * Anything else throws STATE_SCHEMA_INCOMPATIBLE, which names `subject`, the field and both versions.
 */
export function planAdaptation(subject: string, stored: StoredSchema, today: Schema, migrate?: Migrate): RowAdapter {
  const old = schemaOf(stored);
  if (shapeOf(old.spec) === shapeOf(today.spec)) return rowCodec(today).decode;
  if (migrate !== undefined) return migrated(subject, old, today, migrate);
  const misfit = firstMisfit(old, today);
  if (misfit === undefined) return adapted(old, today);
  throw new MillraceError(
    "STATE_SCHEMA_INCOMPATIBLE",
    subject,
    `field "${misfit.path}" ${misfit.problem} (stored version ${old.fingerprint}, today's ${today.fingerprint})`,
    "make the change one that widens, or give the table a migrate function",
  );
}

/** What of a schema decides its rows' bytes, as text. The order of a struct's fields is part of it. */
function shapeOf(spec: RowSpec): string {
  const shape = (field: FieldSpec): unknown => [field.nullable, field.optional, typeShape(field.type)];
  const typeShape = (type: TypeSpec): unknown => {
    if (type.kind === "list" || type.kind === "map") return [type.kind, shape(type.of)];
    if (type.kind === "struct") return [type.kind, Object.entries(type.fields).map(([name, field]) => [name, shape(field)])];
    return type.kind === "timestamp" ? [type.kind, type.unit] : type;
  };
  return JSON.stringify(Object.entries(spec).map(([name, field]) => [name, shape(field)]));
}

function firstMisfit(old: Schema, today: Schema): (Conversion & { kind: "misfit" }) | undefined {
  for (const { name, spec } of today.fields) {
    const from = storedNameOf(name, spec, old.spec);
    const conversion = from === undefined ? addedConversion(name, spec) : conversionOf(name, old.field(from).spec, spec);
    if (conversion.kind === "misfit") return conversion;
  }
  return undefined;
}

type MoveField = (from: readonly Column[], columns: readonly Column[], row: number) => void;

// Rows are decoded into columns of their own schema, one row long, and moved from there field by field.
function adapted(old: Schema, today: Schema): RowAdapter {
  const scratch = old.fields.map((field) => new Column(field.column, 1));
  const decode = rowCodec(old).decode;
  const moves = today.fields.map((field): MoveField => {
    const from = storedNameOf(field.name, field.spec, old.spec);
    const absent = absentValue(field.name, field.spec, from === undefined);
    const store = storeInto(field);
    if (from === undefined) return (_from, columns, row) => store(columns[field.index] as Column, row, absent);
    const source = old.field(from);
    return moveField(source, field, absent, store);
  });
  return (reader, columns, row) => {
    decode(reader, scratch, 0);
    for (const move of moves) move(scratch, columns, row);
  };
}

function moveField(source: SchemaField, field: SchemaField, absent: unknown, store: StoreValue): MoveField {
  const conversion = conversionOf(field.name, source.spec, field.spec);
  const convert: Convert | undefined = conversion.kind === "fits" ? conversion.convert : undefined;
  return (scratch, columns, row) => {
    const from = scratch[source.index] as Column;
    const to = columns[field.index] as Column;
    const mark = from.nulls === null ? present : (from.nulls[0] as number);
    if (mark === isMissing) store(to, row, absent);
    else if (mark === isNull || convert === undefined) copyValue(from, 0, to, row);
    else store(to, row, convert(from.kind === "object" ? from.objects[0] : from.numbers[0]));
  };
}

type StoreValue = (column: Column, row: number, value: unknown) => void;

function storeInto(field: SchemaField): StoreValue {
  const isBoolean = field.spec.type.kind === "boolean";
  return (column, row, value) => {
    if (value === null || value === undefined) {
      column.setAbsent(row, value === null ? isNull : isMissing);
      if (column.kind === "text") column.setText(row, "");
      else if (column.kind === "object") column.objects[row] = undefined;
      else column.numbers[row] = 0;
      return;
    }
    if (column.nulls !== null) column.nulls[row] = present;
    if (column.kind === "number") column.numbers[row] = isBoolean ? Number(value) : (value as number);
    else if (column.kind === "int64") column.setInt64(row, value as bigint);
    else if (column.kind === "text") column.setText(row, value as string);
    else column.objects[row] = value;
  };
}

function migrated(subject: string, old: Schema, today: Schema, migrate: Migrate): RowAdapter {
  const codec = rowCodec(old);
  const write = rowWriter(today);
  const scratch = new Rows(today, 1);
  scratch.ready.fill(1);
  return (reader, columns, row) => {
    const value = codec.decodeObject(reader) as Readonly<Record<string, unknown>>;
    try {
      write(scratch, 0, withDefaults(today, migrate(value)));
    } catch (error) {
      throw new MillraceError(
        "STATE_MIGRATION_FAILED",
        subject,
        `its migrate function failed on a value of version ${old.fingerprint}: ${messageOf(error)}`,
        "correct the function; the snapshot is unchanged",
        { cause: error },
      );
    }
    for (const field of today.fields) copyValue(scratch.columns[field.index] as Column, 0, columns[field.index] as Column, row);
    for (const column of scratch.columns) column.reset();
  };
}

function withDefaults(today: Schema, row: Record<string, unknown>): Record<string, unknown> {
  const full = { ...row };
  for (const { name, spec } of today.fields) {
    if (full[name] === undefined && spec.default !== undefined) full[name] = absentValue(name, spec, false);
  }
  return full;
}
