// A bounded source of rows (key, value): every key once, then keys at random; made as they are read, so that any number fits.
import { Rows } from "../../../runtime/src/core/batch/batch.ts";
import type { Schema } from "../../../runtime/src/core/schema/schema.ts";
import type { Source, SourceBatch, SourceReader, SourceSplit } from "../../../runtime/src/core/ports/source.ts";

/** The key of row `index`: all keys in turn, then a hash of the index. */
export function keyOf(index: number, keys: number): number {
  if (index < keys) return index;
  let hash = Math.imul(index, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % keys;
}

export const valueOf = (index: number): number => index % 1000;

const splitId = "keys";

/** `total` rows over `keys` keys, in one split. */
export function keysSource<Row>(schema: Schema<Row>, keys: number, total: number): Source & { readonly schema: Schema<Row> } {
  return {
    connector: "keys",
    options: { keys, total },
    bounded: true,
    schema,
    openEnumerator: async () => ({
      intervalMs: Infinity,
      discover: async (known) => (known.has(splitId) ? [] : [{ id: splitId, position: 0 }]),
      close: async () => {},
    }),
    openReader: async () => new KeysReader(schema as Schema, keys, total),
  };
}

class KeysReader implements SourceReader {
  readonly #rows: Rows;
  readonly #keys: number;
  readonly #total: number;
  #at = -1;
  #told = false;

  constructor(schema: Schema, keys: number, total: number) {
    this.#rows = new Rows(schema, 4096);
    this.#rows.ready.fill(1);
    this.#keys = keys;
    this.#total = total;
  }

  assign(splits: readonly SourceSplit[]): void {
    for (const { position } of splits) this.#at = Number(position);
  }

  poll(maxRecords: number): SourceBatch | null {
    const first = this.#at;
    const count = first < 0 ? 0 : Math.min(maxRecords, this.#total - first, this.#rows.capacity);
    if (count <= 0) return null;
    const [key, value] = this.#rows.columns.map(({ numbers }) => numbers);
    if (key === undefined || value === undefined) throw new Error("the schema has two columns");
    for (let k = 0; k < count; k++) {
      key[k] = keyOf(first + k, this.#keys);
      value[k] = valueOf(first + k);
    }
    this.#rows.size = count;
    this.#at = first + count;
    return { kind: "rows", splitId, firstPosition: first, rows: this.#rows };
  }

  async ready(): Promise<void> {}

  snapshot(): readonly SourceSplit[] {
    return this.#at < 0 ? [] : [{ id: splitId, position: this.#at }];
  }

  takeFinished(): readonly string[] {
    if (this.#told || this.#at < this.#total) return [];
    this.#told = true;
    return [splitId];
  }

  setPaused(): void {}

  lag(): undefined {
    return undefined;
  }

  async close(): Promise<void> {}
}
