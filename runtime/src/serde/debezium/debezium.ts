// The Debezium JSON format: change data capture as a changelog.
import type { ByteWriter } from "../../base/bytes.ts";
import { isRetraction, type Rows } from "../../core/batch/batch.ts";
import type { Format, RecordEncoder } from "../../core/ports/format.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { JsonEncoder } from "../json/encoder.ts";
import { withWireForms } from "../wire-forms.ts";
import { DebeziumDecoder } from "./decoder.ts";

const opening = { before: Buffer.from('{"before":'), after: Buffer.from('{"before":null,"after":') };
const closing = { before: Buffer.from(',"after":null,"op":"d"}'), after: Buffer.from(',"op":"c"}') };

// A row that is taken back is written as a delete and any other as a create, so that each row is one record, as Flink writes them.
class DebeziumEncoder implements RecordEncoder {
  readonly #image: JsonEncoder;

  constructor(rows: Schema) {
    this.#image = new JsonEncoder(rows, { decimals: "text" });
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    const which = isRetraction(rows.kindOf(row)) ? "before" : "after";
    writer.raw(opening[which]);
    this.#image.encode(rows, row, writer);
    writer.raw(closing[which]);
    return true;
  }
}

/**
 * Change events of Debezium in JSON, with or without `schema` and `payload` around them. `schema` is of the rows. Reads and creates become
 * inserts, updates two rows (before and after), deletes deletes; tombstones are dropped. Rows have the time at which the source
 * changed (`source.ts_ms`). Updates and deletes need the whole row before the change; decimals must be text or numbers
 * (`decimal.handling.mode` string or double), fields of type `date` are days as Debezium writes them.
 */
export function debezium<Row>(schema: Schema<Row>): Format<Row> {
  return {
    name: "debezium-json",
    schema,
    options: {},
    changelog: "retract",
    openDecoder: async () => new DebeziumDecoder(schema),
    openEncoder: async (rows) => new DebeziumEncoder(withWireForms(rows, schema)),
  };
}
