// Which stored row a retraction means: rows are the same when their encoded bytes are.
import { ByteWriter } from "../../base/bytes.ts";
import { murmur3 } from "../../base/murmur3.ts";
import type { Rows } from "../../core/batch/batch.ts";
import { type RowCodec, rowCodec } from "../../core/codec/row-codec.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** Compares rows of one schema as their bytes; maps are the same when their entries are in the same order too. */
export class RowIdentity {
  readonly #codec: RowCodec;
  readonly #fields: readonly number[];
  readonly #wanted = new ByteWriter(256);
  readonly #other = new ByteWriter(256);

  constructor(schema: Schema) {
    this.#codec = rowCodec(schema);
    this.#fields = schema.fields.map((field) => field.index);
  }

  /** Remembers a row as the one looked for. */
  look(rows: Rows, row: number): void {
    for (const field of this.#fields) rows.column(field);
    this.#wanted.reset();
    this.#codec.encode(rows.columns, row, this.#wanted);
  }

  /** The hash of the row looked for, unsigned. It is part of stored sub-keys. */
  hash(): number {
    return murmur3(this.#wanted.buffer, 0, this.#wanted.length) >>> 0;
  }

  /** True where a row is the one looked for. */
  matches(rows: Rows, row: number): boolean {
    this.#other.reset();
    this.#codec.encode(rows.columns, row, this.#other);
    if (this.#other.length !== this.#wanted.length) return false;
    return this.#other.buffer.compare(this.#wanted.buffer, 0, this.#wanted.length, 0, this.#other.length) === 0;
  }
}
