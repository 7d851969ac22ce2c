// Sources that a test controls: push rows or records, end, fail. They read again from any position, so restarts can be tested.
import { MillraceError } from "../../base/errors.ts";
import { integerOption, refuseUnknownOptions } from "../../base/options.ts";
import { noTime, type RowKind, rowKind } from "../../core/batch/batch.ts";
import type { Source, SourceReader, SplitEnumerator } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { MemoryInput } from "./memory-input.ts";
import { MemoryReader, memoryEnumerator } from "./memory-reader.ts";
import { type MemoryRecord, recordBlocks } from "./record-blocks.ts";
import { checkRow, rowBlocks, type TimedRow } from "./row-blocks.ts";

export interface MemorySourceOptions {
  /** How many splits, named `split-0`, `split-1`, ...; or their names. Default 1. */
  readonly splits?: number | readonly string[];
  /** The source ends when every split was ended. Default true; an unbounded one finds splits that are added later. */
  readonly bounded?: boolean;
  /** How often new splits are looked for, ms, when unbounded. Default 20. */
  readonly discoverIntervalMs?: number;
}

abstract class ControlledSource<Entry> implements Source {
  readonly connector = "memory";
  readonly bounded: boolean;
  readonly options: Readonly<Record<string, unknown>>;
  protected readonly input: MemoryInput<Entry> = new MemoryInput();
  readonly #intervalMs: number;

  constructor(options: MemorySourceOptions) {
    refuseUnknownOptions("memory source", options, ["splits", "bounded", "discoverIntervalMs"]);
    this.bounded = options.bounded ?? true;
    const intervalMs = integerOption("memory source", "discoverIntervalMs", options.discoverIntervalMs, 20, 1, Number.POSITIVE_INFINITY);
    this.#intervalMs = this.bounded ? Number.POSITIVE_INFINITY : intervalMs;
    const splits = options.splits ?? 1;
    const count = typeof splits === "number" ? integerOption("memory source", "splits", splits, 1, 0, 10_000) : 0;
    const ids = typeof splits === "number" ? Array.from({ length: count }, (_, i) => `split-${i}`) : splits;
    for (const id of ids) this.input.addSplit(id);
    this.options = { splits: ids, bounded: this.bounded };
  }

  /** Ids of the splits, in the order they were added. */
  get splitIds(): readonly string[] {
    return [...this.input.splits.keys()];
  }

  /** Adds an empty split; only where the source is unbounded. Throws MEMORY_SPLIT_EXISTS. */
  addSplit(id: string): void {
    if (this.bounded) {
      throw new MillraceError(
        "MEMORY_SPLIT_FIXED",
        `memory split "${id}"`,
        "a bounded source looks for its splits once",
        "pass bounded: false",
      );
    }
    this.input.addSplit(id);
  }

  /** No more entries come to `splitId`, or to any split. */
  end(splitId?: string): void {
    this.input.end(splitId);
  }

  /** Readers fail with `error` at once; `undefined` lets readers that are opened from now on work again. */
  fail(error: Error | undefined): void {
    this.input.fail(error);
  }

  protected firstSplit(): string {
    const first = this.splitIds[0];
    if (first === undefined) throw new MillraceError("MEMORY_SPLIT_MISSING", "memory source", "it has no split", "call addSplit first");
    return first;
  }

  async openEnumerator(): Promise<SplitEnumerator> {
    return memoryEnumerator(this.input, this.#intervalMs);
  }

  abstract openReader(): Promise<SourceReader>;
}

export interface PushOptions {
  /** Default the first split. */
  readonly split?: string;
  /** Event time, ms since the epoch; default none. */
  readonly timeMs?: number;
  /** Default insert. */
  readonly kind?: RowKind;
}

/** A source of rows under a test's control. */
export class MemorySource<Row = unknown> extends ControlledSource<TimedRow> {
  readonly schema: Schema<Row>;

  constructor(schema: Schema<Row>, options: MemorySourceOptions = {}) {
    super(options);
    this.schema = schema;
  }

  /** Itself, so that a dataflow takes it: `flow.source("in", memorySource(schema))`. */
  get source(): this {
    return this;
  }

  /** Adds a row. Throws ROW_INVALID for one that does not fit, MEMORY_SPLIT_MISSING, MEMORY_SPLIT_ENDED. */
  push(row: Row, options: PushOptions = {}): void {
    checkRow(this.schema, row);
    this.input.push(options.split ?? this.firstSplit(), [{ row, timeMs: options.timeMs ?? noTime, kind: options.kind ?? rowKind.insert }]);
  }

  override async openReader(): Promise<SourceReader> {
    return new MemoryReader(this.input, rowBlocks(this.schema));
  }
}

/** A source of raw records under a test's control: for formats and dead letters. */
export class MemoryRecordSource extends ControlledSource<MemoryRecord> {
  constructor(options: MemorySourceOptions = {}) {
    super(options);
  }

  /** Adds a record; text is taken as UTF-8. */
  push(record: MemoryRecord, split?: string): void {
    this.input.push(split ?? this.firstSplit(), [record]);
  }

  override async openReader(): Promise<SourceReader> {
    return new MemoryReader(this.input, recordBlocks());
  }
}

/** A source of rows that a test fills: `push`, `end`, `fail`. */
export function memorySource<Row>(schema: Schema<Row>, options: MemorySourceOptions = {}): MemorySource<Row> {
  return new MemorySource(schema, options);
}

/** A source of raw records that a test fills: `flow.source("in", { source: memoryRecords(), format: json(schema) })`. */
export function memoryRecords(options: MemorySourceOptions = {}): MemoryRecordSource {
  return new MemoryRecordSource(options);
}
