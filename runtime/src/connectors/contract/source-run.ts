// Reads a source the way a driver does, and keeps what it saw: the hands of the source suite.
import assert from "node:assert/strict";
import { rowView } from "../../core/batch/row-view.ts";
import type { Source, SourceBatch, SourceReader, SourceSplit } from "../../core/ports/source.ts";
import { contractContext, pause, throughJson, within } from "./suite.ts";

/** Input that a fixture made, and the source that reads it. */
export interface SourceWorld {
  readonly source: Source;
  /** Every record of the input by split, in order, each as `show` prints it. At least two splits, of at least five records each. */
  readonly records: ReadonlyMap<string, readonly string[]>;
  /** A record of a block as text. Default: the value's UTF-8, or the row as JSON (bigints as text). */
  show?(batch: SourceBatch, index: number): string;
  /** Adds a split to the input; only where the source finds new splits. */
  addSplit?(): Promise<{ readonly id: string; readonly records: readonly string[] }>;
  /** Adds records to a split of the input; only where splits can grow. */
  addRecords?(splitId: string): Promise<readonly string[]>;
  /** Removes the input. */
  dispose(): Promise<void>;
}

/** What was read: by split, in order. */
export type Seen = Map<string, string[]>;

function showDefault(batch: SourceBatch, index: number): string {
  if (batch.kind === "raw") {
    const { bytes, valueStart, valueEnd } = batch.records;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8", valueStart[index], valueEnd[index]);
  }
  const view = rowView(batch.rows.schema);
  view.point(batch.rows, index);
  return JSON.stringify(view, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

/** All records of a block as text. */
export function showAll(world: SourceWorld, batch: SourceBatch): string[] {
  const count = batch.kind === "raw" ? batch.records.count : batch.rows.size;
  return Array.from({ length: count }, (_, index) => world.show?.(batch, index) ?? showDefault(batch, index));
}

export function splitOf(batch: SourceBatch): string {
  return batch.kind === "raw" ? batch.records.splitId : batch.splitId;
}

/** All splits that the source has at its start. */
export async function discoverAll(world: SourceWorld): Promise<readonly SourceSplit[]> {
  const enumerator = await world.source.openEnumerator(contractContext());
  const splits = throughJson(await enumerator.discover(new Set()));
  await enumerator.close();
  return splits;
}

/** A reader with what it gave. Every reader that a check opens goes through here, so that it is closed. */
export class Reading {
  readonly world: SourceWorld;
  readonly reader: SourceReader;
  readonly seen: Seen;
  readonly finished: string[] = [];
  readonly #begun = new Set<string>();
  #assigned = 0;
  #blocks = 0;

  private constructor(world: SourceWorld, reader: SourceReader, seen: Seen) {
    this.world = world;
    this.reader = reader;
    this.seen = seen;
  }

  /** Opens a reader over `splits`; what it reads is added to `seen`. */
  static async open(world: SourceWorld, splits: readonly SourceSplit[], seen: Seen = new Map(), subtask = 0): Promise<Reading> {
    const reader = await world.source.openReader(contractContext(subtask));
    const reading = new Reading(world, reader, seen);
    reading.assign(splits);
    return reading;
  }

  assign(splits: readonly SourceSplit[]): void {
    this.#assigned += splits.length;
    this.reader.assign(splits);
  }

  /** Blocks that were polled. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Polls once and notes what came; undefined when nothing is there. */
  poll(maxRecords: number): SourceBatch | undefined {
    const batch = this.reader.poll(maxRecords);
    for (const id of this.reader.takeBegun?.() ?? []) {
      assert.ok(!this.#begun.has(id), `split ${id} was reported as begun twice`);
      this.#begun.add(id);
    }
    if (batch !== null) this.#note(batch);
    for (const id of this.reader.takeFinished()) {
      assert.ok(!this.finished.includes(id), `split ${id} was reported as finished twice`);
      this.finished.push(id);
    }
    return batch ?? undefined;
  }

  #note(batch: SourceBatch): void {
    const splitId = splitOf(batch);
    const shown = showAll(this.world, batch);
    if (this.reader.takeBegun !== undefined)
      assert.ok(this.#begun.has(splitId), `a block of ${splitId} came before it was reported as begun`);
    assert.ok(shown.length > 0, `a block of ${splitId} is empty: poll must give null instead`);
    assert.ok(!this.finished.includes(splitId), `a block of ${splitId} came after it was reported as finished`);
    if (batch.kind === "raw") {
      const positions = batch.records.position;
      for (let i = 1; i < batch.records.count; i++) {
        assert.ok((positions[i] as number) > (positions[i - 1] as number), `positions within a block of ${splitId} do not rise`);
      }
    }
    const known = this.seen.get(splitId);
    if (known === undefined) this.seen.set(splitId, shown);
    else known.push(...shown);
    this.#blocks++;
  }

  #over(): boolean {
    return this.world.source.bounded && this.finished.length >= this.#assigned;
  }

  /** Reads `blocks` blocks, or fewer when the input ends; for an unbounded source until `records` were seen. */
  async read(maxRecords: number, blocks: number, records: number): Promise<void> {
    const stop = this.#blocks + blocks;
    while (this.#blocks < stop && !this.#over() && (this.world.source.bounded || countSeen(this.seen) < records)) {
      if (this.poll(maxRecords) === undefined && !this.#over()) await within(this.reader.ready(), "ready() of the reader");
    }
  }

  /** Reads to the end: all splits finished, or `records` seen and nothing more there for a moment. */
  async readAll(maxRecords: number, records: number): Promise<void> {
    await this.read(maxRecords, Number.POSITIVE_INFINITY, records);
    if (this.world.source.bounded) return;
    for (let i = 0; i < 3; i++) {
      await pause(10);
      this.poll(maxRecords);
    }
  }

  /** The positions, as a snapshot would store them. */
  snapshot(): readonly SourceSplit[] {
    return throughJson(this.reader.snapshot());
  }

  close(): Promise<void> {
    return within(this.reader.close(), "close() of the reader");
  }
}

export function countSeen(seen: ReadonlyMap<string, readonly string[]>): number {
  let records = 0;
  for (const list of seen.values()) records += list.length;
  return records;
}

/** Everything once, in order, under its own split. */
export function assertWhole(
  seen: ReadonlyMap<string, readonly string[]>,
  expected: ReadonlyMap<string, readonly string[]>,
  when: string,
): void {
  const sorted = (map: ReadonlyMap<string, readonly string[]>) =>
    Object.fromEntries([...map].filter(([, list]) => list.length > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
  assert.deepEqual(sorted(seen), sorted(expected), `${when}: what was read is not the input, once and in order`);
}
