// Reads splits that are held in memory, one block of one split at a time, in turn.
import { MillraceError } from "../../base/errors.ts";
import type { SourceBatch, SourceReader, SourceSplit, SplitEnumerator } from "../../core/ports/source.ts";
import type { MemoryInput, MemorySplit } from "./memory-input.ts";

/** Makes a block of entries `[from, to)`; it may reuse what it made before. */
export type BlockMaker<Entry> = (split: MemorySplit<Entry>, from: number, to: number) => SourceBatch;

interface Assigned<Entry> {
  readonly split: MemorySplit<Entry>;
  next: number;
  /** The first entry that is not read any more; Infinity for none. */
  readonly end: number;
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
      const [next, end] = positionOf(position);
      if (!Number.isSafeInteger(next) || next < 0) {
        throw new MillraceError(
          "POSITION_INVALID",
          `memory split "${id}"`,
          `${JSON.stringify(position)} is not a position`,
          "start from a snapshot of this source",
        );
      }
      this.#assigned.push({ split: this.#input.split(id), next, end, paused: false, finished: false });
    }
    this.#input.changed.notify();
  }

  poll(maxRecords: number): SourceBatch | null {
    if (this.#closed || this.#input.failure !== undefined) return null;
    for (let i = 0; i < this.#assigned.length; i++) {
      const at = (this.#turn + i) % this.#assigned.length;
      const entry = this.#assigned[at] as Assigned<Entry>;
      const to = Math.min(entry.split.entries.length, entry.end, entry.next + maxRecords);
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
      (entry) => (!entry.paused && entry.next < Math.min(entry.split.entries.length, entry.end)) || (isOver(entry) && !entry.finished),
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
    return this.#assigned.map(({ split, next, end }) => ({ id: split.id, position: end === Infinity ? next : { next, end } }));
  }

  takeFinished(): readonly string[] {
    for (const entry of this.#assigned) {
      if (entry.finished || !isOver(entry)) continue;
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
    return new Map(this.#assigned.map(({ split, next, end }) => [split.id, Math.max(0, Math.min(split.entries.length, end) - next)]));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#input.changed.notify();
  }
}

// A number, or with an end where the split was divided.
function positionOf(position: unknown): readonly [next: number, end: number] {
  if (typeof position !== "object" || position === null) return [position as number, Infinity];
  const { next, end } = position as { readonly next: number; readonly end: number };
  return [next, end];
}

function isOver<Entry>({ split, next, end }: Assigned<Entry>): boolean {
  return next >= end || (split.ended && next >= split.entries.length);
}

/** All splits of the input; looked for again every `intervalMs`. */
export function memoryEnumerator<Entry>(input: MemoryInput<Entry>, intervalMs: number): SplitEnumerator {
  return {
    intervalMs,
    async discover(known) {
      return [...input.splits.keys()].filter((id) => !known.has(id)).map((id) => ({ id, position: 0 }));
    },
    divide({ id, position }, lengths) {
      let [next] = positionOf(position);
      const pieces = lengths.map((length) => ({ id, position: { next, end: (next += length) } }));
      return { pieces, behind: (last) => ({ id, position: positionOf(last.position)[0] }) };
    },
    async close() {},
  };
}
