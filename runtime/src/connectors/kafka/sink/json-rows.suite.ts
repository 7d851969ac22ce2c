// A plain JSON format for the tests of the sink, which may not import the real ones.
import { rowView, type RowView } from "../../../core/batch/row-view.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { Schema } from "../../../core/schema/schema.ts";

export function plainJson<Row>(schema: Schema<Row>): Format<Row> {
  return {
    name: "plain-json",
    schema,
    options: {},
    openDecoder: () => Promise.reject(new Error("this format only encodes")),
    async openEncoder(target) {
      const view = rowView(target) as RowView;
      return {
        encode(rows, row, writer) {
          view.point(rows, row);
          writer.utf8Raw(JSON.stringify(view, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value)));
          return true;
        },
      };
    },
  };
}
