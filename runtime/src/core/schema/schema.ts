// A schema: the fields of a row as a value that gives the TypeScript type, the layout of columns and a fingerprint.
import { createHash } from "node:crypto";
import { MillraceError } from "../../base/errors.ts";
import type { Fields, RowOf } from "./field.ts";
import { columnKind, type ColumnKind, type FieldSpec, type RowSpec } from "./type-spec.ts";

const fieldName = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
// Names that an object already answers to: a row with such a field would not behave like a plain object.
const reservedNames: ReadonlySet<string> = new Set([
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "toString",
  "valueOf",
  "toJSON",
]);
const maxFields = 1024;

/** One field of a schema with its place in a row. */
export interface SchemaField {
  readonly index: number;
  readonly name: string;
  readonly spec: FieldSpec;
  readonly column: ColumnKind;
}

/** The shape of rows of the TypeScript type `Row`. Made by `schema(...)`, or by the planner from a `RowSpec`. */
export class Schema<Row = unknown> {
  /** The type of the rows; exists for the compiler only. */
  declare readonly "~row": Row;
  readonly fields: readonly SchemaField[];
  readonly #byName: ReadonlyMap<string, SchemaField>;
  #fingerprint: string | undefined;

  constructor(spec: RowSpec) {
    const entries = Object.entries(spec);
    if (entries.length > maxFields) {
      throw new MillraceError(
        "SCHEMA_TOO_WIDE",
        "schema",
        `it has ${entries.length} fields`,
        `keep it to ${maxFields}, for example by nesting structs`,
      );
    }
    this.fields = entries.map(([name, fieldSpec], index) => {
      if (!fieldName.test(name) || reservedNames.has(name)) {
        throw new MillraceError(
          "SCHEMA_FIELD_NAME",
          `field "${name}"`,
          "is not a usable name",
          "use an identifier, and .from(name) for the outside name",
        );
      }
      return { index, name, spec: fieldSpec, column: columnKind(fieldSpec.type) };
    });
    this.#byName = new Map(this.fields.map((entry) => [entry.name, entry]));
  }

  /** The field called `name`, or undefined. */
  find(name: string): SchemaField | undefined {
    return this.#byName.get(name);
  }

  /** The field called `name`; throws SCHEMA_FIELD_UNKNOWN with the known names. */
  field(name: string): SchemaField {
    const found = this.#byName.get(name);
    if (found === undefined) {
      throw new MillraceError(
        "SCHEMA_FIELD_UNKNOWN",
        `field "${name}"`,
        "is not in the schema",
        `use one of ${[...this.#byName.keys()].join(", ")}`,
      );
    }
    return found;
  }

  /** The schema as JSON. */
  get spec(): RowSpec {
    return Object.fromEntries(this.fields.map((entry) => [entry.name, entry.spec]));
  }

  /** 16 hexadecimal digits that are equal for equal schemas and, for all practical purposes, only for those. */
  get fingerprint(): string {
    this.#fingerprint ??= createHash("sha256")
      .update(canonicalJson(this.fields.map((entry) => [entry.name, entry.spec])))
      .digest("hex")
      .slice(0, 16);
    return this.#fingerprint;
  }

  /** A schema of some of the fields, in the order given. */
  pick(names: readonly string[]): Schema {
    return new Schema(Object.fromEntries(names.map((name) => [name, this.field(name).spec])));
  }
}

/** JSON with sorted keys, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) =>
    entry !== null && typeof entry === "object" && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : typeof entry === "bigint"
        ? `${entry}n`
        : entry,
  );
}

/** Declares a row: `schema({ price: int64(), at: timestamp() })`. */
export function schema<const F extends Fields>(fields: F): Schema<RowOf<F>> {
  return new Schema<RowOf<F>>(Object.fromEntries(Object.entries(fields).map(([name, entry]) => [name, entry.spec])));
}

/** The TypeScript type of a schema's rows. */
export type RowType<S> = S extends Schema<infer Row> ? Row : never;
