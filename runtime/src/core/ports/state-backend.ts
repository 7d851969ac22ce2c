// Keyed state as a driver sees it: made per operator instance, captured at barriers, restored before the first batch.
import type { Clock } from "../../base/clock.ts";
import type { KeyGroupRange } from "../operator/operator.ts";
import type { RowSpec } from "../schema/type-spec.ts";
import type { KeyedState } from "./state.ts";

/** What a manifest says of one table: enough to read its entries without the job's code. */
export interface StoredTableSpec {
  readonly name: string;
  readonly form: "table" | "multi" | "timers";
  readonly key: RowSpec;
  readonly keyForm: "integer" | "text" | "bytes";
  readonly subKey?: "number" | "string";
  readonly value: RowSpec;
  /** The order of the value's fields in encoded entries (JSON objects promise no order). */
  readonly valueOrder: readonly string[];
  readonly keyOrder: readonly string[];
}

/**
 * Encoded entries of one table and key group, oldest first: a later entry of the same identity replaces an earlier one.
 * The encoding is described in docs/reference/snapshot-format.md and implemented in state/entry-codec.ts.
 */
export interface StateBlock {
  readonly table: string;
  readonly keyGroup: number;
  readonly entryCount: number;
  /** Of a block with `stored` this reads the disk, each time it is asked for. */
  readonly bytes: Uint8Array;
  /** Set in a capture only: the bytes are not in memory. */
  readonly stored?: BlockBytes;
  /**
   * Set in stored blocks only: the spec this block is encoded with. Versions of a job that changed a table's schema leave blocks of
   * several specs in one snapshot, under one table name; `StoredState.tables` then holds all of them, oldest first.
   */
  readonly spec?: StoredTableSpec;
}

/** The bytes of a block that wait on disk. Both ways of reading fail with STATE_STORE_FAILED. */
export interface BlockBytes {
  readonly sizeBytes: number;
  readNow(): Uint8Array;
  read(): Promise<Uint8Array>;
}

export function blockSizeBytes(block: StateBlock): number {
  return block.stored?.sizeBytes ?? block.bytes.length;
}

/** The changes since the previous capture, or on the first one after a fresh start all there is. */
export interface StateCapture {
  readonly tables: readonly StoredTableSpec[];
  /** In order of (table, key group). The bytes belong to the caller. */
  readonly blocks: readonly StateBlock[];
  /** Nobody reads the blocks any more: what they have on disk is deleted. May be called again; closing the backend does it too. */
  release?(): void;
}

/**
 * A fuzzy base: all entries, read a slice at a time while processing goes on. Together with every capture taken from its start
 * until its end it is consistent at the capture that follows its end (fuzzy checkpointing, as in ARIES).
 */
export interface BaseScan {
  /** Encodes up to about `maxBytes` of entries; null when all are done. Blocks come in any order, a key group may come in several. */
  next(maxBytes: number): readonly StateBlock[] | null;
  /** Stops early and frees what the scan holds. */
  cancel(): void;
}

/** Stored blocks of one snapshot for one operator, already in the right order: bases first, then deltas by checkpoint. */
export interface StoredState {
  readonly tables: readonly StoredTableSpec[];
  blocks(): AsyncIterable<StateBlock>;
  /** Drop tables that the operator no longer declares; without it they stop the restore (STATE_TABLE_UNKNOWN). */
  readonly allowUnknownTables?: boolean;
}

export interface KeyedStateBackend {
  readonly state: KeyedState;
  /** Entries whose key group is in this backend's range are loaded; others are skipped. Called after the operator declared its tables. */
  restore(stored: StoredState): Promise<void>;
  /**
   * The synchronous part of a checkpoint: its cost follows the change. After a failure the backend captures no more, because what
   * was changed is no longer known; it has to be restored.
   */
  capture(): StateCapture;
  startBase(): BaseScan;
  /** For event-time TTL and incremental clean-up: called between batches. */
  onWatermark(timeMs: number): void;
  /** Bytes held on the heap or in buffers, about; and on disk. May be asked after `close`: the last status of a run is. */
  sizeBytes(): { readonly memory: number; readonly disk: number; readonly entries: number };
  close(): Promise<void>;
}

export interface KeyedStateBackendOptions {
  readonly uid: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly clock: Clock;
  /** A folder of this instance's own, for backends that use the disk; removed on close. */
  readonly directory: string;
}

/** Makes the state of operator instances: `memory`, or `rocksdb` with a budget for the heap part. */
export interface StateBackendFactory {
  readonly name: string;
  open(options: KeyedStateBackendOptions): Promise<KeyedStateBackend>;
}
