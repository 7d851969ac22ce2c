// Keys as text, for use as sub-keys of entries: one text per key, equal for equal keys.
import type { Batch } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";

export class KeyText {
  readonly #reader: KeyReader;
  #keys: KeyBatch | undefined;

  constructor(layout: KeyLayout) {
    this.#reader = new KeyReader(layout);
  }

  /** Reads the keys of a batch; `at` gives them until the next call. */
  read(batch: Batch): void {
    this.#keys = this.#reader.read(batch);
  }

  /** The key at position `k` of the selection. */
  at(k: number): string {
    const { layout, high, low, bytes, starts, ends } = this.#keys as KeyBatch;
    if (layout.form === "integer") {
      const number = (high[k] as number) * 4294967296 + ((low[k] as number) >>> 0);
      return Number.isSafeInteger(number)
        ? `${number}`
        : ((BigInt(high[k] as number) << 32n) | BigInt((low[k] as number) >>> 0)).toString();
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return text.toString(layout.form === "text" ? "utf8" : "latin1", starts[k], ends[k]);
  }
}
