// percentile: DDSketch (C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch", VLDB 2019).
// The mapping of values to bins is the sketch library's; the bins are a map in the accumulator, so they are stored as state and
// can be counted down again when rows are taken back.
import { DDSketch } from "@datadog/sketches-js";
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { addToMultiset, multisetOf, ownedObjectSpec } from "./multiset.ts";
import { readScalar, writeNull } from "./scalar.ts";
import { Decimal } from "../../core/schema/decimal.ts";

/** The largest relative error of a percentile unless the call says otherwise. */
export const defaultAccuracy = 0.01;

/**
 * Positive values have their bin's number above this, negative ones its negative below; 0 is the bin of zero. So bins sort as values do.
 * At the finest accuracy allowed, 0.0001, the bins of all doubles lie within ±3.6 million of it.
 */
const binOffset = 8_388_608;

export class Percentile implements AggregateFunction {
  readonly accumulators: RowSpec = { bins: ownedObjectSpec };
  readonly resultSpec: FieldSpec;
  readonly #field: number;
  readonly #fraction: number;
  readonly #mapping: DDSketch["mapping"];

  constructor(field: number, spec: FieldSpec, fraction: number, accuracy: number) {
    this.#field = field;
    this.#fraction = fraction;
    this.#mapping = new DDSketch({ relativeAccuracy: accuracy }).mapping;
    this.resultSpec = { type: { kind: "float64" }, nullable: spec.nullable || spec.optional, optional: false, aliases: [] };
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) writeNull(columnAt(columns, 0), slots[k] as number);
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#change(columns, slots, batch, 1);
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#change(columns, slots, batch, -1);
  }

  #change(columns: readonly Column[], slots: Int32Array, batch: Batch, by: number): void {
    const source = batch.rows.column(this.#field);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      const value = readScalar(source, row);
      const number = value instanceof Decimal ? value.toNumber() : Number(value);
      if (Number.isNaN(number)) continue;
      addToMultiset(multisetOf(columnAt(columns, 0), slots[k] as number), this.#binOf(number), by);
    }
  }

  #binOf(value: number): number {
    const size = Math.abs(value);
    if (size < this.#mapping.minPossible) return 0;
    const bin = this.#mapping.key(Math.min(size, this.#mapping.maxPossible)) + binOffset;
    return value > 0 ? bin : -bin;
  }

  #valueOf(bin: number): number {
    if (bin === 0) return 0;
    const value = this.#mapping.value(Math.abs(bin) - binOffset);
    return bin > 0 ? value : -value;
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) {
      const bins = multisetOf(columnAt(to, 0), toSlots[k] as number);
      for (const [bin, times] of multisetOf(columnAt(from, 0), fromSlots[k] as number)) addToMultiset(bins, bin, times);
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) {
      const bins = [...multisetOf(columnAt(columns, 0), slots[k] as number)]
        .filter(([, times]) => times > 0)
        .map(([bin, times]) => [Number(bin), times] as const);
      if (bins.length > 0) target.numbers[row + k] = this.#quantile(bins);
      else if (this.resultSpec.nullable) writeNull(target, row + k);
      // All values were not-a-number, which has no place in an order of magnitude.
      else target.numbers[row + k] = Number.NaN;
    }
  }

  // The value of rank floor(fraction * (n - 1)), as in the paper.
  #quantile(bins: (readonly [bin: number, times: number])[]): number {
    bins.sort((a, b) => a[0] - b[0]);
    const total = bins.reduce((sum, [, times]) => sum + times, 0);
    const rank = Math.floor(this.#fraction * (total - 1));
    let seen = 0;
    for (const [bin, times] of bins) {
      seen += times;
      if (seen > rank) return this.#valueOf(bin);
    }
    throw new Error("assertion failed: a rank lies beyond all values");
  }
}
