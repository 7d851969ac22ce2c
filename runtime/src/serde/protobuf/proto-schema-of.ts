// Schemas of rows as .proto text and back.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";
import { type ProtoField, type ProtoMessage, type ProtoType, loadProtobufjs, parseProto } from "./proto-schema.ts";

const protoName = /^[A-Za-z][A-Za-z0-9_]*$/;

function unsupported(name: string, problem: string): never {
  throw new MillraceError(
    "FORMAT_SCHEMA_MISFIT",
    `field "${name}"`,
    `${problem} has no Protobuf form`,
    "choose another type, or leave the field out",
  );
}

/**
 * A proto3 file with one message for rows of a schema: a start for a .proto file that is then kept, because field numbers are counted
 * here from the order of the fields. Decimals and enumerations become text, instants google.protobuf.Timestamp, days int32.
 */
export function protoSchemaOf(schema: Schema, messageName = "Row"): string {
  const body = messageText(messageName, schema.spec, "");
  const imports = body.includes("google.protobuf.Timestamp") ? 'import "google/protobuf/timestamp.proto";\n' : "";
  return `syntax = "proto3";\n${imports}${body}`;
}

function messageText(name: string, spec: RowSpec, indent: string): string {
  const inner = `${indent}  `;
  const nested: string[] = [];
  const lines = Object.entries(spec).map(([field, fieldSpec], index) => {
    const wireName = fieldSpec.wireName ?? field;
    if (!protoName.test(wireName)) unsupported(field, `the name "${wireName}"`);
    const type = typeText(field, fieldSpec.type, inner, nested);
    const isPlural = fieldSpec.type.kind === "list" || fieldSpec.type.kind === "map";
    const optional = !isPlural && (fieldSpec.nullable || fieldSpec.optional) ? "optional " : "";
    return `${inner}${optional}${type} ${wireName} = ${index + 1};\n`;
  });
  return `${indent}message ${name} {\n${nested.join("")}${lines.join("")}${indent}}\n`;
}

function typeText(name: string, type: TypeSpec, indent: string, nested: string[]): string {
  switch (type.kind) {
    case "boolean":
      return "bool";
    case "int8":
    case "int16":
    case "int32":
    case "date":
      return "int32";
    case "int64":
      return "int64";
    case "float32":
      return "float";
    case "float64":
      return "double";
    case "decimal":
    case "string":
    case "enum":
      return "string";
    case "bytes":
      return "bytes";
    case "timestamp":
      return "google.protobuf.Timestamp";
    case "list":
      if (type.of.type.kind === "list" || type.of.type.kind === "map") return unsupported(name, "a list of lists or maps");
      return `repeated ${typeText(name, type.of.type, indent, nested)}`;
    case "map":
      if (type.of.type.kind === "list" || type.of.type.kind === "map") return unsupported(name, "a map of lists or maps");
      return `map<string, ${typeText(name, type.of.type, indent, nested)}>`;
    case "struct": {
      const message = `${name[0]?.toUpperCase() ?? ""}${name.slice(1)}Type`.replace(/[^A-Za-z0-9]/g, "");
      nested.push(messageText(message, type.fields, indent));
      return message;
    }
    case "any":
      return unsupported(name, "type any");
  }
}

export interface ProtoSource {
  /** Text of the files that the schema imports, by import path; Google's well-known types need not be given. */
  readonly imports?: Readonly<Record<string, string>>;
  /** The message's full name. Default: the first of the file. */
  readonly message?: string;
}

/**
 * The schema of rows that a message describes. Fields that know absence become nullable; unsigned 32-bit integers become int53; messages within
 * themselves `any`. Needs the package protobufjs.
 */
export async function schemaFromProto(proto: string, source: ProtoSource = {}): Promise<Schema> {
  const message = parseProto(await loadProtobufjs(), proto, source.imports).message(source.message);
  return new Schema(rowSpecOf(message, new Set([message])));
}

function rowSpecOf(message: ProtoMessage, open: ReadonlySet<ProtoMessage>): RowSpec {
  return Object.fromEntries(message.fields.map((field) => [field.name, specOf(field, open)]));
}

const plain = { nullable: false, optional: false, aliases: [] } as const;

function specOf(field: ProtoField, open: ReadonlySet<ProtoMessage>): FieldSpec {
  const type = typeOf(field.type, open);
  if (field.repeated) return { ...plain, type: { kind: "list", of: { ...plain, type } } };
  const spec = { ...plain, type, nullable: field.presence && type.kind !== "any", optional: field.presence && type.kind === "any" };
  return field.default === undefined || field.type.kind === "enum" || field.type.kind === "bytes"
    ? spec
    : { ...spec, nullable: false, default: defaultForm(field.default) };
}

// protobufjs gives 64-bit defaults as Long objects.
function defaultForm(value: unknown): unknown {
  return typeof value === "object" && value !== null ? String(value) : value;
}

const scalars: Readonly<Record<string, TypeSpec>> = {
  double: { kind: "float64" },
  float: { kind: "float32" },
  int32: { kind: "int32" },
  sint32: { kind: "int32" },
  sfixed32: { kind: "int32" },
  uint32: { kind: "int64", as: "number" },
  fixed32: { kind: "int64", as: "number" },
  bool: { kind: "boolean" },
  string: { kind: "string" },
  bytes: { kind: "bytes" },
};

function typeOf(type: ProtoType, open: ReadonlySet<ProtoMessage>): TypeSpec {
  switch (type.kind) {
    case "enum":
      return { kind: "enum", values: [...type.numberOf.keys()] };
    case "map":
      return { kind: "map", of: { ...plain, type: typeOf(type.value, open) } };
    case "message":
      if (type.name === "google.protobuf.Timestamp") return { kind: "timestamp", unit: "ns", text: "number" };
      if (type.name.startsWith("google.protobuf.") && type.name.endsWith("Value") && type.fields.length === 1) {
        return typeOf((type.fields[0] as ProtoField).type, open);
      }
      return open.has(type) ? { kind: "any" } : { kind: "struct", fields: rowSpecOf(type, new Set([...open, type])) };
    default:
      return scalars[type.kind] ?? { kind: "int64", as: "bigint" };
  }
}
