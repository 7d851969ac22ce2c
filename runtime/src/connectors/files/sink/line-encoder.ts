// Lines: each row by a format's encoder, then a line end.
import { ByteWriter } from "../../../base/bytes.ts";
import type { Rows } from "../../../core/batch/batch.ts";
import type { RecordEncoder } from "../../../core/ports/format.ts";
import type { RowEncoder } from "./row-encoder.ts";

const newline = 10;
const initialBytes = 64 * 1024;

export class LineEncoder implements RowEncoder {
  readonly #encoder: RecordEncoder;
  readonly #writer = new ByteWriter(initialBytes);

  constructor(encoder: RecordEncoder) {
    this.#encoder = encoder;
  }

  get readyBytes(): number {
    return this.#writer.length;
  }

  get heldBytes(): number {
    return this.#writer.length;
  }

  add(rows: Rows, row: number): void {
    const start = this.#writer.length;
    // A row without a value (a tombstone) has no line.
    if (this.#encoder.encode(rows, row, this.#writer)) this.#writer.u8(newline);
    else this.#writer.length = start;
  }

  take(): Uint8Array {
    const bytes = this.#writer.copy();
    this.#writer.reset();
    return bytes;
  }

  finish(): Uint8Array {
    return this.take();
  }
}
