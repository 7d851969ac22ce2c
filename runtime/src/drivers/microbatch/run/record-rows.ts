// From what a reader polls to rows of a scan: decodes, treats malformed records as the query says, adds columns of origin.
import { MillraceError } from "../../../base/errors.ts";
import { Batch, identitySelection, Rows } from "../../../core/batch/batch.ts";
import { Column, isNull } from "../../../core/batch/column.ts";
import type { RawRecords } from "../../../core/batch/raw-records.ts";
import type { RecordDecoder } from "../../../core/ports/format.ts";
import type { SourceBatch } from "../../../core/ports/source.ts";
import type { ScanStage } from "../stages/stage.ts";
import { ColumnView } from "./column-view.ts";

const blockRecords = 4096;

export class RecordRows {
  readonly #scan: ScanStage;
  readonly #decoder: RecordDecoder | undefined;
  readonly #rows: Rows;
  readonly #view: ColumnView | undefined;
  readonly #batch: Batch;
  #selection: Int32Array = new Int32Array(blockRecords * 2);
  #bad: { readonly index: number; readonly reason: string }[] = [];
  /** Records that were no rows, since the start. */
  malformed = 0;

  constructor(scan: ScanStage, decoder: RecordDecoder | undefined) {
    const { relation, schema } = scan.plan;
    this.#scan = scan;
    this.#decoder = decoder;
    this.#rows = new Rows(relation.schema, blockRecords);
    const added = scan.columns.some((name) => relation.schema.find(name) === undefined);
    this.#view = added ? new ColumnView(schema) : undefined;
    this.#batch = new Batch(this.#rows);
    decoder?.want(scan.columns.flatMap((name) => relation.schema.find(name)?.index ?? []));
  }

  /** The rows of the first `limit` records of a block, valid until the next block. */
  of(polled: SourceBatch, limit: number): Batch {
    if (polled.kind === "rows") {
      const count = Math.min(polled.rows.size, limit);
      const batch = this.#batch.set(polled.rows, identitySelection(count), count);
      return this.#view === undefined
        ? batch
        : this.#withOrigin(batch, this.#view, (row) => polled.firstPosition + row, polled.splitId, undefined);
    }
    return this.#decode(polled.records, limit);
  }

  #decode(records: RawRecords, limit: number): Batch {
    const decoder = this.#decoder;
    if (decoder === undefined) throw new Error(`source ${this.#scan.uid} gives raw records but has no format`);
    if (this.#selection.length < records.count * 2) this.#selection = new Int32Array(records.count * 2);
    const selection = this.#selection;
    this.#bad = [];
    let count = decoder.decode(records, this.#rows, selection, (index, _code, reason) => this.#bad.push({ index, reason }));
    if (limit < records.count) count = cut(selection, count, limit);
    if (this.#bad.length > 0) count = this.#treatBad(records, selection, count, limit);
    const batch = this.#batch.set(this.#rows, selection, count);
    if (this.#view === undefined) return batch;
    return this.#withOrigin(batch, this.#view, (row) => records.position[row] as number, records.splitId, records);
  }

  #treatBad(records: RawRecords, selection: Int32Array, count: number, limit: number): number {
    const { relation, schema } = this.#scan.plan;
    const mode = relation.options.malformed ?? "fail";
    const bad = this.#bad.filter(({ index }) => index < limit);
    const [first] = bad;
    if (first === undefined) return count;
    this.malformed += bad.length;
    if (mode === "fail") {
      throw new MillraceError(
        "DATAFRAME_BAD_RECORD",
        `source "${this.#scan.uid}", ${records.splitId} at ${records.position[first.index]}`,
        `the record is no row of the schema: ${first.reason}`,
        'mend the producer, or set malformed to "drop" or "permissive"',
      );
    }
    if (mode === "drop") return count;
    const rows = this.#rows;
    for (const name of this.#scan.columns) {
      const index = schema.field(name).index;
      if (index >= relation.schema.fields.length) continue;
      const column = rows.column(index);
      for (const one of bad) {
        column.setAbsent(one.index, isNull);
        if (column.kind === "text") column.setText(one.index, "");
      }
    }
    let all = count;
    for (const { index } of bad) {
      selection[all++] = index;
      rows.times[index] = records.timestampMs[index] as number;
    }
    return all;
  }

  // The scan's own columns beside the format's: the text of bad records, and where each record came from.
  #withOrigin(
    batch: Batch,
    view: ColumnView,
    positionOf: (row: number) => number,
    splitId: string,
    records: RawRecords | undefined,
  ): Batch {
    const { rows, selection, count } = batch;
    const { relation, schema } = this.#scan.plan;
    view.like(rows);
    const badReasons = new Set(this.#bad.map(({ index }) => index));
    for (const name of this.#scan.columns) {
      const { index } = schema.field(name);
      if (index < relation.schema.fields.length) {
        view.set(index, rows.column(index));
        continue;
      }
      const column = new Column(schema.field(name).column, rows.capacity);
      for (let k = 0; k < count; k++) {
        const row = selection[k] as number;
        if (name === relation.options.corruptRecordColumn) {
          if (records !== undefined && badReasons.has(row))
            column.setText(row, textOf(records.bytes, records.valueStart[row] as number, records.valueEnd[row] as number));
          else setNull(column, row);
        } else if (name === "_split") column.setText(row, splitId);
        else if (name === "_offset") column.numbers[row] = positionOf(row);
        else if (name === "_timestamp") setNumber(column, row, records?.timestampMs[row] ?? Number.NaN);
        else if (records !== undefined && (records.keyStart[row] as number) >= 0)
          column.objects[row] = Uint8Array.from(records.bytes.subarray(records.keyStart[row], records.keyEnd[row]));
        else column.setAbsent(row, isNull);
      }
      view.set(index, column);
    }
    return this.#batch.set(view.rows, selection, count);
  }
}

// A record beyond the limit was decoded with its block and belongs to a later batch.
function cut(selection: Int32Array, count: number, limit: number): number {
  let kept = 0;
  for (let k = 0; k < count; k++) if ((selection[k] as number) < limit) selection[kept++] = selection[k] as number;
  return kept;
}

function setNull(column: Column, row: number): void {
  column.setAbsent(row, isNull);
  if (column.kind === "text") column.setText(row, "");
}

function setNumber(column: Column, row: number, value: number): void {
  if (Number.isNaN(value)) column.setAbsent(row, isNull);
  else column.numbers[row] = value;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return start < 0 ? "" : Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8");
}
