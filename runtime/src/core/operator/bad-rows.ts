// A record that cannot be processed, with everything a person needs to find and replay it.

export interface BadRow {
  /** Stable code: RECORD_UNPARSABLE, RECORD_MISFIT, FUNCTION_FAILED. */
  readonly code: string;
  readonly reason: string;
  /** The split the record came from, and its position there; undefined when the row was computed. */
  readonly splitId?: string;
  readonly position?: number;
  /** The raw bytes where they are still at hand. */
  readonly key?: Uint8Array | null;
  readonly value?: Uint8Array | null;
  /** The row as the function saw it, where there are no raw bytes. */
  readonly row?: unknown;
  readonly cause?: unknown;
}
