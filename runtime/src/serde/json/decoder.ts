// The JSON decoder: records of a block into columns, by the fastest of three paths that agree.
//
// 1. Generated code for the shape that records had so far (compile-shape.ts).
// 2. Key by key, for records of another shape (general-reader.ts).
// 3. JSON.parse, for what the first two give up on: it decides, and words refusals (careful.ts).
import type { LazyColumns, Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { BadRecordHandler, RecordDecoder } from "../../core/ports/format.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { blockBytes, freshRows } from "../fresh-rows.ts";
import { BadRecord } from "../bad-record.ts";
import { readCarefully, readNode } from "./careful.ts";
import type { Block } from "./compile-shape.ts";
import { GeneralReader } from "./general-reader.ts";
import type { JsonNode } from "./json-nodes.ts";
import { RangeReader } from "./range-reader.ts";
import { ShapeSet } from "./shape-set.ts";
import { TextReader, type ValueReader } from "./value-reader.ts";

export class JsonDecoder implements RecordDecoder, LazyColumns {
  readonly #schema: Schema;
  readonly #general: GeneralReader;
  readonly #wanted: Uint8Array;
  readonly #shapes: ShapeSet;
  // What lazy columns are filled from: the block decoded last.
  #rows: Rows | undefined;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#general = new GeneralReader(schema);
    this.#shapes = new ShapeSet(this.#general);
    this.#wanted = new Uint8Array(schema.fields.length);
  }

  want(fieldIndexes: readonly number[]): void {
    for (const index of fieldIndexes) this.#wanted[index] = 1;
  }

  /** `nodes` holds the objects of rows that an envelope's reader has parsed itself; those rows have no value of their own. */
  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler, nodes?: ReadonlyMap<number, JsonNode>): number {
    freshRows(records, rows);
    const bytes = blockBytes(records);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bytes = bytes;
    this.#rows = rows;
    for (let index = 0; index < rows.columns.length; index++) {
      const column = rows.columns[index] as Column;
      (this.#general.readers[index] as ValueReader).bind(column, rows.capacity, view);
      if (column.kind === "text") column.bytes = bytes;
    }
    const block: Block = { bytes, view, starts: records.valueStart, ends: records.valueEnd, count: records.count, selection };
    const selected = this.#shapes.decode(block, (row) => this.#decideCarefully(records, row, onBad, nodes?.get(row)));
    this.#finish(rows);
    return selected;
  }

  #decideCarefully(records: RawRecords, row: number, onBad: BadRecordHandler, node: JsonNode | undefined): boolean {
    const start = records.valueStart[row] as number;
    const { spec } = this.#schema;
    try {
      if (start < 0 && node === undefined) throw new BadRecord("RECORD_UNPARSABLE", "the record has no value");
      const object = node === undefined ? readCarefully(spec, this.#bytes.subarray(start, records.valueEnd[row])) : readNode(spec, node);
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
