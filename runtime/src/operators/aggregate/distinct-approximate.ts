// countDistinctApprox: HyperLogLog over 64-bit hashes of a field's values.
import { ByteWriter } from "../../base/bytes.ts";
import { murmur3 } from "../../base/murmur3.ts";
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { countSpec } from "./count.ts";
import { addToSketch, alignSketch, emptySketch, estimateSketch, mergeSketch } from "./hyperloglog.ts";
import { readKey } from "./scalar.ts";

// Missing in state that was written before the aggregate was added.
const sketchSpec: FieldSpec = { type: { kind: "bytes" }, nullable: false, optional: true, aliases: [] };
// Two seeds of one 32-bit hash make the 64 bits; they are in stored sketches, so they never change.
const seedHigh = 0x2f0b4c47;
const seedLow = 0x7b16a3d9;

/** About how many different values the group has; see `hyperLogLogError`. Null is not a value. */
export class CountDistinctApproximate implements AggregateFunction {
  readonly accumulators: RowSpec = { sketch: sketchSpec };
  readonly resultSpec: FieldSpec = countSpec;
  readonly #field: number;
  readonly #scratch = new ByteWriter(256);

  constructor(field: number) {
    this.#field = field;
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    const { objects, nulls } = columnAt(columns, 0);
    for (let k = 0; k < count; k++) {
      objects[slots[k] as number] = emptySketch();
      if (nulls !== null) nulls[slots[k] as number] = 0;
    }
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    const source = batch.rows.column(this.#field);
    const target = columnAt(columns, 0);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (!hasValue(source, row)) continue;
      const slot = slots[k] as number;
      const writer = this.#scratch;
      let bytes: Uint8Array = source.bytes;
      let start = source.kind === "text" ? (source.starts[row] as number) : -1;
      let end = start === -1 ? 0 : (source.ends[row] as number);
      if (start === -1) {
        writer.reset();
        writeKey(writer, source, row);
        bytes = writer.buffer;
        start = 0;
        end = writer.length;
      }
      target.objects[slot] = addToSketch(
        sketchAt(target, slot),
        murmur3(bytes, start, end, seedHigh) >>> 0,
        murmur3(bytes, start, end, seedLow) >>> 0,
      );
    }
  }

  retract(): void {
    throw new Error("assertion failed: an approximate count was given a retraction");
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    const target = columnAt(to, 0);
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      target.objects[slot] = mergeSketch(sketchAt(target, slot), sketchAt(columnAt(from, 0), fromSlots[k] as number));
    }
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    for (let k = 0; k < count; k++) target.numbers[row + k] = estimateSketch(sketchAt(columnAt(columns, 0), slots[k] as number));
  }
}

function sketchAt(column: Column, slot: number): Uint8Array {
  const sketch = column.objects[slot];
  if (sketch instanceof Uint8Array) return alignSketch(sketch);
  if (column.nulls !== null) column.nulls[slot] = 0;
  return emptySketch();
}

// Text as its UTF-8, numbers as their double, the rest as its decimal digits.
function writeKey(writer: ByteWriter, column: Column, row: number): void {
  const key = readKey(column, row);
  if (typeof key === "string") writer.utf8Raw(key);
  else if (typeof key === "number") writer.f64(key === 0 ? 0 : key);
  else writer.utf8Raw(key.toString());
}
