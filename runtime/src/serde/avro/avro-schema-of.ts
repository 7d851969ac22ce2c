// Schemas of rows as Avro schemas and back.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";
import { type AvroField, type AvroType, parseAvroSchema } from "./avro-schema.ts";

const avroName = /^[A-Za-z_][A-Za-z0-9_]*$/;

function unsupported(name: string, problem: string): never {
  throw new MillraceError(
    "FORMAT_SCHEMA_MISFIT",
    `field "${name}"`,
    `${problem} has no Avro form`,
    "choose another type, or leave the field out",
  );
}

/** True where an enumeration can be an Avro enum: its values are names. Others are written as text. */
export function isAvroEnum(values: readonly string[]): boolean {
  return values.every((value) => avroName.test(value));
}

/** The Avro schema, as JSON, that rows are written with. A field that may be null or missing is a union with null. Throws FORMAT_SCHEMA_MISFIT. */
export function avroSchemaOf(schema: Schema, recordName = "Row"): unknown {
  return recordOf(schema.spec, recordName);
}

function recordOf(spec: RowSpec, recordName: string): unknown {
  return { type: "record", name: recordName, fields: Object.entries(spec).map(([name, field]) => fieldOf(name, field, recordName)) };
}

function fieldOf(name: string, field: FieldSpec, recordName: string): unknown {
  const wireName = field.wireName ?? name;
  if (!avroName.test(wireName)) unsupported(name, `the name "${wireName}"`);
  const type = typeOf(`${recordName}_${name}`, name, field.type);
  return field.nullable || field.optional ? { name: wireName, type: ["null", type], default: null } : { name: wireName, type };
}

function elementOf(typeName: string, name: string, spec: FieldSpec): unknown {
  const type = typeOf(typeName, name, spec.type);
  return spec.nullable || spec.optional ? ["null", type] : type;
}

function typeOf(typeName: string, name: string, type: TypeSpec): unknown {
  switch (type.kind) {
    case "boolean":
    case "string":
    case "bytes":
      return type.kind;
    case "int8":
    case "int16":
    case "int32":
      return "int";
    case "int64":
      return "long";
    case "float32":
      return "float";
    case "float64":
      return "double";
    case "decimal":
      return { type: "bytes", logicalType: "decimal", precision: type.precision, scale: type.scale };
    case "date":
      return { type: "int", logicalType: "date" };
    case "timestamp":
      // Avro has no logical type for seconds.
      return type.unit === "s"
        ? "long"
        : { type: "long", logicalType: { ms: "timestamp-millis", us: "timestamp-micros", ns: "timestamp-nanos" }[type.unit] };
    case "enum":
      return isAvroEnum(type.values) ? { type: "enum", name: typeName, symbols: type.values } : "string";
    case "list":
      return { type: "array", items: elementOf(`${typeName}_item`, `${name}[]`, type.of) };
    case "map":
      return { type: "map", values: elementOf(`${typeName}_value`, `${name}{}`, type.of) };
    case "struct":
      return recordOf(type.fields, typeName);
    case "any":
      return unsupported(name, "type any");
  }
}

const fieldName = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** The schema of rows that an Avro record schema describes. Unions of several types, and types within themselves, become `any`. */
export function schemaFromAvro(schema: unknown, references: readonly string[] = []): Schema {
  const type = parseAvroSchema(schema, references);
  if (type.kind !== "record")
    throw new MillraceError("FORMAT_SCHEMA_MISFIT", "Avro schema", `it is a ${type.kind}`, "give the schema of a record");
  return new Schema(rowSpecOf(type.fields, new Set([type])));
}

function rowSpecOf(fields: readonly AvroField[], open: ReadonlySet<AvroType>): RowSpec {
  return Object.fromEntries(fields.map((field) => [fieldName.test(field.name) ? field.name : `_${field.name}`, specOf(field, open)]));
}

function specOf({ name, type, default: given }: AvroField, open: ReadonlySet<AvroType>): FieldSpec {
  const spec = { ...elementSpec(type, open), ...(fieldName.test(name) ? {} : { wireName: name }) };
  // A default of bytes is text with a character per byte.
  const value = typeof given === "string" && spec.type.kind === "bytes" ? Buffer.from(given, "latin1").toString("base64") : given;
  const usable = value !== undefined && spec.type.kind !== "any" && spec.type.kind !== "decimal" && spec.type.kind !== "struct";
  return usable ? { ...spec, default: value } : spec;
}

function elementSpec(type: AvroType, open: ReadonlySet<AvroType>): FieldSpec {
  const branches = type.kind === "union" ? type.branches : [type];
  const values = branches.filter(({ kind }) => kind !== "null");
  const only = values.length === 1 ? values[0] : undefined;
  const spec: TypeSpec = only === undefined || open.has(only) ? { kind: "any" } : specType(only, new Set([...open, only]));
  return { type: spec, nullable: values.length < branches.length && spec.kind !== "any", optional: false, aliases: [] };
}

function specType(type: AvroType, open: ReadonlySet<AvroType>): TypeSpec {
  switch (type.kind) {
    case "boolean":
    case "string":
      return { kind: type.kind };
    case "int":
      return type.logical?.kind === "date" ? { kind: "date" } : { kind: "int32" };
    case "long":
      return type.logical?.kind === "timestamp"
        ? { kind: "timestamp", unit: type.logical.unit, text: "number" }
        : { kind: "int64", as: "bigint" };
    case "float":
      return { kind: "float32" };
    case "double":
      return { kind: "float64" };
    case "bytes":
    case "fixed":
      return type.logical?.kind === "decimal"
        ? { kind: "decimal", precision: type.logical.precision, scale: type.logical.scale }
        : { kind: "bytes" };
    case "enum":
      return { kind: "enum", values: type.symbols };
    case "array":
      return { kind: "list", of: elementSpec(type.items, open) };
    case "map":
      return { kind: "map", of: elementSpec(type.values, open) };
    case "record":
      return { kind: "struct", fields: rowSpecOf(type.fields, open) };
    case "null":
    case "union":
      return { kind: "any" };
  }
}
