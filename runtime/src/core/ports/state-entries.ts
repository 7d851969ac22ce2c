// How stored state is taken apart without decoding it: what merging snapshots into a savepoint and comparing them need.
import type { StateBlock, StoredTableSpec } from "./state-backend.ts";

/**
 * Called for one entry of a block: the entry is `bytes[start, end)`, and the part that identifies it (namespace, key, sub-key or
 * timer's time; never the value) is `bytes[identityStart, identityEnd)`. Equal identities have equal bytes, and only those.
 */
export type EntryVisitor = (start: number, end: number, identityStart: number, identityEnd: number, deleted: boolean) => void;

/** Implemented by state/entry-codec.ts, handed to the checkpoint store by the driver. Throws RangeError for bytes that are no entries. */
export interface EntrySplitter {
  split(table: StoredTableSpec, block: StateBlock, visit: EntryVisitor): void;
}
