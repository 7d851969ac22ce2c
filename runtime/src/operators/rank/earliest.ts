// The row of each key with the earliest event time, given out once the watermark shows that no earlier one can come.
import { type Batch, rowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, Timers } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { LateRows } from "../rows/late-rows.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import type { DedupeParams } from "./dedupe.ts";
import { SeenKeys } from "./seen-keys.ts";

export class Earliest implements Operator {
  readonly #context: OperatorContext;
  readonly #reader: KeyReader;
  readonly #seen: SeenKeys;
  readonly #pending: KeyedTable;
  readonly #stored: StoredRows;
  readonly #timers: Timers;
  readonly #late: LateRows;
  readonly #emitter: RowEmitter;

  constructor(context: OperatorContext, params: DedupeParams) {
    this.#context = context;
    this.#reader = new KeyReader(params.key);
    this.#seen = new SeenKeys(context, params);
    // Apart from the keys that were seen: what waits to be given out must not end with a time to live.
    this.#pending = context.keyed.table({ name: "pending", key: params.key, value: storedSchema(params.input, { time: float64() }) });
    this.#stored = new StoredRows(params.input, this.#pending);
    this.#timers = context.keyed.timers("due", params.key, "event");
    this.#late = new LateRows(context, params.late);
    this.#emitter = new RowEmitter(params.input, params.input, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    const watermarkMs = this.#context.watermarkMs();
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      if (timeMs <= watermarkMs) this.#late.add(batch, row);
      else if (!this.#seen.has(keys, k, timeMs)) this.#wait(keys, k, batch, row, timeMs);
    }
    this.#late.flush(batch);
  }

  #wait(keys: KeyBatch, k: number, { rows }: Batch, row: number, timeMs: number): void {
    const times = this.#stored.note(0);
    let slot = this.#pending.find(keys, k, 0, false);
    if (slot < 0) slot = this.#pending.find(keys, k, 0, true);
    else {
      // Of two rows at one time the one that came first stays.
      if (timeMs >= (times.numbers[slot] as number)) return;
      this.#timers.delete(keys, k, 0, times.numbers[slot] as number);
    }
    this.#stored.store(rows, row, slot);
    times.numbers[slot] = timeMs;
    this.#pending.touch(slot);
    this.#timers.register(keys, k, 0, timeMs);
  }

  onWatermark(watermarkMs: number): void {
    this.#timers.fire(watermarkMs, (keys, _namespace, timeMs) => {
      const slot = this.#pending.find(keys, 0, 0, false);
      if (slot < 0) return;
      this.#emitter.emit(this.#stored.rows, slot, timeMs, rowKind.insert);
      this.#pending.delete(slot);
      this.#seen.add(keys, 0, timeMs);
    });
    this.#emitter.flush();
    this.#seen.onWatermark(watermarkMs);
  }
}
