// The rows that windows give: key, bounds of the window, results; filled column by column.
import { type Rows, type RowKind, rowKind } from "../../core/batch/batch.ts";
import { type Output, RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { BoundAggregates } from "../aggregate/aggregate-set.ts";

const rowsPerBatch = 1024;

/** Whatever numbers keys and can write them into rows: a table of state or a `KeyIndex`. */
export interface KeySource {
  copyKey(slot: number, rows: Rows, row: number, targets: readonly number[]): void;
}

export class WindowOutput {
  readonly #builder: RowsBuilder;
  readonly #keyTargets: readonly number[];
  readonly #bounds: number;
  readonly #results: number;
  readonly #one = new Int32Array(1);

  constructor(schema: Schema, key: KeyLayout, bounded: boolean, output: Output) {
    this.#builder = new RowsBuilder(schema, output, rowsPerBatch);
    this.#keyTargets = key.schema.fields.map((_field, index) => index);
    this.#bounds = bounded ? this.#keyTargets.length : -1;
    this.#results = this.#keyTargets.length + (bounded ? 2 : 0);
  }

  /** Appends one row for each of `slots[0..count)`: the key from `keys`, the results from `aggregates`, the time just before the end. */
  emit(keys: KeySource, aggregates: BoundAggregates, slots: Int32Array, count: number, startMs: number, endMs: number): void {
    const { rows } = this.#builder;
    for (let at = 0; at < count; ) {
      const part = Math.min(count - at, rowsPerBatch - rows.size);
      const first = rows.size;
      for (let k = 0; k < part; k++) {
        const row = this.#builder.next(endMs - 1);
        keys.copyKey(slots[at + k] as number, rows, row, this.#keyTargets);
      }
      this.#fillBounds(first, part, startMs, endMs);
      const chosen = at === 0 && part === count ? slots : slots.subarray(at, at + part);
      aggregates.results(chosen, part, rows, first, this.#results);
      this.#builder.flushIfFull();
      at += part;
    }
  }

  /** Appends one row of any kind and time. */
  emitOne(
    keys: KeySource,
    keySlot: number,
    aggregates: BoundAggregates,
    slot: number,
    window: { readonly startMs: number; readonly endMs: number; readonly timeMs: number },
    kind: RowKind = rowKind.insert,
  ): void {
    this.emitWith(keys, keySlot, window, kind, (rows, row, first) => {
      this.#one[0] = slot;
      aggregates.results(this.#one, 1, rows, row, first);
    });
  }

  /** Appends one row whose results `write` fills, from column `first` on. */
  emitWith(
    keys: KeySource,
    keySlot: number,
    window: { readonly startMs: number; readonly endMs: number; readonly timeMs: number },
    kind: RowKind,
    write: (rows: Rows, row: number, first: number) => void,
  ): void {
    const { rows } = this.#builder;
    const row = this.#builder.next(window.timeMs, kind);
    keys.copyKey(keySlot, rows, row, this.#keyTargets);
    this.#fillBounds(row, 1, window.startMs, window.endMs);
    write(rows, row, this.#results);
    this.#builder.flushIfFull();
  }

  #fillBounds(first: number, count: number, startMs: number, endMs: number): void {
    if (this.#bounds < 0) return;
    const { columns } = this.#builder.rows;
    columns[this.#bounds]?.numbers.fill(startMs, first, first + count);
    columns[this.#bounds + 1]?.numbers.fill(endMs, first, first + count);
  }

  flush(): void {
    this.#builder.flush();
  }
}
