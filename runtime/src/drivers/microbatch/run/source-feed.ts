// One source of a query: finds its splits, reads a batch's records into the kernel, and knows where each batch begins and ends.
import { messageOf } from "../../../base/errors.ts";
import type { Source, SourceContext, SourceSplit, SplitEnumerator } from "../../../core/ports/source.ts";
import type { TableLoader } from "../kernel/table-loader.ts";
import type { SourceRange } from "../log/batch-log.ts";
import { type FeedBatch, SplitReader, type SplitReaderParts } from "./split-reader.ts";

export interface FeedParts extends SplitReaderParts {
  readonly table: TableLoader;
}

export interface RestoredFeed {
  readonly splits: readonly SourceSplit[];
  readonly finished: readonly string[];
  readonly enumerator: unknown;
}

/** A source as the driver sees it, whoever reads it. */
export interface Feed {
  readonly uid: string;
  /** The latest time that any row of the batch had, by time column. */
  readonly latestMs: ReadonlyMap<string, number>;
  /** True when all splits have ended and no further ones will come. */
  readonly exhausted: boolean;
  readonly malformed: number;
  /** Rows of any time may be left in splits that end: nothing that was read says how far event time is. */
  readonly holdsTime: boolean;
  /** Where the next batch begins. */
  readonly splits: readonly SourceSplit[];
  ready(): Promise<void>;
  lag(): number | undefined;
  /** Reads what is there, at most `maxRecords`, for at most about `maxMs` while the source says that there is more. */
  poll(maxRecords: number, maxMs: number): Promise<FeedBatch>;
  /** Reads exactly the records of an earlier batch again, and goes on behind them. */
  replay(range: SourceRange): Promise<FeedBatch>;
  /** What the enumerator keeps, and the splits that must not be read again. */
  state(): { readonly enumerator: unknown; readonly finished: readonly string[] };
  /** A batch is committed. */
  committed(): Promise<void>;
  close(): Promise<void>;
}

export class SourceFeed implements Feed {
  readonly uid: string;
  readonly #parts: FeedParts;
  readonly #enumerator: SplitEnumerator;
  readonly #known = new Set<string>();
  readonly #reader: SplitReader;
  #discovered: SourceSplit[] = [];
  #discovering: Promise<void> | undefined;
  #cancelDiscovery: (() => void) | undefined;

  private constructor(parts: FeedParts, enumerator: SplitEnumerator, reader: SplitReader) {
    this.#parts = parts;
    this.uid = parts.scan.uid;
    this.#enumerator = enumerator;
    this.#reader = reader;
  }

  /** Opens the source where `restored` says, or where its options say to start. */
  static async open(parts: FeedParts, restored: RestoredFeed | undefined): Promise<SourceFeed> {
    const { scan, jobName, clock, log } = parts;
    const context: SourceContext = { jobName, uid: scan.uid, subtask: 0, clock, log: log.child({ uid: scan.uid }) };
    const enumerator = await scan.plan.relation.source.openEnumerator(context, restored?.enumerator);
    const feed = new SourceFeed(parts, enumerator, await SplitReader.open(parts));
    for (const id of restored?.finished ?? []) feed.#known.add(id);
    if (restored !== undefined) await feed.#assign(restored.splits);
    await feed.#assign(await enumerator.discover(feed.#known));
    feed.#scheduleDiscovery();
    return feed;
  }

  async #assign(found: readonly SourceSplit[]): Promise<void> {
    if (found.length === 0) return;
    const splits = await boundedSplits(this.#enumerator, this.#parts.bounded, found);
    for (const { id } of splits) this.#known.add(id);
    this.#reader.assign(splits);
  }

  // New splits are taken over between batches, so that a batch's bounds say all about it.
  #scheduleDiscovery(): void {
    const { intervalMs } = this.#enumerator;
    if (this.#parts.bounded || intervalMs === Infinity) return;
    this.#cancelDiscovery = this.#parts.clock.after(intervalMs, () => {
      this.#discovering = this.#enumerator
        .discover(this.#known)
        .then(
          (found) => {
            for (const split of found) this.#known.add(split.id);
            this.#discovered.push(...found);
          },
          (error: unknown) => this.#parts.log.warn("split discovery failed", { uid: this.uid, reason: messageOf(error) }),
        )
        .then(() => this.#scheduleDiscovery());
    });
  }

  get exhausted(): boolean {
    return (this.#parts.bounded || this.#enumerator.intervalMs === Infinity) && this.#reader.open === 0;
  }

  get holdsTime(): boolean {
    return leavesAnyTime(this.#parts.scan.plan.relation.source) && this.#reader.open > 0;
  }

  get latestMs(): ReadonlyMap<string, number> {
    return this.#reader.latestMs;
  }

  get malformed(): number {
    return this.#reader.malformed;
  }

  ready(): Promise<void> {
    return this.#reader.ready();
  }

  lag(): number | undefined {
    const lags = this.#reader.lags();
    return lags === undefined ? undefined : [...lags.values()].reduce((sum, lag) => sum + lag, 0);
  }

  /** Calls `tell` after every `tellEvery` records. */
  async poll(maxRecords: number, maxMs: number, tellEvery?: number, tell?: (records: number) => void): Promise<FeedBatch> {
    await this.#assign(this.#discovered.splice(0));
    const telling = tellEvery === undefined || tell === undefined ? {} : { tellEvery, tell };
    return this.#reader.poll(this.#parts.table, { maxRecords, maxMs, ...telling });
  }

  async replay(range: SourceRange): Promise<FeedBatch> {
    const before = this.#reader.splits;
    const splits = this.#enumerator.withoutEnds?.(range.from) ?? range.from;
    const records = await this.#reader.replay(this.#parts.table, splits, range.counts);
    await this.#reader.reopen([]);
    await this.#assign(range.to);
    await this.#assign(before.filter(({ id }) => !range.to.some((split) => split.id === id)));
    return { range, records };
  }

  get splits(): readonly SourceSplit[] {
    return this.#reader.splits;
  }

  state(): { readonly enumerator: unknown; readonly finished: readonly string[] } {
    const held = new Set(this.#reader.splits.map(({ id }) => id));
    return { enumerator: this.#enumerator.snapshot?.(), finished: [...this.#known].filter((id) => !held.has(id)) };
  }

  committed(): Promise<void> {
    return this.#reader.committed();
  }

  async close(): Promise<void> {
    this.#cancelDiscovery?.();
    await this.#discovering;
    await this.#reader.close();
    await this.#enumerator.close();
  }
}

/** What is left of a source's splits may have any time. */
export function leavesAnyTime({ splitsInTurn = false, inTimeOrder = false }: Source): boolean {
  return splitsInTurn && !inTimeOrder;
}

/** Splits with an end where the run ends with what is there now, else without one. */
export async function boundedSplits(
  enumerator: SplitEnumerator,
  bounded: boolean,
  found: readonly SourceSplit[],
): Promise<readonly SourceSplit[]> {
  if (bounded) return (await enumerator.withEnds?.(found)) ?? found;
  return enumerator.withoutEnds?.(found) ?? found;
}
