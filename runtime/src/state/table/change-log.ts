// Changes that no slot can tell of any more (deleted entries, and on a backend over disk evicted ones), in order, until the next capture.
import { ByteWriter } from "../../base/bytes.ts";
import type { ChangeOverflow } from "../spill/spill-store.ts";

export const recordHeadBytes = 6;

/** A record is `[key group u16][length u32][entry]`. Later records of the same entry replace earlier ones. */
export class ChangeLog {
  readonly writer: ByteWriter = new ByteWriter(256);
  readonly #overflow: ChangeOverflow | undefined;

  /** With `overflow`, the older part of a long log is kept there. */
  constructor(overflow?: ChangeOverflow) {
    this.#overflow = overflow;
  }

  /** Starts a record; the caller appends the entry to `writer` and calls `close` with what this returned. */
  open(keyGroup: number): number {
    const start = this.writer.length;
    this.writer.u16(keyGroup);
    this.writer.u32(0);
    return start;
  }

  close(start: number): void {
    this.writer.buffer.writeUInt32LE(this.writer.length - start - recordHeadBytes, start + 2);
    if (this.#overflow === undefined || this.writer.length < this.#overflow.afterBytes) return;
    this.#overflow.append(this.writer.view());
    this.writer.reset();
  }

  get sizeBytes(): number {
    return this.writer.buffer.length;
  }

  /** All records since the last call, as a view that is valid until the next `open`; the log is empty afterwards. */
  drain(): Uint8Array {
    const bytes = this.writer.view();
    this.writer.reset();
    if (this.#overflow === undefined || this.#overflow.sizeBytes === 0) return bytes;
    return Buffer.concat([this.#overflow.drain(), bytes]);
  }
}
