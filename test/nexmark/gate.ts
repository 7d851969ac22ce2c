// Holds the events of generated sources back, so that a run stops at places that the test chooses and not at moments.
import type { Source, SourceBatch, SourceReader, SourceSplit } from "../../runtime/src/core/ports/source.ts";

/**
 * Lets through the events before a number, of all splits of all sources alike; at first none. `reached` settles when every reader stands at the
 * gate: rows are processed as they are polled, so by then everything that came through has been.
 */
export class Gate {
  /** How many rows one poll gives at most. Few, so that rows of several splits and sources take turns; 1 for a limit that holds to the event. */
  readonly pollRows: number;
  /** Rows that have come through. */
  rows = 0;
  #limit = 0;
  readonly #readers = new Set<GatedReader>();
  readonly #waiting: (() => void)[] = [];
  readonly #opened: (() => void)[] = [];

  constructor(pollRows: number) {
    this.pollRows = pollRows;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Puts readers of a source behind the gate. */
  wrap<S extends Source>(source: S): S {
    return {
      ...source,
      openEnumerator: (...args: Parameters<Source["openEnumerator"]>) => source.openEnumerator(...args),
      openReader: async (...args: Parameters<Source["openReader"]>): Promise<SourceReader> => {
        const reader = new GatedReader(this, await source.openReader(...args));
        this.#readers.add(reader);
        return reader;
      },
    };
  }

  /** Lets events before `limit` through; settles when they have been processed. With Infinity it is open for good. */
  async open(limit: number): Promise<void> {
    this.#limit = limit;
    for (const reader of this.#readers) reader.blocked = false;
    for (const wake of this.#opened.splice(0)) wake();
    if (limit < Infinity) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Settles when the gate is opened further. */
  opened(): Promise<void> {
    return new Promise((resolve) => this.#opened.push(resolve));
  }

  /** A reader has come to the gate. */
  noteBlocked(): void {
    for (const reader of this.#readers) if (!reader.blocked && reader.hasWork) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  forget(reader: GatedReader): void {
    this.#readers.delete(reader);
    for (const wake of this.#opened.splice(0)) wake();
  }
}

class GatedReader implements SourceReader {
  blocked = false;
  readonly #gate: Gate;
  readonly #inner: SourceReader;
  #hasSplits = false;

  constructor(gate: Gate, inner: SourceReader) {
    this.#gate = gate;
    this.#inner = inner;
  }

  /** An instance without splits ends at once and is not asked any more. */
  get hasWork(): boolean {
    return this.#hasSplits;
  }

  assign(splits: readonly SourceSplit[]): void {
    this.#hasSplits ||= splits.length > 0;
    this.#inner.assign(splits);
  }

  poll(maxRecords: number): SourceBatch | null {
    if (this.#isBefore(this.#gate.limit)) {
      const batch = this.#inner.poll(Math.min(maxRecords, this.#gate.pollRows));
      if (batch !== null) {
        this.#gate.rows += batch.kind === "rows" ? batch.rows.size : batch.records.count;
        return batch;
      }
    }
    if (!this.blocked) {
      this.blocked = true;
      this.#gate.noteBlocked();
    }
    return null;
  }

  // The reader takes the split that is furthest behind.
  #isBefore(limit: number): boolean {
    return this.#inner.snapshot().some(({ position }) => (position as number) < limit);
  }

  async ready(): Promise<void> {
    if (this.#isBefore(this.#gate.limit)) await this.#inner.ready();
    else await this.#gate.opened();
  }

  /** Splits end when the gate is open for good: until then a run stays where it is. */
  takeFinished(): readonly string[] {
    return this.#gate.limit === Infinity ? this.#inner.takeFinished() : [];
  }

  snapshot(): readonly SourceSplit[] {
    return this.#inner.snapshot();
  }

  setPaused(splitId: string, paused: boolean): void {
    this.#inner.setPaused(splitId, paused);
  }

  lag(): ReadonlyMap<string, number> | undefined {
    return this.#inner.lag();
  }

  async close(): Promise<void> {
    this.#gate.forget(this);
    await this.#inner.close();
  }
}
