// throttle: at most one row per key and interval of processing time, the latest; for outputs that people or slow systems watch.
import { MillraceError } from "../../base/errors.ts";
import { type Batch, type RowKind, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, Timers } from "../../core/ports/state.ts";
import { boolean, float64, int8 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";

export interface ThrottleParams {
  readonly input: Schema;
  readonly key: KeyLayout;
  readonly intervalMs: number;
}

/** Notes of an entry: the row's time and kind, and whether it waits to be given out. */
const timeNote = 0;
const kindNote = 1;
const waitsNote = 2;

/**
 * A key's first row passes at once. Rows that follow within the interval replace each other, and the last of them passes at its
 * end, which begins the next interval. Takes rows that replace each other by key (an append-only stream of latest values, or
 * upserts): rows before updates are left out, and so what it gives out upserts. At the end of the input what waits passes at once.
 * Rows keep their times, so those that waited may come out late: it belongs before a sink, not before event-time operators. Throws THROTTLE_INVALID.
 */
export function throttle(params: ThrottleParams): OperatorFactory {
  if (!Number.isSafeInteger(params.intervalMs) || params.intervalMs <= 0) {
    throw new MillraceError(
      "THROTTLE_INVALID",
      "throttle",
      `an interval of ${params.intervalMs} ms`,
      "use a whole number of ms above zero",
    );
  }
  return (context) => new Throttle(context, params);
}

class Throttle implements Operator {
  readonly #context: OperatorContext;
  readonly #intervalMs: number;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #stored: StoredRows;
  readonly #timers: Timers;
  readonly #emitter: RowEmitter;

  constructor(context: OperatorContext, { input, key, intervalMs }: ThrottleParams) {
    this.#context = context;
    this.#intervalMs = intervalMs;
    this.#reader = new KeyReader(key);
    const value = storedSchema(input, { time: float64(), kind: int8(), waits: boolean() });
    this.#table = context.keyed.table({ name: "latest", key, value });
    this.#stored = new StoredRows(input, this.#table);
    this.#timers = context.keyed.timers("intervals", key, "processing");
    this.#emitter = new RowEmitter(input, input, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    const nowMs = this.#context.clock.now();
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      if (kind === rowKind.updateBefore) continue;
      const slot = this.#table.find(keys, k, 0, false);
      if (slot >= 0) this.#keep(rows, row, kind, slot);
      else {
        this.#emitter.emit(rows, row, rows.times[row] as number, kind);
        this.#open(keys, k, nowMs);
      }
    }
    this.#emitter.flush();
  }

  #keep(rows: Rows, row: number, kind: RowKind, slot: number): void {
    this.#stored.store(rows, row, slot);
    this.#stored.note(timeNote).numbers[slot] = rows.times[row] as number;
    this.#stored.note(kindNote).numbers[slot] = kind;
    this.#stored.note(waitsNote).numbers[slot] = 1;
    this.#table.touch(slot);
  }

  #open(keys: KeyBatch, k: number, nowMs: number): void {
    const slot = this.#table.find(keys, k, 0, true);
    this.#stored.note(waitsNote).numbers[slot] = 0;
    this.#table.touch(slot);
    this.#timers.register(keys, k, 0, nowMs + this.#intervalMs);
  }

  nextWakeMs(): number {
    return this.#timers.nextMs();
  }

  onProcessingTime(nowMs: number): void {
    this.#timers.fire(nowMs, (keys) => {
      const slot = this.#table.find(keys, 0, 0, false);
      if (slot < 0) return;
      if (this.#give(slot)) this.#open(keys, 0, nowMs);
      else this.#table.delete(slot);
    });
    this.#emitter.flush();
  }

  // True where a row waited.
  #give(slot: number): boolean {
    const waits = this.#stored.note(waitsNote).numbers;
    if (waits[slot] !== 1) return false;
    const kind = this.#stored.note(kindNote).numbers[slot] as RowKind;
    this.#emitter.emit(this.#stored.rows, slot, this.#stored.note(timeNote).numbers[slot] as number, kind);
    waits[slot] = 0;
    this.#table.touch(slot);
    return true;
  }

  end(): void {
    this.#table.visitAll((slots, count) => {
      for (let i = 0; i < count; i++) this.#give(slots[i] as number);
    });
    this.#emitter.flush();
  }
}
