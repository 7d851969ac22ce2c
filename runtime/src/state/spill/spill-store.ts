// The store below the heap part of tables: ordered keys and values of bytes, read in batches, written in batches.
import type { BlockBytes } from "../../core/ports/state-backend.ts";

/** Calls are synchronous. What was put is found by the next read, whether it reached the disk or not. */
export interface SpillStore {
  /** Both are copied. */
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /** The values of `keys`, undefined for those that are not there. */
  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[];
  /** The values of all keys with a prefix, in order of the keys, as they are now: later changes do not show. */
  scan(prefix: Uint8Array): SpillScan;
  /** Where a capture goes that is larger than `afterBytes`. */
  scratch(afterBytes: number): CaptureScratch;
  /** Where the log of changes of a table goes when it is longer than `afterBytes`. */
  overflow(table: number, afterBytes: number): ChangeOverflow;
}

export interface SpillScan {
  /** Some more values, about `maxBytes` of them at most; none at the end. */
  next(maxBytes: number): readonly Uint8Array[];
  close(): void;
}

/** Keeps the blocks of one large capture out of memory. */
export interface CaptureScratch {
  /** How much of the capture stays in memory. */
  readonly afterBytes: number;
  /** What tables that were captured before have in memory. */
  keptBytes: number;
  /** `bytes` are copied. */
  append(bytes: Uint8Array): BlockBytes;
  /** The capture is complete. */
  end(): void;
  release(): void;
}

/** Keeps the older part of a change log out of memory. */
export interface ChangeOverflow {
  /** How much of the log stays in memory. */
  readonly afterBytes: number;
  readonly sizeBytes: number;
  append(bytes: Uint8Array): void;
  /** Fills `target` with what was appended from `position` on; it ends within `sizeBytes`. */
  read(position: number, target: Uint8Array): void;
  clear(): void;
}
