// The JSON format: one object per record, its fields by the schema. docs/reference/formats.md says what is read and written.
import { refuseUnknownOptions } from "../../base/options.ts";
import type { Format } from "../../core/ports/format.ts";
import { Schema } from "../../core/schema/schema.ts";
import { JsonDecoder } from "./decoder.ts";
import { withWireForms } from "../wire-forms.ts";
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
