// history: a versioned table as rows, each with the time from which and up to which it was valid.
import { type Batch, type RowKind, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type Column, isNull } from "../../core/batch/column.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { boolean } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { LateRows } from "../rows/late-rows.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";

export interface HistoryParams {
  readonly input: Schema;
  /** The table's primary key. */
  readonly key: KeyLayout;
  /** The input's fields and the two below. */
  readonly output: Schema;
  /** Timestamps (ms) of the output: from when a version is valid, and until when, null while it is. */
  readonly validFrom: string;
  readonly validTo: string;
  /** Versions that ended longer than this before the watermark can no longer change and are forgotten, ms. Default: kept for ever. */
  readonly retentionMs?: number;
  /** Side output for changes older than the retention; they are counted and dropped where there is none. */
  readonly late?: string;
}

/**
 * Takes a changelog by key in which a change is valid from its row's time on, in any order, and gives out the history as a
 * retracting changelog: a change ends the version before it and begins one that lasts until the next. Of two changes of a key
 * at one time the later to come counts.
 */
export function history(params: HistoryParams): OperatorFactory {
  return (context) => new History(context, params);
}

class History implements Operator {
  readonly #context: OperatorContext;
  readonly #retentionMs: number;
  readonly #reader: KeyReader;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #timers: Timers;
  readonly #late: LateRows;
  readonly #emitter: RowEmitter;
  readonly #from: number;
  readonly #to: number;

  constructor(context: OperatorContext, params: HistoryParams) {
    const { input, output, key } = params;
    this.#context = context;
    this.#retentionMs = params.retentionMs ?? Infinity;
    this.#reader = new KeyReader(key);
    const value = storedSchema(input, { deleted: boolean() });
    this.#table = context.keyed.multiTable({ name: "versions", key, value, subKey: "number" });
    this.#stored = new StoredRows(input, this.#table);
    this.#timers = context.keyed.timers("retention", key, "event");
    this.#late = new LateRows(context, params.late);
    this.#emitter = new RowEmitter(input, output, context.output());
    this.#from = output.field(params.validFrom).index;
    this.#to = output.field(params.validTo).index;
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    const horizonMs = this.#context.watermarkMs() - this.#retentionMs;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      if (kind === rowKind.updateBefore) continue;
      const timeMs = Math.floor(rows.times[row] as number);
      // Written so that a row without a time is late too.
      if (!(timeMs > horizonMs) || !Number.isFinite(timeMs)) this.#late.add(batch, row);
      else this.#change(keys, k, rows, row, timeMs, kind === rowKind.delete);
    }
    this.#emitter.flush();
    this.#late.flush(batch);
  }

  #change(keys: KeyBatch, k: number, rows: Rows, row: number, timeMs: number, deleted: boolean): void {
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    let before = -1;
    let same = -1;
    let afterMs = Infinity;
    let beforeMs = -Infinity;
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const fromMs = this.#table.subKeyOf(slot) as number;
      if (fromMs === timeMs) same = slot;
      else if (fromMs > timeMs) afterMs = Math.min(afterMs, fromMs);
      else if (fromMs > beforeMs) {
        before = slot;
        beforeMs = fromMs;
      }
    }
    const versions = this.#stored.rows;
    if (same >= 0) {
      if (this.#isVersion(same)) this.#emit(versions, same, timeMs, afterMs, timeMs, rowKind.delete);
    } else if (before >= 0 && this.#isVersion(before)) {
      this.#emit(versions, before, beforeMs, afterMs, timeMs, rowKind.updateBefore);
      this.#emit(versions, before, beforeMs, timeMs, timeMs, rowKind.updateAfter);
    }
    if (!deleted) this.#emit(rows, row, timeMs, afterMs, timeMs, rowKind.insert);
    const slot = this.#table.upsert(keys, k, 0, timeMs);
    this.#stored.store(rows, row, slot);
    this.#stored.note(0).numbers[slot] = deleted ? 1 : 0;
    this.#table.touch(slot);
    if (this.#retentionMs !== Infinity) this.#timers.register(keys, k, 0, timeMs + this.#retentionMs);
  }

  #isVersion(slot: number): boolean {
    return this.#stored.note(0).numbers[slot] === 0;
  }

  #emit(rows: Rows, row: number, fromMs: number, toMs: number, timeMs: number, kind: RowKind): void {
    const out = this.#emitter.open(rows, row, timeMs, kind);
    const { columns } = this.#emitter.rows;
    (columns[this.#from] as Column).numbers[out] = fromMs;
    const to = columns[this.#to] as Column;
    to.numbers[out] = toMs === Infinity ? 0 : toMs;
    if (toMs === Infinity) to.setAbsent(out, isNull);
    else if (to.nulls !== null) to.nulls[out] = 0;
    this.#emitter.close(kind);
  }

  // Changes after `timeMs - retention` may still come: the version valid then is the earliest that they can end.
  onWatermark(timeMs: number): void {
    this.#timers.fire(timeMs, (keys, _namespace, firedMs) => {
      const horizonMs = firedMs - this.#retentionMs;
      const { slots, count } = this.#table.entriesOf(keys, 0, 0);
      let keepMs = -Infinity;
      for (let i = 0; i < count; i++) {
        const fromMs = this.#table.subKeyOf(slots[i] as number) as number;
        if (fromMs <= horizonMs) keepMs = Math.max(keepMs, fromMs);
      }
      for (let i = 0; i < count; i++) {
        if ((this.#table.subKeyOf(slots[i] as number) as number) < keepMs) this.#table.delete(slots[i] as number);
      }
    });
  }
}
