// How rows become the bytes of a file: lines by a format, CSV, or Parquet.
import type { Rows } from "../../../core/batch/batch.ts";

/** Encodes the rows of one file. */
export interface RowEncoder {
  add(rows: Rows, row: number): void;
  /** Bytes that `take` would give now. */
  readonly readyBytes: number;
  /** Bytes of all rows that were not taken, about: rows that wait for a row group included. */
  readonly heldBytes: number;
  /** A copy of what is encoded so far. */
  take(): Uint8Array;
  /** What ends the file, with all that was not taken. */
  finish(): Uint8Array;
}
