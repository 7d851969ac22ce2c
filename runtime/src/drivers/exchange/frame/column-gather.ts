// The values of one column that wait to be sent: gathered from batches row by row, laid out in a frame in one go.
import { ByteWriter } from "../../../base/bytes.ts";
import { type Column, present } from "../../../core/batch/column.ts";
import { type ValueCodec, valueCodec } from "../../../core/codec/value-codec.ts";
import type { ColumnKind } from "../../../core/schema/type-spec.ts";
import type { SchemaField } from "../../../core/schema/schema.ts";
import { columnHeaderBytes, exactBytes, hasAbsent, padded } from "./layout.ts";

const noCodec: ValueCodec = { write() {}, read() {}, skip() {} };

export class ColumnGather {
  readonly #kind: ColumnKind;
  readonly #index: number;
  readonly #codec: ValueCodec;
  #numbers = new Float64Array(0);
  /** Where the bytes of each row end; texts and objects. */
  #ends = new Int32Array(0);
  #bytes: ByteWriter | undefined;
  #marks: Uint8Array | undefined;
  #hasMarks = false;
  /** Rows and values of integers beyond 2^53. */
  readonly #exactRows: number[] = [];
  readonly #exactValues: bigint[] = [];

  constructor(field: SchemaField) {
    this.#kind = field.column;
    this.#index = field.index;
    this.#codec = field.column === "object" ? valueCodec(field.name, field.spec) : noCodec;
  }

  ensure(capacity: number): void {
    if (this.#kind === "number" || this.#kind === "int64") {
      if (this.#numbers.length >= capacity) return;
      const numbers = new Float64Array(capacity);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    } else if (this.#ends.length < capacity) {
      const ends = new Int32Array(capacity);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    if (this.#marks === undefined || this.#marks.length >= capacity) return;
    const marks = new Uint8Array(capacity);
    marks.set(this.#marks);
    this.#marks = marks;
  }

  /** Bytes of texts and objects that are gathered. */
  get variableBytes(): number {
    return this.#bytes?.length ?? 0;
  }

  /** Takes rows `selection[from..to)` of `column` as rows `row...`; there is room for them, in arrays of `capacity`. */
  take(column: Column, selection: Int32Array, from: number, to: number, row: number, capacity: number): void {
    this.#takeMarks(column.nulls, selection, from, to, row, capacity);
    if (this.#kind === "number" || this.#kind === "int64") {
      const source = column.numbers;
      const target = this.#numbers;
      for (let k = from, o = row; k < to; k++, o++) target[o] = source[selection[k] as number] as number;
      if (column.exact !== null) this.#takeExact(column.exact, selection, from, to, row);
    } else if (this.#kind === "text") this.#takeTexts(column, selection, from, to, row);
    else this.#takeObjects(column, selection, from, to, row);
  }

  #takeMarks(nulls: Uint8Array | null, selection: Int32Array, from: number, to: number, row: number, capacity: number): void {
    if (nulls === null) {
      if (this.#marks !== undefined) this.#marks.fill(present, row, row + to - from);
      return;
    }
    this.#marks ??= new Uint8Array(capacity);
    const target = this.#marks;
    let seen = 0;
    for (let k = from, o = row; k < to; k++, o++) {
      const mark = nulls[selection[k] as number] as number;
      target[o] = mark;
      seen |= mark;
    }
    if (seen !== 0) this.#hasMarks = true;
  }

  #takeExact(exact: ReadonlyMap<number, bigint>, selection: Int32Array, from: number, to: number, row: number): void {
    for (let k = from; k < to; k++) {
      const value = exact.get(selection[k] as number);
      if (value === undefined) continue;
      this.#exactRows.push(row + k - from);
      this.#exactValues.push(value);
    }
  }

  #takeTexts(column: Column, selection: Int32Array, from: number, to: number, row: number): void {
    const writer = (this.#bytes ??= new ByteWriter(4096));
    const { starts, ends, bytes, texts, nulls } = column;
    const target = this.#ends;
    for (let k = from, o = row; k < to; k++, o++) {
      const at = selection[k] as number;
      if (nulls === null || nulls[at] === present) {
        const start = starts[at] as number;
        if (start === -1) writer.utf8Raw(texts[at] as string);
        else writer.raw(bytes, start, ends[at]);
      }
      target[o] = writer.length;
    }
  }

  #takeObjects(column: Column, selection: Int32Array, from: number, to: number, row: number): void {
    const writer = (this.#bytes ??= new ByteWriter(4096));
    const { objects, nulls } = column;
    const target = this.#ends;
    for (let k = from, o = row; k < to; k++, o++) {
      const at = selection[k] as number;
      if (nulls === null || nulls[at] === present) this.#codec.write(writer, objects[at]);
      target[o] = writer.length;
    }
  }

  /** How much room `write` needs for `rows` rows. */
  sizeBytes(rows: number): number {
    const marks = this.#hasMarks ? padded(rows) : 0;
    if (this.#kind === "number" || this.#kind === "int64")
      return columnHeaderBytes + marks + rows * 8 + this.#exactRows.length * exactBytes;
    return columnHeaderBytes + marks + padded((rows + 1) * 4) + padded(this.variableBytes);
  }

  /** Writes the column at `offset` of a frame, forgets it, and returns where the next one begins. */
  write(frame: Uint8Array<ArrayBuffer>, data: DataView, offset: number, rows: number): number {
    data.setUint32(offset, this.#index, true);
    data.setUint32(offset + 4, this.#hasMarks ? hasAbsent : 0, true);
    data.setUint32(offset + 8, this.variableBytes, true);
    data.setUint32(offset + 12, this.#exactRows.length, true);
    let next = offset + columnHeaderBytes;
    if (this.#hasMarks) {
      frame.set((this.#marks as Uint8Array).subarray(0, rows), next);
      next += padded(rows);
    }
    next =
      this.#kind === "number" || this.#kind === "int64" ? this.#writeNumbers(frame, data, next, rows) : this.#writeBytes(frame, next, rows);
    this.#hasMarks = false;
    this.#bytes?.reset();
    return next;
  }

  #writeNumbers(frame: Uint8Array<ArrayBuffer>, data: DataView, offset: number, rows: number): number {
    new Float64Array(frame.buffer, frame.byteOffset + offset, rows).set(this.#numbers.subarray(0, rows));
    let next = offset + rows * 8;
    for (let i = 0; i < this.#exactRows.length; i++, next += exactBytes) {
      data.setUint32(next, this.#exactRows[i] as number, true);
      data.setBigInt64(next + 8, this.#exactValues[i] as bigint, true);
    }
    this.#exactRows.length = 0;
    this.#exactValues.length = 0;
    return next;
  }

  // Offsets count from the frame's start, so that a receiver uses them as they are.
  #writeBytes(frame: Uint8Array<ArrayBuffer>, offset: number, rows: number): number {
    const bytesAt = offset + padded((rows + 1) * 4);
    const offsets = new Int32Array(frame.buffer, frame.byteOffset + offset, rows + 1);
    const ends = this.#ends;
    offsets[0] = bytesAt;
    for (let row = 0; row < rows; row++) offsets[row + 1] = bytesAt + (ends[row] as number);
    if (this.#bytes !== undefined) frame.set(this.#bytes.view(), bytesAt);
    return bytesAt + padded(this.variableBytes);
  }
}
