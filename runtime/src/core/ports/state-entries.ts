// How stored state is taken apart and put together without decoding values: what merging snapshots into a savepoint and comparing them need.
import type { StateBlock, StoredTableSpec } from "./state-backend.ts";

/**
 * Called for one entry of a block: the entry is `bytes[start, end)`. What identifies it (namespace, key, sub-key or timer's time;
 * never the value or a time stamp) is `identityTag` (0..255) together with `bytes[identityStart, identityEnd)`: two entries of a
 * table and key group have the same identity exactly when both are equal.
 */
export type EntryVisitor = (
  start: number,
  end: number,
  identityTag: number,
  identityStart: number,
  identityEnd: number,
  deleted: boolean,
) => void;

/** A range of entries in a block's bytes. */
export interface EntrySlice {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Implemented beside state/entry-codec.ts, handed to the checkpoint store by the driver. */
export interface EntryMerging {
  /** Visits the entries in order. Throws STATE_CORRUPT for bytes that are no block of `table`. */
  split(table: StoredTableSpec, block: StateBlock, visit: EntryVisitor): void;
  /** One block of the entries, which come from `sources` (what a block's head says is taken from the newest of them). */
  join(table: StoredTableSpec, keyGroup: number, sources: readonly StateBlock[], entries: readonly EntrySlice[]): StateBlock;
}
