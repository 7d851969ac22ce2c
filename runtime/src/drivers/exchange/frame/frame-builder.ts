// Gathers the rows and marks of one channel and lays them out as frames: the sending half of the exchange format.
import type { Batch } from "../../../core/batch/batch.ts";
import type { Column } from "../../../core/batch/column.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { ColumnGather } from "./column-gather.ts";
import { at, frameKind, hasKinds, headerBytes, magic, markBytes, padded } from "./layout.ts";

export interface FrameLimits {
  /** A frame is complete when it has this many bytes... */
  readonly frameBytes: number;
  /** ...or this many rows. */
  readonly frameRows: number;
}

export const defaultFrameLimits: FrameLimits = { frameBytes: 64 * 1024, frameRows: 4096 };

/** At most so many rows are taken between two looks at the size. */
const stepRows = 256;
/** And of rows whose size is not known yet. */
const firstStepRows = 8;
const firstCapacity = 64;

export class FrameBuilder {
  readonly #limits: FrameLimits;
  readonly #fields: readonly number[];
  readonly #columns: readonly ColumnGather[];
  /** Bytes of a row without its texts and objects. */
  readonly #rowBytes: number;
  #capacity = 0;
  #rows = 0;
  /** Of a row, by the last look; 0 before the first row. */
  #averageBytes = 0;
  #times = new Float64Array(0);
  #kinds = new Uint8Array(0);
  #hasKinds = false;
  /** Rows before it, kind and time of each mark. */
  #marks: number[] = [];

  /** `fields`: the numbers of the columns that are sent; the others cannot be read on the other side. */
  constructor(schema: Schema, fields: readonly number[], limits: FrameLimits) {
    this.#limits = limits;
    this.#fields = fields;
    this.#columns = fields.map((index) => {
      const field = schema.fields[index];
      if (field === undefined) throw new Error(`there is no field ${index}`);
      return new ColumnGather(field);
    });
    this.#rowBytes = 8 * (fields.length + 1);
  }

  get isEmpty(): boolean {
    return this.#rows === 0 && this.#marks.length === 0;
  }

  get isFull(): boolean {
    return this.#rows >= this.#limits.frameRows || this.#sizeEstimate >= this.#limits.frameBytes;
  }

  get #sizeEstimate(): number {
    let bytes = this.#rows * this.#rowBytes;
    for (const column of this.#columns) bytes += column.variableBytes;
    return bytes;
  }

  /** Takes rows from position `from` of the batch's selection until the frame is full; returns the position of the first one that is left. */
  take(batch: Batch, from: number): number {
    let next = from;
    while (next < batch.count && !this.isFull) {
      const to = Math.min(batch.count, next + Math.min(this.#step(), this.#limits.frameRows - this.#rows));
      this.#takeRows(batch, next, to);
      next = to;
    }
    return next;
  }

  // As many rows as the frame has room for, going by the size of those before: rows may be of any size.
  #step(): number {
    if (this.#rows > 0) this.#averageBytes = this.#sizeEstimate / this.#rows;
    if (this.#averageBytes === 0) return firstStepRows;
    const left = Math.floor((this.#limits.frameBytes - this.#sizeEstimate) / this.#averageBytes);
    return Math.max(1, Math.min(stepRows, left));
  }

  #takeRows({ rows, selection }: Batch, from: number, to: number): void {
    const row = this.#rows;
    const count = to - from;
    if (row + count > this.#capacity) this.#grow(row + count);
    for (let i = 0; i < this.#fields.length; i++) {
      const column: Column = rows.column(this.#fields[i] as number);
      (this.#columns[i] as ColumnGather).take(column, selection, from, to, row, this.#capacity);
    }
    const times = this.#times;
    const source = rows.times;
    for (let k = from, o = row; k < to; k++, o++) times[o] = source[selection[k] as number] as number;
    this.#takeKinds(rows.kinds, selection, from, to);
    this.#rows = row + count;
  }

  #takeKinds(kinds: Uint8Array | null, selection: Int32Array, from: number, to: number): void {
    if (kinds === null) {
      if (this.#hasKinds) this.#kinds.fill(0, this.#rows, this.#rows + to - from);
      return;
    }
    if (!this.#hasKinds) {
      if (this.#kinds.length < this.#capacity) this.#kinds = new Uint8Array(this.#capacity);
      this.#kinds.fill(0, 0, this.#rows);
      this.#hasKinds = true;
    }
    for (let k = from, o = this.#rows; k < to; k++, o++) this.#kinds[o] = kinds[selection[k] as number] as number;
  }

  #grow(rows: number): void {
    let capacity = Math.max(firstCapacity, this.#capacity);
    while (capacity < rows) capacity *= 2;
    this.#capacity = capacity;
    for (const column of this.#columns) column.ensure(capacity);
    const times = new Float64Array(capacity);
    times.set(this.#times);
    this.#times = times;
    if (!this.#hasKinds) return;
    const kinds = new Uint8Array(capacity);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
  }

  /** Something that follows the rows taken so far. */
  mark(kind: number, timeMs: number): void {
    this.#marks.push(this.#rows, kind, timeMs);
  }

  /** The frame with all that was taken; the builder is empty afterwards. The buffer is the caller's. */
  build(channel: number): ArrayBuffer {
    const rows = this.#rows;
    const marks = this.#marks.length / 3;
    let length = headerBytes + marks * markBytes + rows * 8 + (this.#hasKinds ? padded(rows) : 0);
    if (rows > 0) for (const column of this.#columns) length += column.sizeBytes(rows);
    // Not zeroed, and of its own memory, so that it can be handed to another thread.
    const buffer = Buffer.allocUnsafeSlow(length).buffer;
    const frame = new Uint8Array(buffer);
    const data = new DataView(buffer);
    data.setUint32(at.magic, magic, true);
    data.setUint32(at.length, length, true);
    data.setUint32(at.kind, frameKind.rows, true);
    data.setUint32(at.channel, channel, true);
    data.setUint32(at.rows, rows, true);
    data.setUint32(at.marks, marks, true);
    data.setUint32(at.flags, this.#hasKinds ? hasKinds : 0, true);
    data.setUint32(at.columns, rows > 0 ? this.#columns.length : 0, true);
    let offset = headerBytes;
    for (let i = 0; i < this.#marks.length; i += 3, offset += markBytes) {
      data.setUint32(offset, this.#marks[i] as number, true);
      data.setUint32(offset + 4, this.#marks[i + 1] as number, true);
      data.setFloat64(offset + 8, this.#marks[i + 2] as number, true);
    }
    new Float64Array(buffer, offset, rows).set(this.#times.subarray(0, rows));
    offset += rows * 8;
    if (this.#hasKinds) {
      frame.set(this.#kinds.subarray(0, rows), offset);
      offset += padded(rows);
    }
    if (rows > 0) for (const column of this.#columns) offset = column.write(frame, data, offset, rows);
    this.#rows = 0;
    this.#hasKinds = false;
    if (this.#marks.length > 0) this.#marks = [];
    return buffer;
  }
}
