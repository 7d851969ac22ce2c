// A block of undecoded records of one split: ranges over the bytes that a connector fetched, and no object per record.

/** The headers of one record, in order; a key may repeat. */
export type RecordHeaders = readonly (readonly [key: string, value: Uint8Array | null])[];

/**
 * Keys and values are ranges of `bytes`; a start of -1 means null. The arrays may be longer than `count`: a connector
 * reuses them from block to block, so a block is valid only until its reader is polled again.
 */
export interface RawRecords {
  /** The split (Kafka partition, file) that all records come from. */
  readonly splitId: string;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  /** The connector's own timestamp in ms since the epoch; NaN where it has none. */
  readonly timestampMs: Float64Array;
  /** The record's position in its split (Kafka offset, line number): what a dead letter names. */
  readonly position: Float64Array;
  /** The headers of record `index`; undefined where the connector has none at all. */
  readonly headersOf?: (index: number) => RecordHeaders;
}
