// The types of fields as plain JSON: what a plan prints, a fingerprint hashes and a snapshot's manifest stores.

export type TimestampUnit = "s" | "ms" | "us" | "ns";

/**
 * A field's type. In rows the values are:
 * boolean: boolean; int8..int32, float32, float64: number; int64: bigint, or with `as: "number"` a safe integer;
 * decimal: `Decimal`; string, enum: string; bytes: Uint8Array; timestamp: number of `unit` since the epoch, UTC
 * (bigint for ns); date: days since 1970-01-01; list: array; map: `Map` with string keys; struct: object; any: what msgpack holds.
 */
export type TypeSpec =
  | { readonly kind: "boolean" }
  | { readonly kind: "int8" | "int16" | "int32" }
  | { readonly kind: "int64"; readonly as: "bigint" | "number" }
  | { readonly kind: "float32" | "float64" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "string" }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  | { readonly kind: "bytes" }
  | { readonly kind: "timestamp"; readonly unit: TimestampUnit; readonly text: "number" | "iso" }
  | { readonly kind: "date" }
  | { readonly kind: "list"; readonly of: FieldSpec }
  | { readonly kind: "map"; readonly of: FieldSpec }
  | { readonly kind: "struct"; readonly fields: Readonly<Record<string, FieldSpec>> }
  | { readonly kind: "any" };

/** A type with what belongs to its place in a row. */
export interface FieldSpec {
  readonly type: TypeSpec;
  /** Null is a value of the field. Default false. */
  readonly nullable: boolean;
  /** The field may be missing; a missing field reads as undefined, told apart from null. Default false. */
  readonly optional: boolean;
  /** Stands in for a missing field (also when state written before the field existed is restored). JSON form of the value. */
  readonly default?: unknown;
  /** Earlier names of the field: state and records written under them are read as this field. */
  readonly aliases: readonly string[];
  /** The field's name in the outside format where it differs. */
  readonly wireName?: string;
}

/** The fields of a row, in order. */
export type RowSpec = Readonly<Record<string, FieldSpec>>;

/** How the values of a field are held in a column. */
export type ColumnKind = "number" | "int64" | "text" | "object";

/** The column kind of a type: booleans are numbers 0 and 1; only int64 as bigint and ns timestamps need the exact form. */
export function columnKind(type: TypeSpec): ColumnKind {
  switch (type.kind) {
    case "boolean":
    case "int8":
    case "int16":
    case "int32":
    case "float32":
    case "float64":
    case "date":
      return "number";
    case "int64":
      return type.as === "number" ? "number" : "int64";
    case "timestamp":
      return type.unit === "ns" ? "int64" : "number";
    case "string":
    case "enum":
      return "text";
    case "decimal":
    case "bytes":
    case "list":
    case "map":
    case "struct":
    case "any":
      return "object";
  }
}
