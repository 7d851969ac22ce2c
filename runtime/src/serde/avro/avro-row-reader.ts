// Reads records of one written Avro schema into columns: one closure per written field, in the order of the bytes.
import type { ByteReader } from "../../base/bytes.ts";
import { type Column, isMissing, isNull } from "../../core/batch/column.ts";
import { assertUtf8, take } from "../../core/codec/text.ts";
import { readInt64Into } from "../../core/codec/varint.ts";
import type { Schema, SchemaField } from "../../core/schema/schema.ts";
import { misfit } from "../bad-record.ts";
import { absentPutter, putAbsent, putValue } from "../put-value.ts";
import { Unfit, boundedInteger, fieldConversion, pairFields, readSafe, writtenUnit } from "./avro-conversion.ts";
import type { AvroType } from "./avro-schema.ts";
import { type Skip, readBoolean, readBranch, readLength } from "./avro-values.ts";

/** Reads one value into a column at a row. */
type ReadColumn = (reader: ByteReader, column: Column, row: number) => void;

interface Step {
  /** -1 for a field that the schema does not have. */
  readonly index: number;
  readonly read: ReadColumn;
}

/** A field that the written record does not have. */
interface AbsentField {
  readonly index: number;
  readonly put: (column: Column, row: number) => void;
}

export class AvroRowReader {
  readonly #steps: readonly Step[];
  readonly #absent: readonly AbsentField[];

  private constructor(steps: readonly Step[], absent: readonly AbsentField[]) {
    this.#steps = steps;
    this.#absent = absent;
  }

  /** The reader of records written with `written`, or why their fields cannot be those of `schema`. */
  static make(written: AvroType, schema: Schema): AvroRowReader | Unfit {
    if (written.kind !== "record") return new Unfit(`the written schema is a ${written.kind}, not a record`);
    const pairs = pairFields(written, schema.spec);
    const steps: Step[] = [];
    for (const field of pairs.written) {
      if (field.index < 0) {
        steps.push({ index: -1, read: (field as { readonly skip: Skip }).skip });
        continue;
      }
      const target = schema.fields[field.index] as SchemaField;
      const read = readColumn(target, (field as { readonly type: AvroType }).type);
      if (read instanceof Unfit) return read;
      steps.push({ index: field.index, read });
    }
    const absent = pairs.absent.map((index) => ({ field: schema.fields[index] as SchemaField, index }));
    const required = absent.find(({ field }) => !field.spec.optional && field.spec.default === undefined);
    if (required !== undefined) return new Unfit(`field "${required.field.name}" is missing there`);
    return new AvroRowReader(
      steps,
      absent.map(({ field, index }) => ({ index, put: absentPutter(field.name, field.spec) })),
    );
  }

  /** Reads one record; throws BadRecord or RangeError. */
  read(reader: ByteReader, columns: readonly Column[], row: number): void {
    const steps = this.#steps;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      step.read(reader, columns[step.index] as Column, row);
    }
    for (const { index, put } of this.#absent) put(columns[index] as Column, row);
  }
}

function readColumn(field: SchemaField, type: AvroType): ReadColumn | Unfit {
  const direct = readDirectly(field, type);
  if (direct !== undefined) return direct;
  if (type.kind === "union" && field.spec.type.kind !== "any") return readUnion(field, type.branches);
  const read = fieldConversion(field.name, type, field.spec);
  if (read instanceof Unfit) return read;
  const putNull = field.spec.type.kind !== "any";
  return (reader, column, row) => {
    const value = read(reader);
    if (value === null && putNull) putAbsent(column, row, isNull);
    else putValue(column, row, value);
  };
}

// The usual pairs, without a value in between.
function readDirectly({ name, spec }: SchemaField, type: AvroType): ReadColumn | undefined {
  const isInteger = type.kind === "int" || type.kind === "long";
  switch (spec.type.kind) {
    case "int8":
    case "int16":
    case "int32":
    case "date": {
      if (!isInteger) return undefined;
      const read = boundedInteger(name, spec.type.kind);
      return (reader, column, row) => {
        column.numbers[row] = read(reader);
      };
    }
    case "int64":
    case "timestamp":
      if (!isInteger) return undefined;
      if (spec.type.kind === "timestamp" && writtenUnit(type.logical, spec.type.unit) !== spec.type.unit) return undefined;
      if (spec.type.kind === "timestamp" ? spec.type.unit === "ns" : spec.type.as === "bigint") return readInt64Into;
      return (reader, column, row) => {
        column.numbers[row] = readSafe(reader, name);
      };
    case "boolean":
      if (type.kind !== "boolean") return undefined;
      return (reader, column, row) => {
        column.numbers[row] = readBoolean(reader) ? 1 : 0;
      };
    case "float64":
      if (type.kind !== "double") return undefined;
      return (reader, column, row) => {
        column.numbers[row] = reader.f64();
      };
    case "string":
      return type.kind === "string" ? readTextRange : undefined;
    default:
      return undefined;
  }
}

// Text stays where it is, once it is known to be text.
function readTextRange(reader: ByteReader, column: Column, row: number): void {
  const length = readLength(reader);
  const at = take(reader, length);
  assertUtf8(reader, at, at + length);
  column.starts[row] = at;
  column.ends[row] = at + length;
}

function readUnion(field: SchemaField, branches: readonly AvroType[]): ReadColumn | Unfit {
  const reads = branches.map((branch): ReadColumn | Unfit => {
    if (branch.kind !== "null") return readColumn(field, branch);
    return field.spec.nullable
      ? (_reader, column, row) => putAbsent(column, row, isNull)
      : field.spec.optional
        ? (_reader, column, row) => putAbsent(column, row, isMissing)
        : () => misfit(field.name, "is null");
  });
  const useful = reads.some((read, index) => !(read instanceof Unfit) && branches[index]?.kind !== "null");
  if (!useful && branches.some(({ kind }) => kind !== "null")) return reads.find((read) => read instanceof Unfit) as Unfit;
  const usable = reads.map(
    (read, index): ReadColumn =>
      read instanceof Unfit ? () => misfit(field.name, `is a ${branches[index]?.kind}, not ${field.spec.type.kind}`) : read,
  );
  return (reader, column, row) => (usable[readBranch(reader, usable.length)] as ReadColumn)(reader, column, row);
}
