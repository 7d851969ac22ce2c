// The versions of a table's rows by key and the time from which each is valid.
import { type Batch, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable } from "../../core/ports/state.ts";
import { boolean } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";

/** A version without a time is valid since ever. */
const sinceEver = Number.MIN_SAFE_INTEGER;

export class Versions {
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #reader: KeyReader;

  constructor(context: OperatorContext, schema: Schema, key: KeyLayout) {
    this.#reader = new KeyReader(key);
    const value = storedSchema(schema, { deleted: boolean() });
    // The sub-key is the time: of two changes at one time the later to come counts.
    this.#table = context.keyed.multiTable({ name: "versions", key, value, subKey: "number" });
    this.#stored = new StoredRows(schema, this.#table);
  }

  /** The versions as rows; the slot is the row number. */
  get rows(): Rows {
    return this.#stored.rows;
  }

  /** Takes in changes; `added` is told of each. Rows before an update say nothing that the row after it does not. */
  process(batch: Batch, added: (keys: KeyBatch, k: number, timeMs: number) => void): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      if (kind === rowKind.updateBefore) continue;
      const timeMs = Math.max(sinceEver, Math.floor(rows.times[row] as number));
      const slot = this.#table.upsert(keys, k, 0, timeMs);
      this.#stored.store(rows, row, slot);
      this.#stored.note(0).numbers[slot] = kind === rowKind.delete ? 1 : 0;
      this.#table.touch(slot);
      added(keys, k, timeMs);
    }
  }

  /** The slot of the version valid at a time; -1 where the key has no row then. Valid until the next call. */
  validAt(keys: KeyBatch, timeMs: number): number {
    const slot = this.#last(keys, timeMs);
    return slot >= 0 && this.#stored.note(0).numbers[slot] === 0 ? slot : -1;
  }

  /** Drops the versions that ended at or before a time: what is valid at it is the earliest that can still be asked for. */
  forgetBefore(keys: KeyBatch, timeMs: number): void {
    const valid = this.#last(keys, timeMs);
    if (valid < 0) return;
    const validMs = this.#table.subKeyOf(valid) as number;
    const { slots, count } = this.#table.entriesOf(keys, 0, 0);
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const fromMs = this.#table.subKeyOf(slot) as number;
      // A deletion with nothing before it says what no entry says too.
      if (fromMs < validMs || (fromMs === validMs && this.#stored.note(0).numbers[slot] === 1)) this.#table.delete(slot);
    }
  }

  #last(keys: KeyBatch, timeMs: number): number {
    const { slots, count } = this.#table.entriesOf(keys, 0, 0);
    let found = -1;
    let foundMs = -Infinity;
    for (let i = 0; i < count; i++) {
      const fromMs = this.#table.subKeyOf(slots[i] as number) as number;
      if (fromMs > timeMs || fromMs < foundMs) continue;
      found = slots[i] as number;
      foundMs = fromMs;
    }
    return found;
  }
}
