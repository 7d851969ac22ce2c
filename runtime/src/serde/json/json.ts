// The JSON format: one object per record, its fields by the schema.
import type { Format } from "../../core/ports/format.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { JsonDecoder } from "./decoder.ts";

export function json<Row>(schema: Schema<Row>): Format<Row> {
  return {
    name: "json",
    schema,
    options: {},
    openDecoder: async () => new JsonDecoder(schema),
    openEncoder: async () => {
      throw new Error("x");
    },
  };
}
