// The format contract: from records to rows and back, a batch at a time.
import type { ByteWriter } from "../../base/bytes.ts";
import type { Rows } from "../batch/batch.ts";
import type { RawRecords } from "../batch/raw-records.ts";
import type { Schema } from "../schema/schema.ts";

/** Told of each record that is not a row; the record is then left out of the selection. */
export type BadRecordHandler = (index: number, code: "RECORD_UNPARSABLE" | "RECORD_MISFIT", reason: string) => void;

/** Decodes records of one source instance. */
export interface RecordDecoder {
  /**
   * Makes rows of `records`: `rows` is reset, gets `size = records.count`, times from the records' timestamps and
   * `origin = records`; a format that makes several rows of a record, or none, gives `origin` one entry per row instead, and
   * `selection` has room for two rows per record. Every record is checked whole against the schema, whatever fields are wanted, so that which records
   * are bad does not depend on the plan. Columns whose field is wanted are filled; the others may stay lazy.
   * Writes the numbers of good rows into `selection` and returns how many.
   */
  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number;
  /** A hint: these fields are used by the plan. Fields that are read anyway are learned. */
  want(fieldIndexes: readonly number[]): void;
}

/** Encodes rows of one sink instance. */
export interface RecordEncoder {
  /** Appends the bytes of one row to `writer`. Returns false for "no value" (a tombstone). */
  encode(rows: Rows, row: number, writer: ByteWriter): boolean;
}

/** A format: a plain value, used by sources and sinks. */
export interface Format<Row = unknown> {
  /** `json`, `avro`, `protobuf`, `raw`, `string`, `debezium-json`. */
  readonly name: string;
  readonly schema: Schema<Row>;
  readonly options: Readonly<Record<string, unknown>>;
  /** `debezium` and other changelog formats set row kinds. Default append. */
  readonly changelog?: "append" | "retract";
  /** Opens a decoder; asynchronous because a schema registry may have to be asked. */
  openDecoder(): Promise<RecordDecoder>;
  openEncoder(schema: Schema): Promise<RecordEncoder>;
}
