// The first row of each key to arrive, at once. Narrows the selection and copies nothing.
import { Batch } from "../../core/batch/batch.ts";
import type { Output } from "../../core/batch/rows-builder.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import { LateRows } from "../rows/late-rows.ts";
import type { DedupeParams } from "./dedupe.ts";
import { SeenKeys } from "./seen-keys.ts";

export class FirstArrived implements Operator {
  readonly #context: OperatorContext;
  readonly #output: Output;
  readonly #bounded: boolean;
  readonly #reader: KeyReader;
  readonly #seen: SeenKeys;
  readonly #late: LateRows;
  #slots: Int32Array = new Int32Array(0);
  #selection: Int32Array = new Int32Array(0);
  #out: Batch | undefined;

  constructor(context: OperatorContext, params: DedupeParams) {
    this.#context = context;
    this.#output = context.output();
    this.#bounded = params.withinMs !== undefined;
    this.#reader = new KeyReader(params.key);
    this.#seen = new SeenKeys(context, params);
    this.#late = new LateRows(context, params.late);
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    if (this.#slots.length < count) {
      this.#slots = new Int32Array(Math.max(count, 1024));
      this.#selection = new Int32Array(this.#slots.length);
    }
    const keys = this.#reader.read(batch);
    const watermarkMs = this.#bounded ? this.#context.watermarkMs() : Number.NaN;
    // Most rows of most streams are duplicates or new keys throughout: one look-up of the batch finds the duplicates.
    if (!this.#bounded) this.#seen.table.findAll(keys, null, this.#slots, false);
    let n = 0;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      if (timeMs <= watermarkMs) {
        this.#late.add(batch, row);
        continue;
      }
      // A key that was not there at the start of the batch may have come with an earlier row of it.
      if ((!this.#bounded && (this.#slots[k] as number) >= 0) || this.#seen.has(keys, k, timeMs)) continue;
      this.#seen.add(keys, k, timeMs);
      this.#selection[n++] = row;
    }
    if (n > 0) {
      this.#out ??= new Batch(rows);
      this.#output.emit(this.#out.set(rows, this.#selection, n));
    }
    this.#late.flush(batch);
  }

  onWatermark(timeMs: number): void {
    this.#seen.onWatermark(timeMs);
  }
}
