// How a key is serialised: its bytes decide its hash, its key group and its place in state and snapshots, so they never change.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../schema/schema.ts";
import type { TypeSpec } from "../schema/type-spec.ts";

/**
 * `integer`: one field that is an integer, an instant or a day; 8 little-endian two's-complement bytes.
 * `text`: one string; its UTF-8 bytes.
 * `bytes`: anything else; the fields one after another, each self-delimiting (see `KeyReader`).
 */
export type KeyForm = "integer" | "text" | "bytes";

/** The key of a keyed stream: some fields of its rows, in order. */
export interface KeyLayout {
  readonly form: KeyForm;
  /** The key's own fields, as a schema: what state and snapshots store. */
  readonly schema: Schema;
  /** Where the fields stand in the rows of the stream. */
  readonly fieldIndexes: readonly number[];
}

const integerKinds: ReadonlySet<TypeSpec["kind"]> = new Set(["int8", "int16", "int32", "int64", "timestamp", "date"]);
const keyableKinds: ReadonlySet<TypeSpec["kind"]> = new Set([
  ...integerKinds,
  "boolean",
  "float64",
  "float32",
  "string",
  "enum",
  "decimal",
  "bytes",
]);

/** The layout of a key of `names` in rows of `schema`; throws KEY_UNSUPPORTED for a type that has no canonical bytes. */
export function keyLayout(schema: Schema, names: readonly string[]): KeyLayout {
  const fields = names.map((name) => schema.field(name));
  for (const { name, spec } of fields) {
    if (!keyableKinds.has(spec.type.kind)) {
      throw new MillraceError(
        "KEY_UNSUPPORTED",
        `field "${name}"`,
        `a ${spec.type.kind} cannot be a key`,
        "key by scalar fields; map the value to one first",
      );
    }
  }
  const only = fields.length === 1 ? fields[0] : undefined;
  const plain = only !== undefined && !only.spec.nullable && !only.spec.optional;
  const form: KeyForm = plain && integerKinds.has(only.spec.type.kind) ? "integer" : plain && only.column === "text" ? "text" : "bytes";
  return {
    form,
    schema: new Schema(Object.fromEntries(fields.map((field) => [field.name, field.spec]))),
    fieldIndexes: fields.map((field) => field.index),
  };
}
