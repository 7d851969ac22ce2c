// A format for tests of the sink: lines of JSON by the plain form of values, written the simple way.
import type { ByteWriter } from "../../../base/bytes.ts";
import { Batch } from "../../../core/batch/batch.ts";
import { rowObject, rowView } from "../../../core/batch/row-view.ts";
import { rowToJson } from "../../../core/codec/json-value.ts";
import type { Format } from "../../../core/ports/format.ts";
import { type Schema, schema } from "../../../core/schema/schema.ts";

/** A row whose field `name` is "tombstone" has no value. */
export const lines: Format = {
  name: "json",
  schema: schema({}),
  options: {},
  openDecoder: () => Promise.reject(new Error("not asked for")),
  openEncoder: async (of: Schema) => {
    const view = rowView(of as Schema<Record<string, unknown>>);
    return {
      encode(rows, row, writer: ByteWriter): boolean {
        const object = rowObject(new Batch(rows), row, view);
        if (object["name"] === "tombstone") return false;
        writer.utf8Raw(JSON.stringify(rowToJson(of.spec, object)));
        return true;
      },
    };
  },
};
