// The Debezium decoder: change events become rows with kinds. An update becomes two rows, what was and what is.
import { type RowKind, type Rows, rowKind } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { BadRecordHandler, RecordDecoder } from "../../core/ports/format.ts";
import { Schema } from "../../core/schema/schema.ts";
import { blockBytes } from "../fresh-rows.ts";
import { BadRecord } from "../bad-record.ts";
import { JsonDecoder } from "../json/decoder.ts";
import type { JsonNode } from "../json/json-nodes.ts";
import { type ChangeEvent, EnvelopeReader, type Image } from "./envelope.ts";

// The rows of a block, one entry per row.
class EventRows {
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  readonly kinds: Uint8Array;
  readonly timeMs: Float64Array;
  /** The record that a row comes from. */
  readonly recordOf: Int32Array;
  readonly nodes = new Map<number, JsonNode>();
  count = 0;

  constructor(capacity: number) {
    this.valueStart = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.kinds = new Uint8Array(capacity);
    this.timeMs = new Float64Array(capacity);
    this.recordOf = new Int32Array(capacity);
  }

  add(record: number, kind: RowKind, image: NonNullable<Image>, timeMs: number): void {
    const row = this.count++;
    if ("node" in image) {
      this.nodes.set(row, image.node);
      this.valueStart[row] = -1;
    } else {
      this.valueStart[row] = image.start;
      this.valueEnd[row] = image.end;
    }
    this.kinds[row] = kind;
    this.timeMs[row] = timeMs;
    this.recordOf[row] = record;
  }
}

function imageOf(event: ChangeEvent, which: "before" | "after", hint: string): NonNullable<Image> {
  const image = event[which];
  if (image === undefined) throw new BadRecord("RECORD_MISFIT", `an event with op "${event.op}" has no image ${which} the change${hint}`);
  return image;
}

const beforeHint = "; have the database log whole rows (PostgreSQL: REPLICA IDENTITY FULL; MySQL: binlog_row_image=FULL)";

function addRows(rows: EventRows, record: number, event: ChangeEvent, recordMs: number): void {
  const timeMs = event.timeMs ?? recordMs;
  switch (event.op) {
    case "c":
    case "r":
      rows.add(record, rowKind.insert, imageOf(event, "after", ""), timeMs);
      return;
    case "u": {
      const before = imageOf(event, "before", beforeHint);
      const after = imageOf(event, "after", "");
      rows.add(record, rowKind.updateBefore, before, timeMs);
      rows.add(record, rowKind.updateAfter, after, timeMs);
      return;
    }
    case "d":
      rows.add(record, rowKind.delete, imageOf(event, "before", beforeHint), timeMs);
      return;
    default:
      throw new BadRecord("RECORD_MISFIT", `an event with op "${event.op.slice(0, 20)}" changes no row`);
  }
}

/** Records with one entry per row: a row's entry names the whole record that it comes from. */
function perRow(records: RawRecords, { recordOf, count }: EventRows): RawRecords {
  let same = count === records.count;
  for (let row = 0; same && row < count; row++) same = recordOf[row] === row;
  if (same) return records;
  const copy = {
    keyStart: new Int32Array(count),
    keyEnd: new Int32Array(count),
    valueStart: new Int32Array(count),
    valueEnd: new Int32Array(count),
    timestampMs: new Float64Array(count),
    position: new Float64Array(count),
  };
  for (let row = 0; row < count; row++) {
    const record = recordOf[row] as number;
    copy.keyStart[row] = records.keyStart[record] as number;
    copy.keyEnd[row] = records.keyEnd[record] as number;
    copy.valueStart[row] = records.valueStart[record] as number;
    copy.valueEnd[row] = records.valueEnd[record] as number;
    copy.timestampMs[row] = records.timestampMs[record] as number;
    copy.position[row] = records.position[record] as number;
  }
  const { headersOf } = records;
  return {
    splitId: records.splitId,
    count,
    bytes: records.bytes,
    ...copy,
    ...(headersOf === undefined ? {} : { headersOf: (row: number) => headersOf(recordOf[row] as number) }),
  };
}

export class DebeziumDecoder implements RecordDecoder {
  readonly #images: JsonDecoder;

  constructor(schema: Schema) {
    // Debezium writes days as numbers.
    const spec = Object.entries(schema.spec).map(([name, field]) => [
      name,
      field.type.kind === "date" ? { ...field, type: { kind: "int32" as const } } : field,
    ]);
    this.#images = new JsonDecoder(new Schema(Object.fromEntries(spec)));
  }

  want(fieldIndexes: readonly number[]): void {
    this.#images.want(fieldIndexes);
  }

  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number {
    const found = this.#findRows(records, onBad);
    const origin = perRow(records, found);
    const images: RawRecords = { ...origin, valueStart: found.valueStart, valueEnd: found.valueEnd, timestampMs: found.timeMs };
    const badRecords = new Set<number>();
    const selected = this.#images.decode(
      images,
      rows,
      selection,
      (row, code, reason) => {
        const record = found.recordOf[row] as number;
        // One half of an update is no update: the record is bad as a whole, and said to be so once.
        if (!badRecords.has(record))
          onBad(
            record,
            code,
            `${found.kinds[row] === rowKind.updateBefore || found.kinds[row] === rowKind.delete ? "before" : "after"}: ${reason}`,
          );
        badRecords.add(record);
      },
      found.nodes,
    );
    rows.origin = origin;
    for (let row = 0; row < found.count; row++) if (found.kinds[row] !== rowKind.insert) rows.setKind(row, found.kinds[row] as RowKind);
    return badRecords.size === 0 ? selected : withoutRecords(selection, selected, found.recordOf, badRecords);
  }

  #findRows(records: RawRecords, onBad: BadRecordHandler): EventRows {
    const rows = new EventRows(records.count * 2);
    const reader = new EnvelopeReader(blockBytes(records));
    for (let record = 0; record < records.count; record++) {
      const start = records.valueStart[record] as number;
      // A tombstone follows each delete for log compaction; the delete itself has said all.
      if (start < 0) continue;
      try {
        addRows(rows, record, reader.read(start, records.valueEnd[record] as number), records.timestampMs[record] as number);
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error;
        onBad(record, error.code, error.message);
      }
    }
    return rows;
  }
}

function withoutRecords(selection: Int32Array, selected: number, recordOf: Int32Array, bad: ReadonlySet<number>): number {
  let kept = 0;
  for (let k = 0; k < selected; k++) {
    const row = selection[k] as number;
    if (!bad.has(recordOf[row] as number)) selection[kept++] = row;
  }
  return kept;
}
