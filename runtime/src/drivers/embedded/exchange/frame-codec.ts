// Frames of a repartition topic: rows of one upstream task for one partition, and how far its event time has come behind them.
import type { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import type { Batch, RowKind, Rows } from "../../../core/batch/batch.ts";
import { rowCodec, type RowCodec } from "../../../core/codec/row-codec.ts";
import type { Schema } from "../../../core/schema/schema.ts";

const version = 1;
const idleFlag = 1;
const allInserts = 2;
const markerFlag = 4;

/** What a frame says besides its rows. */
export interface FrameHead {
  /** The partition of the task that sent it. */
  upstream: number;
  /** -Infinity where there is no watermark yet. */
  watermarkMs: number;
  idle: boolean;
  rowCount: number;
  /** Of a marker: the savepoint's attempt, and everything before it is part of the cut. 0 for a frame that is none. */
  marker: number;
}

/** Rows for one partition that have not been sent yet. */
export class FrameBuilder {
  readonly #codec: RowCodec;
  readonly #rows: ByteWriter;
  rowCount = 0;
  #changes = false;

  constructor(schema: Schema, rows: ByteWriter) {
    this.#codec = rowCodec(schema);
    this.#rows = rows;
  }

  append(batch: Batch, k: number): void {
    const { rows } = batch;
    const row = batch.selection[k] as number;
    const kind = rows.kindOf(row);
    this.#changes ||= kind !== 0;
    this.#rows.u8(kind);
    this.#rows.f64(rows.times[row] as number);
    this.#codec.encode(rows.columns, row, this.#rows);
    this.rowCount++;
  }

  get sizeBytes(): number {
    return this.#rows.length;
  }

  /** Writes the frame and forgets its rows. */
  finish(writer: ByteWriter, upstream: number, watermarkMs: number, idle: boolean): void {
    writer.u8(version);
    writer.u8((idle ? idleFlag : 0) | (this.#changes ? 0 : allInserts));
    writer.varint(upstream);
    writer.f64(watermarkMs);
    writer.varint(this.rowCount);
    writer.raw(this.#rows.buffer, 0, this.#rows.length);
    this.#rows.reset();
    this.rowCount = 0;
    this.#changes = false;
  }
}

/** A frame without rows that says: what this upstream task has sent up to here belongs to the cut of attempt `attempt`. */
export function writeMarker(writer: ByteWriter, upstream: number, watermarkMs: number, idle: boolean, attempt: number): void {
  writer.u8(version);
  writer.u8(markerFlag | (idle ? idleFlag : 0));
  writer.varint(upstream);
  writer.f64(watermarkMs);
  writer.varint(0);
  writer.varint(attempt);
}

/** Reads a frame's head; its rows are next. Throws RangeError for what is no frame. */
export function readFrameHead(reader: ByteReader, head: FrameHead): void {
  const found = reader.u8();
  if (found !== version) throw new RangeError(`a frame of version ${found}, not ${version}`);
  const flags = reader.u8();
  head.upstream = reader.varint();
  head.watermarkMs = reader.f64();
  head.idle = (flags & idleFlag) !== 0;
  head.rowCount = reader.varint();
  head.marker = (flags & markerFlag) === 0 ? 0 : reader.varint();
  if (head.rowCount > reader.remaining) throw new RangeError(`a frame of ${head.rowCount} rows passes its end`);
}

/** Appends the frame's rows to `rows`. Text stays in the reader's buffer, which must not change while the rows are in use. */
export function readFrameRows(reader: ByteReader, head: FrameHead, codec: RowCodec, rows: Rows): void {
  const base = rows.size;
  rows.ensure(base + head.rowCount);
  for (let row = base; row < base + head.rowCount; row++) {
    const kind = reader.u8() as RowKind;
    rows.times[row] = reader.f64();
    rows.setKind(row, kind);
    codec.decode(reader, rows.columns, row);
  }
  rows.size = base + head.rowCount;
}
