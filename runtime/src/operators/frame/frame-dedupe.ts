// One row per key of a DataFrame query, for as long as the query's watermark keeps the key.
import { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { Output } from "../../core/batch/rows-builder.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, Timers } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";

/**
 * `always`: a key is remembered for ever.
 * `time`: the row's event time is part of the key, so the key is forgotten when the watermark has reached that time.
 * `within`: a key is forgotten when the watermark is `withinMs` past the time of the row that passed; until then every row of the key
 * is a duplicate, whatever its own time.
 */
export type DedupeLife = { readonly kind: "always" } | { readonly kind: "time" } | { readonly kind: "within"; readonly withinMs: number };

export interface FrameDedupeParams {
  readonly key: KeyLayout;
  readonly life: DedupeLife;
  /** Rows at or behind the watermark are late: dropped and counted. Without it none is. */
  readonly dropsLate: boolean;
}

export function frameDedupe(params: FrameDedupeParams): OperatorFactory {
  return (context) => new FrameDedupe(context, params);
}

class FrameDedupe implements Operator {
  readonly #context: OperatorContext;
  readonly #params: FrameDedupeParams;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #timers: Timers | undefined;
  readonly #output: Output;
  #selection: Int32Array = new Int32Array(1024);

  constructor(context: OperatorContext, params: FrameDedupeParams) {
    this.#context = context;
    this.#params = params;
    this.#reader = new KeyReader(params.key);
    const value = params.life.kind === "within" ? schema({ expiresAt: float64() }) : schema({});
    this.#table = context.keyed.table({ name: "seen", key: params.key, value });
    this.#timers = params.life.kind === "within" ? context.keyed.timers("forget", params.key, "event") : undefined;
    this.#output = context.output();
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    if (this.#selection.length < count) this.#selection = new Int32Array(count * 2);
    const keys = this.#reader.read(batch);
    const watermarkMs = this.#params.dropsLate ? this.#context.watermarkMs() : -Infinity;
    const { life } = this.#params;
    let kept = 0;
    let late = 0;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      // A row without event time is never late.
      if (timeMs <= watermarkMs && timeMs !== -Infinity) {
        late++;
        continue;
      }
      const namespace = life.kind === "time" && timeMs !== -Infinity ? timeMs : 0;
      if (this.#table.find(keys, k, namespace, false) >= 0) continue;
      const slot = this.#table.find(keys, k, namespace, true);
      if (life.kind === "within") {
        const expiresAt = timeMs + life.withinMs;
        (this.#table.columns[0] as Column).numbers[slot] = expiresAt;
        this.#timers?.register(keys, k, 0, expiresAt);
      }
      this.#table.touch(slot);
      this.#selection[kept++] = row;
    }
    if (late > 0) this.#context.metrics.count("late_records_dropped", late);
    if (kept > 0) this.#output.emit(new Batch(rows, this.#selection, kept));
  }

  onWatermark(timeMs: number): void {
    if (this.#params.life.kind === "time") {
      for (const namespace of this.#table.namespaces(timeMs)) {
        // Namespace 0 also holds the keys of rows without event time.
        if (namespace === 0) continue;
        this.#table.visitNamespace(namespace, (slots, count) => {
          for (let k = 0; k < count; k++) this.#table.delete(slots[k] as number);
        });
      }
    }
    this.#timers?.fire(timeMs, (keys) => {
      const slot = this.#table.find(keys, 0, 0, false);
      if (slot >= 0) this.#table.delete(slot);
    });
  }
}
