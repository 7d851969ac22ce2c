// The schema builders: `int64()`, `string()`, `list(...)`. A builder is a value that carries its TypeScript type.
import type { Decimal } from "./decimal.ts";
import type { FieldSpec, TimestampUnit, TypeSpec } from "./type-spec.ts";

/** A field of a schema whose values have the TypeScript type `T`. Immutable: each method returns a new field. */
export class Field<T, Optional extends boolean = false> {
  /** The type of the values; exists for the compiler only. */
  declare readonly "~value": T;
  declare readonly "~optional": Optional;
  readonly spec: FieldSpec;

  constructor(spec: FieldSpec) {
    this.spec = spec;
  }

  /** Null is a value of this field. */
  nullable(): Field<T | null, Optional> {
    return new Field({ ...this.spec, nullable: true });
  }

  /** The field may be missing from a record; it then reads as undefined. */
  optional(): Field<T, true> {
    return new Field({ ...this.spec, optional: true });
  }

  /** Stands in where the field is missing, in records and in state written before the field existed. */
  default(value: T): Field<T, false> {
    return new Field({ ...this.spec, optional: false, default: jsonForm(value) });
  }

  /** An earlier name of the field. State and records written under it are read as this field. */
  alias(...names: readonly string[]): Field<T, Optional> {
    return new Field({ ...this.spec, aliases: [...this.spec.aliases, ...names] });
  }

  /** The field's name in the outside format where it differs from the one in code. */
  from(wireName: string): Field<T, Optional> {
    return new Field({ ...this.spec, wireName });
  }
}

/** Any field, whatever its type. */
export type AnyField = Field<unknown, boolean>;
/** The TypeScript type of a field's values. */
export type ValueOf<F> = F extends Field<infer T, boolean> ? T : never;
/** The fields of a row by name. */
export type Fields = Readonly<Record<string, AnyField>>;

type OptionalKeys<F extends Fields> = { [K in keyof F]: F[K] extends Field<unknown, true> ? K : never }[keyof F];
/** The TypeScript type of a row. */
export type RowOf<F extends Fields> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: ValueOf<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: ValueOf<F[K]> | undefined;
};

function field<T>(type: TypeSpec): Field<T> {
  return new Field<T>({ type, nullable: false, optional: false, aliases: [] });
}

function jsonForm(value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

export const boolean = (): Field<boolean> => field({ kind: "boolean" });
export const int8 = (): Field<number> => field({ kind: "int8" });
export const int16 = (): Field<number> => field({ kind: "int16" });
export const int32 = (): Field<number> => field({ kind: "int32" });
/** An exact 64-bit integer; a bigint in TypeScript. */
export const int64 = (): Field<bigint> => field({ kind: "int64", as: "bigint" });
/** A 64-bit integer that TypeScript sees as a number; a value outside of ±(2^53 - 1) is a bad record, never a rounded one. */
export const int53 = (): Field<number> => field({ kind: "int64", as: "number" });
export const float32 = (): Field<number> => field({ kind: "float32" });
export const float64 = (): Field<number> => field({ kind: "float64" });
/** An exact decimal of up to `precision` digits, `scale` of them behind the point. */
export const decimal = (precision: number, scale: number): Field<Decimal> => field({ kind: "decimal", precision, scale });
export const string = (): Field<string> => field({ kind: "string" });
/** One of a fixed set of strings. */
export const enumeration = <const V extends readonly [string, ...string[]]>(...values: V): Field<V[number]> =>
  field({ kind: "enum", values });
export const bytes = (): Field<Uint8Array> => field({ kind: "bytes" });
/** An instant: a number of `unit` since the epoch, UTC (default ms). `text: "iso"` reads and writes ISO 8601 in text formats. */
export const timestamp = (
  options: { readonly unit?: Exclude<TimestampUnit, "ns">; readonly text?: "number" | "iso" } = {},
): Field<number> => field({ kind: "timestamp", unit: options.unit ?? "ms", text: options.text ?? "number" });
/** An instant in nanoseconds; a bigint in TypeScript. */
export const timestampNanos = (): Field<bigint> => field({ kind: "timestamp", unit: "ns", text: "number" });
/** A calendar day: days since 1970-01-01; `YYYY-MM-DD` in text formats. */
export const date = (): Field<number> => field({ kind: "date" });
export const list = <T>(of: Field<T, boolean>): Field<readonly T[]> => field({ kind: "list", of: of.spec });
/** A map with string keys. */
export const mapOf = <T>(of: Field<T, boolean>): Field<ReadonlyMap<string, T>> => field({ kind: "map", of: of.spec });
/** A nested row. */
export const struct = <F extends Fields>(fields: F): Field<RowOf<F>> =>
  field({ kind: "struct", fields: Object.fromEntries(Object.entries(fields).map(([name, entry]) => [name, entry.spec])) });
/** A value without a declared type: what msgpack can hold, Map, Set, Date and bigint included. Exact, but slower and without schema evolution. */
export const any = <T = unknown>(): Field<T> => field({ kind: "any" });
