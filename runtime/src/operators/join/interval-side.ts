// One side of an interval join: its rows in buckets of time, for as long as a row of the other side can still match them.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { Batch } from "../../core/batch/batch.ts";
import { KeyReader, type KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { boolean, float64 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { LateRows } from "../rows/late-rows.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { NullKeys } from "./join-keys.ts";

export interface IntervalSideParams {
  readonly name: string;
  readonly schema: Schema;
  readonly key: KeyLayout;
  readonly late: string | undefined;
  /** True where rows without a match are given out. */
  readonly outer: boolean;
  /** True where a row is done with at its first match: it is given out once, or never. */
  readonly once?: boolean;
  /** A row at t matches rows of the other side in [t + lower, t + upper]. */
  readonly lowerMs: number;
  readonly upperMs: number;
  readonly bucketMs: number;
}

export class IntervalSide {
  readonly table: KeyedMultiTable;
  readonly stored: StoredRows;
  readonly late: LateRows;
  readonly nulls: NullKeys;
  readonly outer: boolean;
  readonly #once: boolean;
  readonly lowerMs: number;
  readonly upperMs: number;
  readonly #bucketMs: number;
  readonly #timers: Timers;
  readonly #reader: KeyReader;

  constructor(context: OperatorContext, params: IntervalSideParams) {
    this.outer = params.outer;
    this.#once = params.once ?? false;
    this.lowerMs = params.lowerMs;
    this.upperMs = params.upperMs;
    this.#bucketMs = this.#keepBucketSize(context, params);
    this.#reader = new KeyReader(params.key);
    const value = storedSchema(params.schema, { time: float64(), matched: boolean() });
    this.table = context.keyed.multiTable({ name: params.name, key: params.key, value, subKey: "number" });
    this.#timers = context.keyed.timers(`${params.name}-expiry`, params.key, "event");
    this.stored = new StoredRows(params.schema, this.table);
    this.late = new LateRows(context, params.late);
    this.nulls = new NullKeys(params.key);
  }

  // Buckets address entries in snapshots: a job whose interval was changed goes on with the size it began with.
  #keepBucketSize(context: OperatorContext, params: IntervalSideParams): number {
    const restored = context.state.list(`${params.name}-bucket`, "union", () => [{ key: "ms", value: encode(this.#bucketMs) }]);
    const entry = restored[0];
    return entry === undefined ? params.bucketMs : new ByteReader(entry.value).f64();
  }

  read(batch: Batch): KeyBatch {
    return this.#reader.read(batch);
  }

  bucketOf(timeMs: number): number {
    return Math.floor(timeMs / this.#bucketMs);
  }

  timeOf(slot: number): number {
    return this.stored.note(0).numbers[slot] as number;
  }

  /** False where the watermark rules out that a row of the other side will match one of this time. */
  mayStillMatch(timeMs: number, watermarkMs: number): boolean {
    return timeMs + this.upperMs > watermarkMs;
  }

  add(batch: Batch, row: number, keys: KeyBatch, k: number, matched: boolean, sequence: number): void {
    const timeMs = batch.rows.times[row] as number;
    const bucket = this.bucketOf(timeMs);
    const slot = this.table.upsert(keys, k, bucket, sequence);
    this.stored.store(batch.rows, row, slot);
    this.stored.note(0).numbers[slot] = timeMs;
    this.stored.note(1).numbers[slot] = matched ? 1 : 0;
    // A row that may have to be given out goes at its own time; the others go together, with their bucket.
    const lastMs = this.outer ? timeMs : (bucket + 1) * this.#bucketMs - 1;
    this.#timers.register(keys, k, bucket, lastMs + this.upperMs);
  }

  /** A row of the other side matches the one at `slot`. */
  markMatched(slot: number): void {
    if (this.#once) return this.table.delete(slot);
    if (!this.outer) return;
    const matched = this.stored.note(1).numbers;
    if (matched[slot] === 1) return;
    matched[slot] = 1;
    this.table.touch(slot);
  }

  /** Drops the rows that nothing can match any more; those of an outer side that had no match are shown first. */
  expire(watermarkMs: number, unmatched: (slot: number) => void): void {
    this.#timers.fire(watermarkMs, (keys, bucket, timerMs) => {
      const { slots, count } = this.table.entriesOf(keys, 0, bucket);
      for (let i = 0; i < count; i++) {
        const slot = slots[i] as number;
        if (this.timeOf(slot) + this.upperMs > timerMs) continue;
        if (this.outer && this.stored.note(1).numbers[slot] === 0) unmatched(slot);
        this.table.delete(slot);
      }
    });
  }
}

function encode(value: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.f64(value);
  return writer.copy();
}
