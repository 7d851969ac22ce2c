// One source of a query: finds its splits, reads a batch's records into the kernel, and knows where each batch begins and ends.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { SourceContext, SourceReader, SourceSplit, SplitEnumerator } from "../../../core/ports/source.ts";
import { fieldTimeMs, type TimeReader } from "../../../core/time/field-time.ts";
import type { SourceRange } from "../log/batch-log.ts";
import type { TableLoader } from "../kernel/table-loader.ts";
import type { ScanStage } from "../stages/stage.ts";
import { RecordRows } from "./record-rows.ts";
import { SplitQuotas } from "./split-quotas.ts";

const pollRecords = 4096;
/** How long one poll of a batch may work before the process's I/O has a turn, ms. */
const turnMs = 4;

export interface FeedParts {
  readonly scan: ScanStage;
  readonly table: TableLoader;
  readonly jobName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** True for a run that ends with what is there at its start. */
  readonly bounded: boolean;
  /** The time columns whose latest value is wanted. */
  readonly timeColumns: readonly string[];
}

export interface RestoredFeed {
  readonly splits: readonly SourceSplit[];
  readonly finished: readonly string[];
  readonly enumerator: unknown;
}

export interface FeedBatch {
  readonly range: SourceRange;
  readonly records: number;
}

export class SourceFeed {
  readonly uid: string;
  /** The latest time that any row of the batch had, by time column; -Infinity where none had one. */
  readonly latestMs: Map<string, number>;
  readonly #parts: FeedParts;
  readonly #context: SourceContext;
  readonly #enumerator: SplitEnumerator;
  readonly #rows: RecordRows;
  readonly #times: readonly { readonly name: string; readonly read: TimeReader }[];
  readonly #known = new Set<string>();
  #reader: SourceReader;
  #from: readonly SourceSplit[] = [];
  #discovered: SourceSplit[] = [];
  #discovering: Promise<void> | undefined;
  #cancelDiscovery: (() => void) | undefined;
  #open = 0;

  private constructor(parts: FeedParts, context: SourceContext, enumerator: SplitEnumerator, reader: SourceReader, rows: RecordRows) {
    this.#parts = parts;
    this.#context = context;
    this.uid = parts.scan.uid;
    this.#enumerator = enumerator;
    this.#reader = reader;
    this.#rows = rows;
    this.#times = parts.timeColumns.map((name) => ({ name, read: fieldTimeMs(parts.scan.plan.schema, name) }));
    this.latestMs = new Map(parts.timeColumns.map((name) => [name, -Infinity]));
  }

  /** Opens the source where `restored` says, or where its options say to start. */
  static async open(parts: FeedParts, restored: RestoredFeed | undefined): Promise<SourceFeed> {
    const { scan, jobName, clock, log } = parts;
    const { source, format } = scan.plan.relation;
    const context: SourceContext = { jobName, uid: scan.uid, subtask: 0, clock, log: log.child({ uid: scan.uid }) };
    const enumerator = await source.openEnumerator(context, restored?.enumerator);
    const reader = await source.openReader(context);
    const feed = new SourceFeed(parts, context, enumerator, reader, new RecordRows(scan, await format?.openDecoder()));
    for (const id of restored?.finished ?? []) feed.#known.add(id);
    if (restored !== undefined) await feed.#assign(restored.splits);
    await feed.#assign(await enumerator.discover(feed.#known));
    feed.#from = feed.#reader.snapshot();
    feed.#scheduleDiscovery();
    return feed;
  }

  async #assign(found: readonly SourceSplit[]): Promise<void> {
    if (found.length === 0) return;
    const splits = this.#parts.bounded
      ? ((await this.#enumerator.withEnds?.(found)) ?? found)
      : (this.#enumerator.withoutEnds?.(found) ?? found);
    for (const { id } of splits) this.#known.add(id);
    this.#open += splits.length;
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

  /** True when all splits have ended and no further ones will come. */
  get exhausted(): boolean {
    return (this.#parts.bounded || this.#enumerator.intervalMs === Infinity) && this.#open === 0;
  }

  get malformed(): number {
    return this.#rows.malformed;
  }

  /** Settles when there may be something to read. */
  ready(): Promise<void> {
    return this.#reader.ready();
  }

  /** Records that are there and were not read yet, where the connector knows. */
  lag(): number | undefined {
    const lags = this.#reader.lag();
    return lags === undefined ? undefined : [...lags.values()].reduce((sum, lag) => sum + lag, 0);
  }

  /**
   * Reads what is there, at most `maxRecords`, for at most about `maxMs` while the source says that there is more. Calls `tell` after
   * every `tellEvery` records.
   */
  async poll(maxRecords: number, maxMs: number, tellEvery: number = Infinity, tell?: (records: number) => void): Promise<FeedBatch> {
    const discovered = this.#discovered.splice(0);
    if (discovered.length > 0) {
      await this.#assign(discovered);
      this.#from = this.#reader.snapshot();
    }
    await this.#begin();
    const counts = new Map<string, number>();
    const startedMs = performance.now();
    const lags = await this.#lags(maxMs);
    const quotas = maxRecords === Infinity || lags === undefined ? undefined : SplitQuotas.of(lags, maxRecords);
    // What waits now is the batch; what comes while it is read is the next one's.
    const waiting = lags === undefined || this.#parts.bounded ? Infinity : [...lags.values()].reduce((sum, lag) => sum + lag, 0);
    const paused: string[] = [];
    let records = 0;
    let turnStartedMs = startedMs;
    do {
      const size = Math.min(pollRecords, maxRecords - records, quotas?.next ?? Infinity);
      if (size === 0) break;
      const polled = this.#reader.poll(size);
      this.#takeFinished();
      if (polled === null) {
        // A bounded run goes on until its end; any other one takes what is there.
        const goesOn = this.#parts.bounded
          ? !this.exhausted
          : performance.now() - startedMs < maxMs && waiting !== Infinity && (this.lag() ?? 0) > 0;
        if (!goesOn) break;
        await this.#wait(20);
        continue;
      }
      const [splitId, count] = polled.kind === "raw" ? [polled.records.splitId, polled.records.count] : [polled.splitId, polled.rows.size];
      counts.set(splitId, (counts.get(splitId) ?? 0) + count);
      records += count;
      this.#take(this.#rows.of(polled, count));
      if (quotas?.take(splitId, count) === true) {
        this.#reader.setPaused(splitId, true);
        paused.push(splitId);
      }
      if (Math.floor(records / tellEvery) !== Math.floor((records - count) / tellEvery)) tell?.(records);
      if (performance.now() - turnStartedMs < turnMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnStartedMs = performance.now();
    } while (records < maxRecords && records < waiting);
    this.#parts.table.end();
    const from = this.#from;
    this.#from = this.#reader.snapshot();
    for (const id of paused) this.#reader.setPaused(id, false);
    return { range: { from, to: this.#from, counts: Object.fromEntries(counts) }, records };
  }

  // What waits in each split. A connector that knows tells it of each split once it has heard of it.
  async #lags(maxMs: number): Promise<ReadonlyMap<string, number> | undefined> {
    const startedMs = performance.now();
    for (;;) {
      const lags = this.#reader.lag();
      if (lags === undefined) return undefined;
      if (lags.size >= this.#from.length || performance.now() - startedMs >= maxMs) return lags;
      await this.#wait(20);
    }
  }

  async #begin(): Promise<void> {
    for (const { name } of this.#times) this.latestMs.set(name, -Infinity);
    await this.#parts.table.begin();
  }

  async #wait(atMostMs: number): Promise<void> {
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(atMostMs, resolve);
    });
    await Promise.race([this.#reader.ready(), patience]);
    cancel();
    // A source that is ready at once must not keep the process's I/O from its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #take(batch: Batch): void {
    for (const { name, read } of this.#times) {
      let latest = this.latestMs.get(name) as number;
      for (let k = 0; k < batch.count; k++) {
        const timeMs = read(batch.rows, batch.selection[k] as number, undefined);
        if (timeMs > latest) latest = timeMs;
      }
      this.latestMs.set(name, latest);
    }
    this.#parts.table.add(batch);
  }

  #takeFinished(): void {
    this.#open -= this.#reader.takeFinished().length;
  }

  /** Reads exactly the records of an earlier batch again, and goes on behind them. */
  async replay(range: SourceRange): Promise<FeedBatch> {
    const { source } = this.#parts.scan.plan.relation;
    await this.#reader.close();
    this.#reader = await source.openReader(this.#context);
    const wanted = new Map(Object.entries(range.counts));
    const splits = this.#enumerator.withoutEnds?.(range.from) ?? range.from;
    this.#reader.assign(splits.filter(({ id }) => wanted.has(id)));
    await this.#begin();
    let records = 0;
    while (wanted.size > 0) {
      const polled = this.#reader.poll(Math.min(pollRecords, Math.max(...wanted.values())));
      if (polled === null) {
        const gone = this.#reader.takeFinished().find((id) => wanted.has(id));
        if (gone !== undefined) throw this.#shrunk(gone, wanted.get(gone) as number);
        await this.#wait(20);
        continue;
      }
      const [splitId, count] = polled.kind === "raw" ? [polled.records.splitId, polled.records.count] : [polled.splitId, polled.rows.size];
      const left = wanted.get(splitId) ?? 0;
      const taken = Math.min(left, count);
      if (taken === 0) continue;
      this.#take(this.#rows.of(polled, taken));
      records += taken;
      if (taken === left) {
        wanted.delete(splitId);
        this.#reader.setPaused(splitId, true);
      } else wanted.set(splitId, left - taken);
    }
    this.#parts.table.end();
    await this.#reader.close();
    this.#reader = await source.openReader(this.#context);
    this.#open = 0;
    await this.#assign(range.to);
    const others = [...this.#from].filter(({ id }) => !range.to.some((split) => split.id === id));
    await this.#assign(others);
    this.#takeFinished();
    this.#from = this.#reader.snapshot();
    return { range, records };
  }

  #shrunk(splitId: string, missing: number): MillraceError {
    return new MillraceError(
      "DATAFRAME_INPUT_CHANGED",
      `source "${this.uid}", ${splitId}`,
      `the batch that is run again had ${missing} records more than are there now`,
      "restore the input, or start the query anew with another checkpoint location",
    );
  }

  /** Where the next batch begins. */
  get splits(): readonly SourceSplit[] {
    return this.#from;
  }

  /** What the enumerator keeps, and the splits that must not be read again. */
  state(): { readonly enumerator: unknown; readonly finished: readonly string[] } {
    const held = new Set(this.#from.map(({ id }) => id));
    return { enumerator: this.#enumerator.snapshot?.(), finished: [...this.#known].filter((id) => !held.has(id)) };
  }

  /** A batch is committed: for connectors that tell the outside. */
  async committed(): Promise<void> {
    await this.#reader.checkpointCompleted?.(this.#from);
  }

  async close(): Promise<void> {
    this.#cancelDiscovery?.();
    await this.#discovering;
    await this.#reader.close();
    await this.#enumerator.close();
  }
}
