// Values in the lists of an operator's own state: encoded rows, with the schema that wrote them beside the list.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { Rows } from "../../core/batch/batch.ts";
import { rowView, type RowView } from "../../core/batch/row-view.ts";
import { rowCodec, type RowCodec } from "../../core/codec/row-codec.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import { type Migrate, planAdaptation, type RowAdapter, type StoredSchema } from "../../core/schema/evolution.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** Encodes values for one list and decodes those of a snapshot, which an older version of the schema may have written. */
export class StoredValues {
  readonly #codec: RowCodec;
  readonly #adapt: RowAdapter;
  readonly #scratch: Rows;
  readonly #view: RowView;
  readonly #writer = new ByteWriter(256);

  /** Throws STATE_SCHEMA_INCOMPATIBLE where the stored values cannot become values of `schema`. */
  constructor(context: OperatorContext, list: string, schema: Schema, migrate?: Migrate) {
    this.#codec = rowCodec(schema);
    const stored: StoredSchema = { spec: schema.spec, order: schema.fields.map((field) => field.name) };
    const entry = { key: "schema", value: Buffer.from(JSON.stringify(stored)) };
    const [restored] = context.state.list(`${list}.schema`, "broadcast", () => [entry]);
    const written = restored === undefined ? stored : (JSON.parse(Buffer.from(restored.value).toString()) as StoredSchema);
    this.#adapt = planAdaptation(`${context.uid}, list "${list}"`, written, schema, migrate);
    this.#scratch = new Rows(schema, 1);
    this.#scratch.ready.fill(1);
    this.#view = rowView(schema) as RowView;
  }

  /** The bytes of a row object; throws ROW_INVALID where it does not fit. */
  encode(value: unknown): Buffer {
    this.#writer.reset();
    this.#codec.encodeObject(value, this.#writer);
    return this.#writer.copy();
  }

  /** The bytes of a row of a batch. */
  encodeRow(rows: Rows, row: number): Buffer {
    for (const { index } of rows.schema.fields) rows.column(index);
    this.#writer.reset();
    this.#codec.encode(rows.columns, row, this.#writer);
    return this.#writer.copy();
  }

  /** A new object out of bytes that `encode` or `encodeRow` gave. */
  decode(bytes: Uint8Array): unknown {
    return this.#codec.decodeObject(new ByteReader(bytes));
  }

  /** A new object out of bytes of a snapshot. */
  decodeStored(bytes: Uint8Array): unknown {
    for (const column of this.#scratch.columns) column.nulls?.fill(0);
    this.#adapt(new ByteReader(bytes), this.#scratch.columns, 0);
    this.#view.point(this.#scratch, 0);
    return { ...this.#view };
  }
}
