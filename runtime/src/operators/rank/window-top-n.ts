// Windowed topN: the first rows of each key and window, given out once when the window closes; append-only.
import type { Batch, Rows } from "../../core/batch/batch.ts";
import { rowKind } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { fieldTimeMs } from "../../core/time/field-time.ts";
import { LateRows } from "../rows/late-rows.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { type OrderField, RowOrder } from "../rows/row-order.ts";
import { Sequence } from "../rows/sequence.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { selectTop } from "./ranked-rows.ts";
import { checkLimits } from "./top-n.ts";

export interface WindowTopNParams {
  /** Rows of windows: a window aggregate's or a window join's output. Append-only. */
  readonly input: Schema;
  readonly output: Schema;
  /** The key without the window. */
  readonly key: KeyLayout;
  /** The input's field with the window's end (the first ms that is not in it). */
  readonly windowEnd: string;
  readonly order: readonly OrderField[];
  readonly limit: number;
  readonly offset?: number;
  /** The output's field for the row's place, from 1 on. */
  readonly rank?: string;
  /** Side output for rows of windows that have closed; they are counted and dropped where there is none. */
  readonly late?: string;
}

/** Rows have the time of the window's last ms. Throws TOP_INVALID, ORDER_UNSUPPORTED, TIME_FIELD. */
export function windowTopN(params: WindowTopNParams): OperatorFactory {
  checkLimits(params.limit, params.offset ?? 0);
  return (context) => new WindowTopN(context, params);
}

class WindowTopN implements Operator {
  readonly #context: OperatorContext;
  readonly #offset: number;
  readonly #end: number;
  readonly #rankIndex: number;
  readonly #order: RowOrder;
  readonly #reader: KeyReader;
  readonly #endOf: (rows: Rows, row: number) => number;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #timers: Timers;
  readonly #sequence: Sequence;
  readonly #late: LateRows;
  readonly #emitter: RowEmitter;
  readonly #top: number[] = [];

  constructor(context: OperatorContext, params: WindowTopNParams) {
    const { input, output, key } = params;
    this.#context = context;
    this.#offset = params.offset ?? 0;
    this.#end = this.#offset + params.limit;
    this.#rankIndex = params.rank === undefined ? -1 : output.field(params.rank).index;
    this.#order = new RowOrder(input, params.order);
    this.#reader = new KeyReader(key);
    const endOf = fieldTimeMs(input, params.windowEnd);
    this.#endOf = (rows, row) => endOf(rows, row, undefined);
    this.#table = context.keyed.multiTable({ name: "rows", key, value: storedSchema(input, { sequence: float64() }), subKey: "number" });
    this.#stored = new StoredRows(input, this.#table);
    this.#timers = context.keyed.timers("windows", key, "event");
    this.#sequence = new Sequence(context);
    this.#late = new LateRows(context, params.late);
    this.#emitter = new RowEmitter(input, output, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    const watermarkMs = this.#context.watermarkMs();
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const endMs = this.#endOf(rows, row);
      if (endMs - 1 <= watermarkMs) this.#late.add(batch, row);
      else this.#add(keys, k, rows, row, endMs);
    }
    this.#late.flush(batch);
  }

  #add(keys: KeyBatch, k: number, rows: Rows, row: number, endMs: number): void {
    const { slots, count } = this.#table.entriesOf(keys, k, endMs);
    if (count >= this.#end) {
      // Only the rows that may be given out are kept: the new one, or the last of those, goes.
      selectTop(this.#stored.rows, this.#order, this.#stored.note(0).numbers, slots, count, this.#end, this.#top);
      const last = this.#top[this.#end - 1] as number;
      if (this.#order.compare(rows, row, this.#stored.rows, last) >= 0) return;
      this.#table.delete(last);
    }
    const sequence = this.#sequence.take();
    const slot = this.#table.upsert(keys, k, endMs, sequence);
    this.#stored.store(rows, row, slot);
    this.#stored.note(0).numbers[slot] = sequence;
    this.#timers.register(keys, k, endMs, endMs - 1);
  }

  onWatermark(watermarkMs: number): void {
    this.#timers.fire(watermarkMs, (keys, endMs) => {
      const { slots, count } = this.#table.entriesOf(keys, 0, endMs);
      selectTop(this.#stored.rows, this.#order, this.#stored.note(0).numbers, slots, count, this.#end, this.#top);
      for (let place = this.#offset; place < this.#top.length; place++) this.#give(this.#top[place] as number, place, endMs - 1);
      this.#table.deleteAll(keys, 0, endMs);
    });
    this.#emitter.flush();
  }

  #give(slot: number, place: number, timeMs: number): void {
    const out = this.#emitter.open(this.#stored.rows, slot, timeMs, rowKind.insert);
    if (this.#rankIndex >= 0) (this.#emitter.rows.columns[this.#rankIndex] as Column).numbers[out] = place + 1;
    this.#emitter.close(rowKind.insert);
  }
}
