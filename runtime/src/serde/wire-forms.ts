// Rows that are written by a format which was declared with another schema: its outside names and forms apply to fields of the same name.
import { Schema } from "../core/schema/schema.ts";
import type { RowSpec } from "../core/schema/type-spec.ts";

/** The rows' schema with the outside names, and text forms of instants, that the format declares for fields of the same name and type. */
export function withWireForms(rows: Schema, declared: Schema): Schema {
  const spec: RowSpec = Object.fromEntries(
    rows.fields.map(({ name, spec: own }) => {
      const other = declared.find(name)?.spec;
      if (other === undefined || other.type.kind !== own.type.kind) return [name, own];
      const type = other.type.kind === "timestamp" && own.type.kind === "timestamp" ? { ...own.type, text: other.type.text } : own.type;
      return [name, { ...own, type, ...(other.wireName === undefined ? {} : { wireName: other.wireName }) }];
    }),
  );
  return new Schema(spec);
}
