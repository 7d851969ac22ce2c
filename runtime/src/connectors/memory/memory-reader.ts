// Reads splits that are held in memory, one block of one split at a time, in turn.
import { MillraceError } from "../../base/errors.ts";
import type { SourceBatch, SourceReader, SourceSplit, SplitEnumerator } from "../../core/ports/source.ts";
import type { MemoryInput, MemorySplit } from "./memory-input.ts";

/** Makes a block of entries `[from, to)`; it may reuse what it made before. */
export type BlockMaker<Entry> = (split: MemorySplit<Entry>, from: number, to: number) => SourceBatch;

interface Assigned<Entry> {
  readonly split: MemorySplit<Entry>;
  next: number;
  paused: boolean;
  finished: boolean;
}

export class MemoryReader<Entry> implements SourceReader {
  readonly #input: MemoryInput<Entry>;
  readonly #makeBlock: BlockMaker<Entry>;
  readonly #assigned: Assigned<Entry>[] = [];
  #finished: string[] = [];
  #turn = 0;
  #closed = false;

  constructor(input: MemoryInput<Entry>, makeBlock: BlockMaker<Entry>) {
    this.#input = input;
    this.#makeBlock = makeBlock;
  }

  assign(splits: readonly SourceSplit[]): void {
    for (const { id, position } of splits) {
      if (!Number.isSafeInteger(position) || (position as number) < 0) {
        throw new MillraceError(
          "POSITION_INVALID",
          `memory split "${id}"`,
          `${JSON.stringify(position)} is not a position`,
          "start from a snapshot of this source",
        );
      }
      this.#assigned.push({ split: this.#input.split(id), next: position as number, paused: false, finished: false });
    }
    this.#input.changed.notify();
  }

  poll(maxRecords: number): SourceBatch | null {
    if (this.#closed || this.#input.failure !== undefined) return null;
    for (let i = 0; i < this.#assigned.length; i++) {
      const at = (this.#turn + i) % this.#assigned.length;
      const entry = this.#assigned[at] as Assigned<Entry>;
      const to = Math.min(entry.split.entries.length, entry.next + maxRecords);
      if (entry.paused || to <= entry.next) continue;
      const block = this.#makeBlock(entry.split, entry.next, to);
      entry.next = to;
      this.#turn = at + 1;
      return block;
    }
    return null;
  }

  #mayGo(): boolean {
    return this.#assigned.some(
      ({ split, next, paused, finished }) =>
        (!paused && next < split.entries.length) || (split.ended && next >= split.entries.length && !finished),
    );
  }

  async ready(): Promise<void> {
    while (!this.#closed && !this.#mayGo()) {
      if (this.#input.failure !== undefined) throw this.#input.failure;
      await this.#input.changed.next();
    }
    if (this.#input.failure !== undefined && !this.#closed) throw this.#input.failure;
  }

  snapshot(): readonly SourceSplit[] {
    return this.#assigned.map(({ split, next }) => ({ id: split.id, position: next }));
  }

  takeFinished(): readonly string[] {
    for (const entry of this.#assigned) {
      if (entry.finished || !entry.split.ended || entry.next < entry.split.entries.length) continue;
      entry.finished = true;
      this.#finished.push(entry.split.id);
    }
    const taken = this.#finished;
    this.#finished = [];
    return taken;
  }

  setPaused(splitId: string, paused: boolean): void {
    for (const entry of this.#assigned) if (entry.split.id === splitId) entry.paused = paused;
    if (!paused) this.#input.changed.notify();
  }

  lag(): ReadonlyMap<string, number> {
    return new Map(this.#assigned.map(({ split, next }) => [split.id, Math.max(0, split.entries.length - next)]));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#input.changed.notify();
  }
}

/** All splits of the input; looked for again every `intervalMs`. */
export function memoryEnumerator<Entry>(input: MemoryInput<Entry>, intervalMs: number): SplitEnumerator {
  return {
    intervalMs,
    async discover(known) {
      return [...input.splits.keys()].filter((id) => !known.has(id)).map((id) => ({ id, position: 0 }));
    },
    async close() {},
  };
}
