// Reads frames of rows: points a reused `Rows` at a frame's bytes, and gives its rows and marks in their order.
import { ByteReader } from "../../../base/bytes.ts";
import { Batch, identitySelection, type LazyColumns, Rows } from "../../../core/batch/batch.ts";
import { type Column, isMissing, present } from "../../../core/batch/column.ts";
import { type ValueCodec, valueCodec } from "../../../core/codec/value-codec.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import {
  at,
  columnHeaderBytes,
  exactBytes,
  frameCorrupt,
  frameKind,
  hasAbsent,
  hasKinds,
  headerBytes,
  magic,
  markBytes,
  padded,
} from "./layout.ts";

/** The kind of a message, after a look at whether it can be a frame at all. Throws EXCHANGE_FRAME_CORRUPT. */
export function frameKindOf(frame: ArrayBuffer): number {
  if (frame.byteLength < headerBytes) throw frameCorrupt(`a frame of ${frame.byteLength} bytes is shorter than its header`);
  const data = new DataView(frame);
  if (data.getUint32(at.magic, true) !== magic) throw frameCorrupt("a frame does not begin as one");
  const length = data.getUint32(at.length, true);
  if (length !== frame.byteLength) throw frameCorrupt(`a frame of ${frame.byteLength} bytes says it has ${length}`);
  return data.getUint32(at.kind, true);
}

export function frameChannel(frame: ArrayBuffer): number {
  return new DataView(frame).getUint32(at.channel, true);
}

/** What a frame counts against its channel's credit: marks alone are free. */
export function frameCredit(frame: ArrayBuffer): number {
  return new DataView(frame).getUint32(at.rows, true) === 0 ? 0 : frame.byteLength;
}

export interface FrameTarget {
  rows(batch: Batch): void;
  /** A mark of `markKind`. */
  mark(kind: number, timeMs: number): void;
}

export class FrameReader implements LazyColumns {
  readonly rows: Rows;
  /** The columns that frames have. */
  readonly fields: readonly number[];
  readonly #codecs: readonly (ValueCodec | undefined)[];
  readonly #batch: Batch;
  readonly #variableAt: Int32Array;
  #data: DataView = new DataView(new ArrayBuffer(0));
  #bytes: Buffer = Buffer.alloc(0);
  #count = 0;

  /** `fields`: the numbers of the columns that the sender sends. */
  constructor(schema: Schema, fields: readonly number[]) {
    this.rows = new Rows(schema, 0);
    this.fields = fields;
    this.#codecs = schema.fields.map((field) => (field.column === "object" ? valueCodec(field.name, field.spec) : undefined));
    this.#batch = new Batch(this.rows);
    this.#variableAt = new Int32Array(schema.fields.length);
  }

  /** Gives everything in the frame to `target`, in order. Rows are valid during the call. Throws EXCHANGE_FRAME_CORRUPT before the first row. */
  read(frame: ArrayBuffer, target: FrameTarget): void {
    const marks = this.#open(frame);
    const data = this.#data;
    let from = 0;
    for (let i = 0; i < marks; i++) {
      const offset = headerBytes + i * markBytes;
      const before = data.getUint32(offset, true);
      if (before > from) this.#give(target, from, before);
      from = before;
      target.mark(data.getUint32(offset + 4, true), data.getFloat64(offset + 8, true));
    }
    if (this.#count > from) this.#give(target, from, this.#count);
    // Kept text and objects must not outlive the frame.
    this.rows.reset();
  }

  #give(target: FrameTarget, from: number, to: number): void {
    const all = identitySelection(to);
    target.rows(this.#batch.set(this.rows, from === 0 ? all : all.subarray(from, to), to - from));
  }

  // Checks the frame and points the columns at it; returns how many marks it has.
  #open(frame: ArrayBuffer): number {
    if (frameKindOf(frame) !== frameKind.rows) throw frameCorrupt("a frame of rows is of another kind");
    const data = new DataView(frame);
    this.#data = data;
    this.#bytes = Buffer.from(frame);
    const length = frame.byteLength;
    const count = data.getUint32(at.rows, true);
    const marks = data.getUint32(at.marks, true);
    const columns = data.getUint32(at.columns, true);
    this.#count = count;
    if (columns !== (count === 0 ? 0 : this.fields.length)) throw frameCorrupt(`a frame has ${columns} columns, not ${this.fields.length}`);
    let offset = headerBytes + marks * markBytes;
    const kindBytes = (data.getUint32(at.flags, true) & hasKinds) === 0 ? 0 : padded(count);
    if (offset + count * 8 + kindBytes > length) throw frameCorrupt(`${count} rows and ${marks} marks do not fit into ${length} bytes`);
    this.#checkMarks(marks, count);
    const { rows } = this;
    rows.reset();
    rows.size = count;
    rows.capacity = count;
    rows.times = new Float64Array(frame, offset, count);
    offset += count * 8;
    if (kindBytes > 0) {
      rows.kinds = new Uint8Array(frame, offset, count);
      for (let row = 0; row < count; row++) if ((rows.kinds[row] as number) > 3) throw frameCorrupt(`row ${row} has no kind`);
      offset += kindBytes;
    }
    for (let i = 0; i < columns; i++) offset = this.#openColumn(frame, this.fields[i] as number, offset, count);
    if (offset !== length) throw frameCorrupt(`${length - offset} bytes follow the last column`);
    rows.lazy = this;
    return marks;
  }

  #checkMarks(marks: number, count: number): void {
    let last = 0;
    for (let i = 0; i < marks; i++) {
      const before = this.#data.getUint32(headerBytes + i * markBytes, true);
      const kind = this.#data.getUint32(headerBytes + i * markBytes + 4, true);
      if (before < last || before > count || kind > 2) throw frameCorrupt(`mark ${i} after row ${before} of ${count} cannot be`);
      last = before;
    }
  }

  #openColumn(frame: ArrayBuffer, index: number, start: number, count: number): number {
    const data = this.#data;
    const column = this.rows.columns[index] as Column;
    const isNumber = column.kind === "number" || column.kind === "int64";
    const fixedBytes = isNumber ? count * 8 : padded((count + 1) * 4);
    if (start + columnHeaderBytes + fixedBytes > frame.byteLength) throw frameCorrupt(`column ${index} passes the end`);
    if (data.getUint32(start, true) !== index) throw frameCorrupt(`column ${data.getUint32(start, true)} is in place of column ${index}`);
    const absent = (data.getUint32(start + 4, true) & hasAbsent) !== 0;
    const variableBytes = data.getUint32(start + 8, true);
    const exact = data.getUint32(start + 12, true);
    let offset = start + columnHeaderBytes;
    const end = offset + (absent ? padded(count) : 0) + fixedBytes + (isNumber ? exact * exactBytes : padded(variableBytes));
    if (end > frame.byteLength) throw frameCorrupt(`column ${index} passes the end`);
    column.capacity = count;
    if (absent) {
      column.nulls = new Uint8Array(frame, offset, count);
      for (let row = 0; row < count; row++) {
        if ((column.nulls[row] as number) > isMissing)
          throw frameCorrupt(`row ${row} of column ${index} is marked by ${column.nulls[row]}`);
      }
      offset += padded(count);
    }
    if (isNumber) {
      column.numbers = new Float64Array(frame, offset, count);
      if (exact > 0) this.#readExact(column, offset + count * 8, exact, count);
      this.rows.ready[index] = 1;
      return end;
    }
    this.#openBytes(frame, column, offset, count, variableBytes);
    if (column.kind === "text") this.rows.ready[index] = 1;
    else this.#variableAt[index] = offset;
    return end;
  }

  #readExact(column: Column, offset: number, exact: number, count: number): void {
    column.exact = new Map();
    for (let i = 0; i < exact; i++) {
      const row = this.#data.getUint32(offset + i * exactBytes, true);
      if (row >= count) throw frameCorrupt(`an exact value is of row ${row} of ${count}`);
      column.exact.set(row, this.#data.getBigInt64(offset + i * exactBytes + 8, true));
    }
  }

  // The offsets are checked once: whoever reads a text afterwards trusts them.
  #openBytes(frame: ArrayBuffer, column: Column, offset: number, count: number, variableBytes: number): void {
    const offsets = new Int32Array(frame, offset, count + 1);
    const bytesAt = offset + padded((count + 1) * 4);
    let last = bytesAt;
    if (offsets[0] !== bytesAt) throw frameCorrupt("the first value of a column is not at its place");
    for (let row = 1; row <= count; row++) {
      const next = offsets[row] as number;
      if (next < last) throw frameCorrupt(`value ${row - 1} of a column ends before it begins`);
      last = next;
    }
    if (last !== bytesAt + variableBytes) throw frameCorrupt("the values of a column are not as long as it says");
    column.bytes = this.#bytes;
    column.starts = new Int32Array(frame, offset, count);
    column.ends = new Int32Array(frame, offset + 4, count);
  }

  /** Objects are made when somebody reads them. */
  fill(rows: Rows, index: number): void {
    const codec = this.#codecs[index];
    if (codec === undefined || !this.fields.includes(index)) {
      throw new Error(`column ${rows.schema.fields[index]?.name} was not sent: the operator reads a field that its plan does not name`);
    }
    const column = rows.columns[index] as Column;
    const reader = new ByteReader(this.#bytes);
    const { starts, ends, nulls, objects } = column;
    for (let row = 0; row < this.#count; row++) {
      if (nulls !== null && nulls[row] !== present) {
        objects[row] = undefined;
        continue;
      }
      reader.position = starts[row] as number;
      reader.end = ends[row] as number;
      try {
        objects[row] = codec.read(reader);
      } catch (cause) {
        throw frameCorrupt(`row ${row} of column ${index} cannot be read`, cause);
      }
      if (reader.remaining !== 0) throw frameCorrupt(`row ${row} of column ${index} is longer than its value`);
    }
  }
}
