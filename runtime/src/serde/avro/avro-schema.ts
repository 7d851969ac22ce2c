// Avro schemas, parsed: names resolved, logical types recognised (specification 1.12, "Schema Declaration" and "Logical Types").
import { MillraceError, messageOf } from "../../base/errors.ts";

export type AvroPrimitive = "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string";

/** What the bytes of a primitive or fixed type stand for. */
export type AvroLogical =
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "date" }
  | { readonly kind: "timestamp"; readonly unit: "ms" | "us" | "ns" };

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
  readonly default?: unknown;
}

/** `fields` of a record are filled in after the record is made, because they may refer to it. */
export interface AvroRecord {
  readonly kind: "record";
  readonly name: string;
  readonly fields: AvroField[];
}

export type AvroType =
  | { readonly kind: AvroPrimitive; readonly logical: AvroLogical | undefined }
  | { readonly kind: "fixed"; readonly name: string; readonly size: number; readonly logical: AvroLogical | undefined }
  | { readonly kind: "enum"; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: "array"; readonly items: AvroType }
  | { readonly kind: "map"; readonly values: AvroType }
  | { readonly kind: "union"; readonly branches: readonly AvroType[] }
  | AvroRecord;

const primitives: ReadonlySet<string> = new Set(["null", "boolean", "int", "long", "float", "double", "bytes", "string"]);
const maxLevels = 200;

type Json = Readonly<Record<string, unknown>>;

function invalid(problem: string): never {
  throw new MillraceError("SCHEMA_INVALID", "Avro schema", problem, "correct the schema");
}

function logicalOf(json: Json): AvroLogical | undefined {
  switch (json["logicalType"]) {
    case "decimal": {
      const { precision, scale = 0 } = json;
      // An invalid logical type is ignored, as the specification asks.
      if (!Number.isInteger(precision) || !Number.isInteger(scale)) return undefined;
      return { kind: "decimal", precision: precision as number, scale: scale as number };
    }
    case "date":
      return { kind: "date" };
    case "timestamp-millis":
    case "local-timestamp-millis":
      return { kind: "timestamp", unit: "ms" };
    case "timestamp-micros":
    case "local-timestamp-micros":
      return { kind: "timestamp", unit: "us" };
    case "timestamp-nanos":
    case "local-timestamp-nanos":
      return { kind: "timestamp", unit: "ns" };
    default:
      return undefined;
  }
}

const logicalKinds: Readonly<Record<AvroLogical["kind"], readonly string[]>> = {
  decimal: ["bytes", "fixed"],
  date: ["int"],
  timestamp: ["long"],
};

class Parser {
  readonly #named = new Map<string, AvroType>();

  parse(json: unknown, namespace: string, level: number): AvroType {
    if (level > maxLevels) invalid(`it is nested deeper than ${maxLevels} levels`);
    if (typeof json === "string") return this.#byName(json, namespace);
    if (Array.isArray(json)) return this.#union(json, namespace, level);
    if (typeof json !== "object" || json === null) invalid(`${JSON.stringify(json)} is not a type`);
    const object = json as Json;
    const type = object["type"];
    switch (type) {
      case "record":
      case "error":
        return this.#record(object, namespace, level);
      case "enum": {
        const symbols = object["symbols"];
        if (!Array.isArray(symbols) || symbols.some((symbol) => typeof symbol !== "string")) invalid("an enum has no symbols");
        return this.#define(object, namespace, (name) => ({ kind: "enum", name, symbols: symbols as string[] }));
      }
      case "fixed": {
        const size = object["size"];
        if (!Number.isInteger(size) || (size as number) < 0) invalid("a fixed type has no size");
        return this.#define(object, namespace, (name) => ({
          kind: "fixed",
          name,
          size: size as number,
          logical: fitting("fixed", logicalOf(object)),
        }));
      }
      case "array":
        return { kind: "array", items: this.parse(object["items"], namespace, level + 1) };
      case "map":
        return { kind: "map", values: this.parse(object["values"], namespace, level + 1) };
      default: {
        const inner = this.parse(type, namespace, level + 1);
        return primitives.has(inner.kind) ? { kind: inner.kind as AvroPrimitive, logical: fitting(inner.kind, logicalOf(object)) } : inner;
      }
    }
  }

  #byName(name: string, namespace: string): AvroType {
    if (primitives.has(name)) return { kind: name as AvroPrimitive, logical: undefined };
    const found = this.#named.get(name.includes(".") || namespace === "" ? name : `${namespace}.${name}`) ?? this.#named.get(name);
    return found ?? invalid(`type "${name}" is not defined`);
  }

  #union(json: readonly unknown[], namespace: string, level: number): AvroType {
    const branches = json.map((branch) => this.parse(branch, namespace, level + 1));
    if (branches.some(({ kind }) => kind === "union")) invalid("a union holds a union");
    if (branches.length === 0) invalid("a union has no types");
    return { kind: "union", branches };
  }

  #define<T extends AvroType>(json: Json, namespace: string, make: (fullName: string) => T): T {
    const name = json["name"];
    if (typeof name !== "string" || name === "") invalid("a record, enum or fixed type has no name");
    const own = typeof json["namespace"] === "string" ? json["namespace"] : namespace;
    const fullName = name.includes(".") || own === "" ? name : `${own}.${name}`;
    if (this.#named.has(fullName)) invalid(`type "${fullName}" is defined twice`);
    const made = make(fullName);
    this.#named.set(fullName, made);
    return made;
  }

  #record(json: Json, namespace: string, level: number): AvroType {
    const fields = json["fields"];
    if (!Array.isArray(fields)) invalid("a record has no fields");
    const record = this.#define(json, namespace, (name): AvroRecord => ({ kind: "record", name, fields: [] }));
    const inner = record.name.includes(".") ? record.name.slice(0, record.name.lastIndexOf(".")) : "";
    for (const field of fields as readonly unknown[]) {
      const { name, type, ...rest } = (field ?? {}) as Json;
      if (typeof name !== "string") invalid(`a field of record "${record.name}" has no name`);
      const parsed = this.parse(type, inner, level + 1);
      record.fields.push("default" in rest ? { name, type: parsed, default: rest["default"] } : { name, type: parsed });
    }
    return record;
  }
}

function fitting(kind: string, logical: AvroLogical | undefined): AvroLogical | undefined {
  return logical !== undefined && logicalKinds[logical.kind].includes(kind) ? logical : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // A registry gives the names of primitive types with or without quotes.
    if (primitives.has(text)) return text;
    throw new MillraceError("SCHEMA_INVALID", "Avro schema", `it is not JSON: ${messageOf(cause)}`, "correct the schema", { cause });
  }
}

/** Parses a schema; `references` define the types that it names, each before those that use it. Throws SCHEMA_INVALID. */
export function parseAvroSchema(schema: unknown, references: readonly string[] = []): AvroType {
  const parser = new Parser();
  for (const reference of references) parser.parse(jsonOf(reference), "", 0);
  return parser.parse(typeof schema === "string" ? jsonOf(schema) : schema, "", 0);
}
