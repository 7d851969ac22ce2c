// The JSON format: one object per record, its fields by the schema. docs/reference/formats.md says what is read and written.
import { refuseUnknownOptions } from "../../base/options.ts";
import type { Format } from "../../core/ports/format.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { RowSpec } from "../../core/schema/type-spec.ts";
import { JsonDecoder } from "./decoder.ts";
import { JsonEncoder } from "./encoder.ts";

export interface JsonOptions {
  /** How decimals are written: as text, which every reader keeps exact, or as numbers. Both are read. Default `text`. */
  readonly decimals?: "text" | "number";
}

/**
 * JSON objects in UTF-8. Reading is exact and strict: a record is what JSON.parse makes of it, and each field of the schema must
 * be there and fit, whether the job uses it or not; keys that no field has are passed over.
 * A sink needs no schema: `json()` writes whatever rows come. Rows of another schema may be written: their fields take
 * wire names and text forms from fields of the same name and type here.
 */
export function json(): Format;
export function json<Row>(schema: Schema<Row>, options?: JsonOptions): Format<Row>;
export function json(schema: Schema = new Schema({}), options: JsonOptions = {}): Format {
  refuseUnknownOptions("format json", options, ["decimals"]);
  const decimals = options.decimals ?? "text";
  return {
    name: "json",
    schema,
    options: { decimals },
    openDecoder: async () => new JsonDecoder(schema),
    openEncoder: async (rows) => new JsonEncoder(withWireForms(rows, schema), { decimals }),
  };
}

// The rows' schema with the outside forms that the format declares.
function withWireForms(rows: Schema, declared: Schema): Schema {
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
