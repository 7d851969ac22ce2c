// The JSON decoder: records of a block into columns, by the fastest of three paths that agree.
//
// 1. Generated code for the shape that records had so far (compile-shape.ts).
// 2. Key by key, for records of another shape (general-reader.ts).
// 3. JSON.parse, for what the first two give up on: it decides, and words refusals (careful.ts).
import { type LazyColumns, type Rows, noTime } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { BadRecordHandler, RecordDecoder } from "../../core/ports/format.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { BadRecord, readCarefully } from "./careful.ts";
import { type Block, type DecodeBlock, type ShapeTally, compileShape } from "./compile-shape.ts";
import { GeneralReader } from "./general-reader.ts";
import { RangeReader } from "./range-reader.ts";
import { type RecordShape, shapeOf } from "./record-shape.ts";
import { TextReader, type ValueReader } from "./value-reader.ts";

/** Records that are looked at for the next shape; the one with the most keys gives it. */
const sampleRecords = 8;
/** After this many shapes the records have none worth compiling for. */
const maxShapes = 16;
/** Records after which a shape that fits less than half of them is given up. */
const trialRecords = 512;

export class JsonDecoder implements RecordDecoder, LazyColumns {
  readonly #schema: Schema;
  readonly #general: GeneralReader;
  readonly #wanted: Uint8Array;
  #decodeBlock: DecodeBlock | undefined;
  #tally: ShapeTally = { tried: 0, matched: 0 };
  #shapesLeft = maxShapes;
  // What lazy columns are filled from: the block decoded last.
  #rows: Rows | undefined;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#general = new GeneralReader(schema);
    this.#wanted = new Uint8Array(schema.fields.length);
  }

  want(fieldIndexes: readonly number[]): void {
    for (const index of fieldIndexes) this.#wanted[index] = 1;
  }

  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number {
    const { count, timestampMs } = records;
    const given = records.bytes;
    const bytes = Buffer.isBuffer(given) ? given : Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    rows.reset();
    rows.ensure(count);
    rows.size = count;
    rows.origin = records;
    for (let row = 0; row < count; row++) {
      const timeMs = timestampMs[row] as number;
      rows.times[row] = Number.isNaN(timeMs) ? noTime : timeMs;
    }
    this.#bytes = bytes;
    this.#rows = rows;
    this.#bind(rows);
    const block: Block = {
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      starts: records.valueStart,
      ends: records.valueEnd,
      count,
      selection,
      otherwise: (row) =>
        this.#general.read(bytes, records.valueStart[row] as number, records.valueEnd[row] as number, row) ||
        this.#decideCarefully(records, row, onBad),
    };
    const selected = this.#decodeRows(block);
    this.#finish(rows);
    return selected;
  }

  #bind(rows: Rows): void {
    for (let index = 0; index < rows.columns.length; index++) {
      const column = rows.columns[index] as Column;
      (this.#general.readers[index] as ValueReader).bind(column, rows.capacity);
      if (column.kind === "text") column.bytes = this.#bytes;
    }
  }

  #decodeRows(block: Block): number {
    let row = 0;
    let selected = 0;
    if (this.#decodeBlock === undefined) {
      // Without a shape: the first records go key by key, and show one.
      const until = this.#shapesLeft > 0 ? Math.min(block.count, sampleRecords) : block.count;
      let shape: RecordShape | undefined;
      for (; row < until; row++) {
        if (!block.otherwise(row)) continue;
        block.selection[selected++] = row;
        const seen =
          this.#shapesLeft > 0
            ? shapeOf(block.bytes, block.starts[row] as number, block.ends[row] as number, this.#general.keys)
            : undefined;
        if (seen !== undefined && (shape === undefined || seen.entries.length > shape.entries.length)) shape = seen;
      }
      if (shape !== undefined) {
        this.#shapesLeft--;
        this.#decodeBlock = compileShape(shape, this.#general);
      }
    }
    if (this.#decodeBlock === undefined) {
      for (; row < block.count; row++) if (block.otherwise(row)) block.selection[selected++] = row;
      return selected;
    }
    selected = this.#decodeBlock(block, row, selected, this.#tally);
    this.#judgeShape();
    return selected;
  }

  #judgeShape(): void {
    const { tried, matched } = this.#tally;
    if (tried < trialRecords) return;
    if (matched < tried / 2 && this.#shapesLeft > 0) this.#decodeBlock = undefined;
    this.#tally = { tried: 0, matched: 0 };
  }

  #decideCarefully(records: RawRecords, row: number, onBad: BadRecordHandler): boolean {
    const start = records.valueStart[row] as number;
    try {
      if (start < 0) throw new BadRecord("RECORD_UNPARSABLE", "the record has no value");
      const object = readCarefully(this.#schema.spec, this.#bytes.subarray(start, records.valueEnd[row]));
      for (const { index, name } of this.#schema.fields) this.#general.put(index, row, object[name]);
      return true;
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      for (const reader of this.#general.readers) reader.clear(row);
      onBad(row, error.code, error.message);
      return false;
    }
  }

  // Numbers are in place. Objects, and text with escapes, are made for the fields that are wanted; the others wait to be asked for.
  #finish(rows: Rows): void {
    rows.lazy = this;
    for (let index = 0; index < rows.columns.length; index++) {
      const reader = this.#general.readers[index] as ValueReader;
      const pending = reader instanceof RangeReader || (reader instanceof TextReader && reader.escapedCount > 0);
      if (!pending) rows.ready[index] = 1;
      else if (this.#wanted[index] === 1) {
        this.#make(rows, reader);
        rows.ready[index] = 1;
      }
    }
  }

  fill(rows: Rows, index: number): void {
    if (rows !== this.#rows) throw new Error("a lazy column was read after the next block was decoded");
    // What is read once will be read again.
    this.#wanted[index] = 1;
    this.#make(rows, this.#general.readers[index] as ValueReader);
  }

  #make(rows: Rows, reader: ValueReader): void {
    if (reader instanceof RangeReader) reader.fill(this.#bytes, rows.size);
    else if (reader instanceof TextReader) reader.fill(this.#bytes);
  }
}
