// The base scan of one table: its unchanged entries, some at a time, while the table is used.
import { ByteReader } from "../../base/bytes.ts";
import { murmur3 } from "../../base/murmur3.ts";
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { Spill } from "../spill/spill.ts";
import type { SpillScan } from "../spill/spill-store.ts";
import { buildBlocks } from "./block-builder.ts";
import { ChangeLog } from "./change-log.ts";
import { type EntryStore, recordLengthBytes } from "./entry-store.ts";

export interface TableScan {
  /** Some more blocks, perhaps none; null when the table is done. */
  next(maxBytes: number): readonly StateBlock[] | null;
  close(): void;
}

const noSlots = new Int32Array(0);

/** The scan of a table that is all on the heap: slots do not move, so their numbers are the order. */
export function heapScan(entries: EntryStore): TableScan {
  let from = 0;
  const until = entries.slots.highWater;
  return {
    next(maxBytes) {
      if (from < 0) return null;
      const { blocks, next } = entries.scan(from, until, maxBytes);
      from = next;
      return blocks;
    },
    close() {},
  };
}

/**
 * The scan of a table over a spill store. First what is newer on the heap than below is written below, a slice at a time; then
 * one snapshot of the store is read from end to end.
 *
 * An entry that nobody changes from the start on is below, in its last form, when the snapshot is taken: it was there before, or
 * the slice that came by its slot wrote it, or its eviction did. So the snapshot holds it, once. What changes meanwhile is in a
 * capture after the start. What is below is in a capture too, or was logged for the next one when it was written, so that its
 * deletion leaves a tombstone: nothing can come back from the base.
 */
export function spilledScan(entries: EntryStore, spill: Spill): TableScan {
  let slot = 0;
  let scan: SpillScan | null = null;
  let done = false;
  return {
    next(maxBytes) {
      if (done) return null;
      if (scan === null) {
        slot = spill.writeBackSome(slot, maxBytes);
        if (slot >= 0) return [];
        scan = spill.scan();
      }
      const values = scan.next(maxBytes);
      done = values.length === 0;
      if (done) scan.close();
      return done ? null : blocksOf(entries, values);
    },
    close() {
      scan?.close();
      done = true;
    },
  };
}

function blocksOf(entries: EntryStore, values: readonly Uint8Array[]): StateBlock[] {
  const log = new ChangeLog();
  for (const value of values) {
    const reader = new ByteReader(value);
    while (reader.remaining > 0) {
      const from = reader.position + recordLengthBytes;
      const { keyStart, keyEnd } = entries.readRecordHead(reader);
      entries.skipRecordValue(reader);
      const start = log.open(keyGroupOf(murmur3(value, keyStart, keyEnd), entries.maxParallelism));
      log.writer.raw(value, from, reader.position);
      log.close(start);
    }
  }
  return buildBlocks(entries, log, noSlots, 0, entries.clockMs());
}
