// Input held in memory: splits with their entries, that a test fills, ends or breaks while readers read.
import { MillraceError } from "../../base/errors.ts";
import { Signal } from "../../base/signal.ts";

export interface MemorySplit<Entry> {
  readonly id: string;
  readonly entries: Entry[];
  ended: boolean;
}

/** The outside world of a memory source. Entries are kept for as long as the input lives, so any position can be read again. */
export class MemoryInput<Entry> {
  readonly splits: Map<string, MemorySplit<Entry>> = new Map();
  /** Tells readers that entries, an end or a failure are there. */
  readonly changed: Signal = new Signal();
  failure: Error | undefined;

  addSplit(id: string): void {
    if (this.splits.has(id))
      throw new MillraceError("MEMORY_SPLIT_EXISTS", `memory split "${id}"`, "is there already", "choose another id");
    this.splits.set(id, { id, entries: [], ended: false });
  }

  split(id: string): MemorySplit<Entry> {
    const found = this.splits.get(id);
    if (found !== undefined) return found;
    const known = [...this.splits.keys()].join(", ");
    throw new MillraceError("MEMORY_SPLIT_MISSING", `memory split "${id}"`, "does not exist", `use one of ${known}`);
  }

  push(id: string, entries: readonly Entry[]): void {
    const split = this.split(id);
    if (split.ended) throw new MillraceError("MEMORY_SPLIT_ENDED", `memory split "${id}"`, "has ended", "push before end()");
    for (const entry of entries) split.entries.push(entry);
    this.changed.notify();
  }

  /** Ends one split, or all. */
  end(id?: string): void {
    for (const split of id === undefined ? this.splits.values() : [this.split(id)]) split.ended = true;
    this.changed.notify();
  }

  /** Every reader fails with `error` from now on; undefined mends it for readers that are opened later. */
  fail(error: Error | undefined): void {
    this.failure = error;
    this.changed.notify();
  }
}
