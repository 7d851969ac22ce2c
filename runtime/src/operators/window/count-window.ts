// Windows of a number of rows per key: every `size` rows, or with a slide the last `size` rows every `slide` rows.
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { float64, int53 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { AccumulatorBuffer, type AggregateSet, type BoundAggregates } from "../aggregate/aggregate-set.ts";
import { OneRow } from "./window-entries.ts";
import { WindowOutput } from "./window-output.ts";
import { resolveWindowAggregate, type WindowAggregateParams } from "./window-params.ts";
import type { CountWindow } from "./window-spec.ts";
import { MillraceError } from "../../base/errors.ts";

/**
 * Rows are numbered per key. A pane is `gcd(size, slide)` rows of a key; entry (p mod panes, key) holds the key's pane p, so each
 * is used again once no window needs it. A result has the latest time of its rows.
 */
export class CountWindowOperator implements Operator {
  readonly #context: OperatorContext;
  readonly #processingTime: boolean;
  readonly #reader: KeyReader;
  readonly #slide: number;
  readonly #paneRows: number;
  readonly #paneCount: number;
  /** How many rows a key has had. */
  readonly #counts: KeyedTable;
  readonly #panes: KeyedTable;
  readonly #bound: BoundAggregates;
  readonly #latest: Column;
  readonly #merged: AccumulatorBuffer;
  readonly #output: WindowOutput;
  readonly #slot = new Int32Array(1);
  readonly #zero = new Int32Array(1);
  #one: OneRow | undefined;

  constructor(context: OperatorContext, params: WindowAggregateParams, window: CountWindow) {
    const { set, output } = resolveWindowAggregate(params);
    if (set.retracting) {
      throw new MillraceError(
        "WINDOW_INVALID",
        "count window",
        "its input takes rows back, and a count of rows cannot",
        "use a window of time, or a stream of inserts",
      );
    }
    this.#context = context;
    this.#processingTime = params.time === "processing";
    this.#reader = new KeyReader(params.key);
    this.#slide = window.slide ?? window.size;
    this.#paneRows = greatestCommonDivisor(window.size, this.#slide);
    this.#paneCount = window.size / this.#paneRows;
    this.#counts = context.keyed.table({ name: "counts", key: params.key, value: schema({ rows: int53() }) });
    this.#panes = context.keyed.table({ name: "panes", key: params.key, value: set.stateSchema({ latest$: float64().spec }) });
    this.#bound = set.bind(this.#panes.columns);
    this.#latest = this.#panes.columns[set.accumulators.fields.length] as Column;
    this.#merged = this.#buffer(set);
    this.#output = new WindowOutput(output, params.key, false, context.output());
  }

  #buffer(set: AggregateSet): AccumulatorBuffer {
    return new AccumulatorBuffer(set, 1);
  }

  process(batch: Batch): void {
    const keys = this.#reader.read(batch);
    this.#one ??= new OneRow(batch);
    const nowMs = this.#context.clock.now();
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      const timeMs = this.#processingTime ? nowMs : (batch.rows.times[row] as number);
      const counted = this.#counts.find(keys, k, 0, true);
      const rows = this.#counts.columns[0]?.numbers as Float64Array;
      const before = rows[counted] as number;
      rows[counted] = before + 1;
      this.#counts.touch(counted);
      this.#add(keys, k, before, this.#one.at(batch, row), timeMs);
      if ((before + 1) % this.#slide === 0) this.#fire(keys, k, before);
    }
    this.#output.flush();
  }

  // Adds row number `number` of a key.
  #add(keys: KeyBatch, k: number, number: number, row: Batch, timeMs: number): void {
    const pane = Math.floor(number / this.#paneRows);
    const slot = this.#panes.find(keys, k, pane % this.#paneCount, true);
    this.#slot[0] = slot;
    const latest = this.#latest.numbers;
    if (number % this.#paneRows === 0) {
      this.#bound.init(this.#slot, 1);
      latest[slot] = timeMs;
    } else if (timeMs > (latest[slot] as number)) latest[slot] = timeMs;
    this.#bound.update(this.#slot, row);
    this.#panes.touch(slot);
  }

  // Gives the result of the rows up to number `last` of a key.
  #fire(keys: KeyBatch, k: number, last: number): void {
    const merged = this.#merged;
    merged.reset();
    merged.bound.init(this.#zero, 1);
    const newest = Math.floor(last / this.#paneRows);
    const oldest = Math.max(0, newest - this.#paneCount + 1);
    let timeMs = -Infinity;
    let keySlot = -1;
    for (let pane = oldest; pane <= newest; pane++) {
      keySlot = this.#panes.find(keys, k, pane % this.#paneCount, false);
      if (keySlot < 0) continue;
      this.#slot[0] = keySlot;
      merged.bound.merge(this.#bound, this.#slot, this.#zero, 1);
      timeMs = Math.max(timeMs, this.#latest.numbers[keySlot] as number);
    }
    this.#output.emitOne(this.#panes, keySlot, merged.bound, 0, { startMs: -Infinity, endMs: Infinity, timeMs });
    // Side by side, windows share nothing: the pane is done, and so is the count.
    if (this.#paneCount === 1 && this.#slide === this.#paneRows) {
      this.#panes.delete(keySlot);
      const counted = this.#counts.find(keys, k, 0, false);
      if (counted >= 0) this.#counts.delete(counted);
    }
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
