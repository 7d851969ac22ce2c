// The keys of a batch, read once: a hash per row, and each key's bytes or 64-bit word. No object per row.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { murmur3, murmur3Word64 } from "../../base/murmur3.ts";
import type { Batch, Rows } from "../batch/batch.ts";
import type { Column } from "../batch/column.ts";
import { Decimal } from "../schema/decimal.ts";
import type { SchemaField } from "../schema/schema.ts";
import type { KeyLayout } from "./key-layout.ts";

const two32 = 4294967296;

/**
 * Keys by their position `k` in a batch's selection (not by row number). Form `integer` uses `low` and `high`;
 * the others the range `[starts[k], ends[k])` of `bytes`. Valid until its reader reads the next batch.
 */
export class KeyBatch {
  readonly layout: KeyLayout;
  count = 0;
  /** murmur3 of the key's bytes. */
  hashes: Int32Array = new Int32Array(0);
  low: Int32Array = new Int32Array(0);
  high: Int32Array = new Int32Array(0);
  bytes: Uint8Array = new Uint8Array(0);
  starts: Int32Array = new Int32Array(0);
  ends: Int32Array = new Int32Array(0);

  constructor(layout: KeyLayout) {
    this.layout = layout;
  }

  ensure(count: number): void {
    if (this.hashes.length >= count) return;
    const size = Math.max(count, 1024, this.hashes.length * 2);
    this.hashes = new Int32Array(size);
    if (this.layout.form === "integer") {
      this.low = new Int32Array(size);
      this.high = new Int32Array(size);
    } else {
      this.starts = new Int32Array(size);
      this.ends = new Int32Array(size);
    }
  }

  /** Makes this hold the one key whose canonical bytes are `[start, end)`: for restore, timers and queries. */
  setFromBytes(bytes: Uint8Array, start: number, end: number): this {
    this.ensure(1);
    this.count = 1;
    this.hashes[0] = murmur3(bytes, start, end);
    if (this.layout.form === "integer") {
      this.low[0] =
        (bytes[start] as number) |
        ((bytes[start + 1] as number) << 8) |
        ((bytes[start + 2] as number) << 16) |
        ((bytes[start + 3] as number) << 24);
      this.high[0] =
        (bytes[start + 4] as number) |
        ((bytes[start + 5] as number) << 8) |
        ((bytes[start + 6] as number) << 16) |
        ((bytes[start + 7] as number) << 24);
    } else {
      this.bytes = bytes;
      this.starts[0] = start;
      this.ends[0] = end;
    }
    return this;
  }

  /** Appends the canonical bytes of key `k` to `writer`. */
  writeKey(k: number, writer: ByteWriter): void {
    if (this.layout.form === "integer") {
      writer.i32(this.low[k] as number);
      writer.i32(this.high[k] as number);
    } else writer.raw(this.bytes, this.starts[k], this.ends[k]);
  }
}

/** The key group of a key hash: `(hash mod maxParallelism)` of the unsigned hash. */
export function keyGroupOf(hash: number, maxParallelism: number): number {
  return (hash >>> 0) % maxParallelism;
}

/** Reads the keys of batches of one stream. */
export class KeyReader {
  readonly keys: KeyBatch;
  readonly #layout: KeyLayout;
  readonly #scratch = new ByteWriter(4096);

  constructor(layout: KeyLayout) {
    this.#layout = layout;
    this.keys = new KeyBatch(layout);
  }

  /** The keys of the batch's selected rows, in the order of the selection. */
  read(batch: Batch): KeyBatch {
    const keys = this.keys;
    keys.ensure(batch.count);
    keys.count = batch.count;
    if (this.#layout.form === "integer") this.#readIntegers(batch, keys);
    else if (this.#layout.form === "text") this.#readTexts(batch, keys);
    else this.#readBytes(batch, keys);
    return keys;
  }

  #readIntegers(batch: Batch, keys: KeyBatch): void {
    const column = batch.rows.column(this.#layout.fieldIndexes[0] as number);
    const { numbers, exact } = column;
    const { selection, count } = batch;
    const { hashes, low, high } = keys;
    for (let k = 0; k < count; k++) {
      const value = numbers[selection[k] as number] as number;
      const l = value | 0;
      const h = Math.floor(value / two32) | 0;
      low[k] = l;
      high[k] = h;
      hashes[k] = murmur3Word64(l, h);
    }
    if (exact === null) return;
    for (let k = 0; k < count; k++) {
      const value = exact.get(selection[k] as number);
      if (value === undefined) continue;
      const l = Number(BigInt.asIntN(32, value));
      const h = Number(BigInt.asIntN(32, value >> 32n));
      low[k] = l;
      high[k] = h;
      hashes[k] = murmur3Word64(l, h);
    }
  }

  #readTexts(batch: Batch, keys: KeyBatch): void {
    const column = batch.rows.column(this.#layout.fieldIndexes[0] as number);
    const { selection, count } = batch;
    const { hashes, starts, ends } = keys;
    let allRanges = true;
    for (let k = 0; k < count; k++) {
      if (column.starts[selection[k] as number] === -1) {
        allRanges = false;
        break;
      }
    }
    if (allRanges) {
      const bytes = column.bytes;
      keys.bytes = bytes;
      for (let k = 0; k < count; k++) {
        const row = selection[k] as number;
        const start = column.starts[row] as number;
        const end = column.ends[row] as number;
        starts[k] = start;
        ends[k] = end;
        hashes[k] = murmur3(bytes, start, end);
      }
      return;
    }
    const scratch = this.#scratch;
    scratch.reset();
    for (let k = 0; k < count; k++) {
      starts[k] = scratch.length;
      writeText(scratch, column, selection[k] as number);
      ends[k] = scratch.length;
    }
    this.#hashScratch(keys);
  }

  #readBytes(batch: Batch, keys: KeyBatch): void {
    const scratch = this.#scratch;
    const fields = this.#layout.schema.fields;
    const columns = this.#layout.fieldIndexes.map((index) => batch.rows.column(index));
    scratch.reset();
    for (let k = 0; k < batch.count; k++) {
      keys.starts[k] = scratch.length;
      const row = batch.selection[k] as number;
      for (let f = 0; f < fields.length; f++) writeKeyField(scratch, fields[f] as SchemaField, columns[f] as Column, row);
      keys.ends[k] = scratch.length;
    }
    this.#hashScratch(keys);
  }

  #hashScratch(keys: KeyBatch): void {
    const bytes = this.#scratch.view();
    keys.bytes = bytes;
    for (let k = 0; k < keys.count; k++) keys.hashes[k] = murmur3(bytes, keys.starts[k] as number, keys.ends[k] as number);
  }
}

function writeText(writer: ByteWriter, column: Column, row: number): void {
  const start = column.starts[row] as number;
  if (start === -1) writer.utf8Raw(column.texts[row] as string);
  else writer.raw(column.bytes, start, column.ends[row]);
}

// One field of a composite key: a presence byte where the field may be absent, then fixed or length-prefixed bytes.
function writeKeyField(writer: ByteWriter, field: SchemaField, column: Column, row: number): void {
  if (field.spec.nullable || field.spec.optional) {
    const mark = column.nulls === null ? 0 : (column.nulls[row] as number);
    writer.u8(mark);
    if (mark !== 0) return;
  }
  switch (field.column) {
    case "int64":
      writer.i64(column.getInt64(row));
      return;
    case "text": {
      const start = column.starts[row] as number;
      if (start === -1) writer.string(column.texts[row] as string);
      else writer.bytes(column.bytes, start, column.ends[row]);
      return;
    }
    case "object": {
      const value = column.objects[row];
      // Decimals are in their field's scale, so equal values have equal text.
      if (value instanceof Decimal) writer.string(value.toString());
      else writer.bytes(value as Uint8Array);
      return;
    }
    case "number": {
      const kind = field.spec.type.kind;
      const value = column.numbers[row] as number;
      if (kind === "boolean") writer.u8(value);
      // Zero has one form, and so has not-a-number: equal keys must have equal bytes.
      else if (kind === "float64" || kind === "float32") writer.f64(value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value);
      else writer.i64FromNumber(value);
      return;
    }
  }
}

/** Writes the fields of a key, given by its canonical bytes, into columns `targets` (one per key field) at `row`. */
export function readKeyInto(
  layout: KeyLayout,
  bytes: Uint8Array,
  start: number,
  end: number,
  rows: Rows,
  row: number,
  targets: readonly number[],
): void {
  const fields = layout.schema.fields;
  const reader = new ByteReader(bytes, start, end);
  for (let f = 0; f < fields.length; f++) {
    const field = fields[f] as SchemaField;
    const column = rows.columns[targets[f] as number] as Column;
    if (field.spec.nullable || field.spec.optional) {
      const mark = reader.u8();
      if (mark !== 0) {
        column.setAbsent(row, mark);
        if (column.kind === "text") column.setText(row, "");
        continue;
      }
    }
    if (column.nulls !== null) column.nulls[row] = 0;
    if (layout.form === "text") column.setText(row, reader.raw(reader.remaining).toString("utf8"));
    else if (field.column === "text") column.setText(row, reader.string());
    else if (field.column === "int64") column.setInt64(row, reader.i64());
    else if (field.column === "object") {
      const type = field.spec.type;
      column.objects[row] = type.kind === "decimal" ? Decimal.parse(reader.string()) : Uint8Array.from(reader.bytes());
    } else {
      const kind = field.spec.type.kind;
      column.numbers[row] =
        kind === "boolean" ? reader.u8() : kind === "float64" || kind === "float32" ? reader.f64() : Number(reader.i64());
    }
  }
}
