// Reads splits of one source into a table of the kernel, a batch at a time: what is there, or exactly what an earlier batch had.
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { SourceContext, SourceReader, SourceSplit } from "../../../core/ports/source.ts";
import { fieldTimeMs, type TimeReader } from "../../../core/time/field-time.ts";
import type { TableLoader } from "../kernel/table-loader.ts";
import type { SourceRange } from "../log/batch-log.ts";
import type { ScanStage } from "../stages/stage.ts";
import { RecordRows } from "./record-rows.ts";
import { SplitQuotas } from "./split-quotas.ts";

const pollRecords = 4096;
/** How long one poll of a batch may work before the process's I/O has a turn, ms. */
const turnMs = 4;

export interface SplitReaderParts {
  readonly scan: ScanStage;
  readonly jobName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** True for a run that ends with what is there at its start. */
  readonly bounded: boolean;
  /** The time columns whose latest value is wanted. */
  readonly timeColumns: readonly string[];
}

export interface FeedBatch {
  readonly range: SourceRange;
  readonly records: number;
}

export interface PollLimits {
  readonly maxRecords: number;
  /** Records of each split; without it they are shared out in proportion to what waits. */
  readonly quotas?: Readonly<Record<string, number>>;
  /** How long the reader waits for more while the source says that there is some, ms. */
  readonly maxMs: number;
  /** Told of the records read, after every so many. */
  readonly tellEvery?: number;
  readonly tell?: (records: number) => void;
}

export class SplitReader {
  /** The latest time that any row of the batch had, by time column; -Infinity where none had one. */
  readonly latestMs: Map<string, number>;
  /** Splits that have ended since this was emptied. */
  readonly finished: string[] = [];
  readonly #parts: SplitReaderParts;
  readonly #context: SourceContext;
  readonly #rows: RecordRows;
  readonly #times: readonly { readonly name: string; readonly read: TimeReader }[];
  #reader: SourceReader;
  #from: readonly SourceSplit[] = [];
  #open = 0;
  #isClosed = false;

  private constructor(parts: SplitReaderParts, context: SourceContext, reader: SourceReader, rows: RecordRows) {
    this.#parts = parts;
    this.#context = context;
    this.#reader = reader;
    this.#rows = rows;
    this.#times = parts.timeColumns.map((name) => ({ name, read: fieldTimeMs(parts.scan.plan.schema, name) }));
    this.latestMs = new Map(parts.timeColumns.map((name) => [name, -Infinity]));
  }

  static async open(parts: SplitReaderParts): Promise<SplitReader> {
    const { scan, jobName, clock, log } = parts;
    const { source, format } = scan.plan.relation;
    const context: SourceContext = { jobName, uid: scan.uid, subtask: 0, clock, log: log.child({ uid: scan.uid }) };
    const reader = await source.openReader(context);
    return new SplitReader(parts, context, reader, new RecordRows(scan, await format?.openDecoder()));
  }

  /** Takes over more splits; each is read from its position. */
  assign(splits: readonly SourceSplit[]): void {
    this.#open += splits.length;
    this.#reader.assign(splits);
    this.#from = this.#reader.snapshot();
    // Restored ones may have ended before.
    this.#takeFinished();
  }

  /** The splits, where the next batch begins. */
  get splits(): readonly SourceSplit[] {
    return this.#from;
  }

  /** How many splits have not ended. */
  get open(): number {
    return this.#open;
  }

  /** Records that were no rows, since this was opened. */
  get malformed(): number {
    return this.#rows.malformed;
  }

  /** Settles when there may be something to read. */
  ready(): Promise<void> {
    return this.#reader.ready();
  }

  /** Records that are there and were not read yet, by split; undefined where the connector does not know. */
  lags(): ReadonlyMap<string, number> | undefined {
    return this.#reader.lag();
  }

  /** The same, once the connector has heard of every split, or after `maxMs`. */
  async settledLags(maxMs: number): Promise<ReadonlyMap<string, number> | undefined> {
    const startedMs = performance.now();
    await this.#refreshLag(maxMs);
    for (;;) {
      const lags = this.#reader.lag();
      if (lags === undefined) return undefined;
      if (lags.size >= this.#from.length || performance.now() - startedMs >= maxMs) return lags;
      await this.#wait(20);
    }
  }

  // Where it cannot be asked now, what the connector knew before has to do.
  async #refreshLag(atMostMs: number): Promise<void> {
    const asked = this.#parts.bounded ? undefined : this.#reader.refreshLag?.();
    if (asked === undefined) return;
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(atMostMs, resolve);
    });
    const told = asked.catch((error: unknown) =>
      this.#parts.log.debug("what waits could not be asked", { uid: this.#parts.scan.uid, reason: messageOf(error) }),
    );
    await Promise.race([told, patience]);
    cancel();
  }

  /** Reads what is there into `table`, within the limits. */
  async poll(table: TableLoader, limits: PollLimits): Promise<FeedBatch> {
    const { maxRecords, maxMs, tellEvery = Infinity, tell } = limits;
    await this.#begin(table);
    const counts = new Map<string, number>();
    const startedMs = performance.now();
    const lags = await this.settledLags(maxMs);
    const quotas =
      limits.quotas !== undefined
        ? SplitQuotas.given(limits.quotas)
        : maxRecords === Infinity || lags === undefined
          ? undefined
          : SplitQuotas.of(lags, maxRecords);
    // What waits now is the batch; what comes while it is read is the next one's.
    const waiting = lags === undefined || this.#parts.bounded ? Infinity : sum(lags);
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
          ? this.#open > 0
          : performance.now() - startedMs < maxMs && waiting !== Infinity && sum(this.#reader.lag()) > 0;
        if (!goesOn) break;
        await this.#wait(20);
        continue;
      }
      const [splitId, count] = polled.kind === "raw" ? [polled.records.splitId, polled.records.count] : [polled.splitId, polled.rows.size];
      counts.set(splitId, (counts.get(splitId) ?? 0) + count);
      records += count;
      this.#take(table, this.#rows.of(polled, count));
      if (quotas?.take(splitId, count) === true) {
        this.#reader.setPaused(splitId, true);
        paused.push(splitId);
      }
      if (Math.floor(records / tellEvery) !== Math.floor((records - count) / tellEvery)) tell?.(records);
      if (performance.now() - turnStartedMs < turnMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnStartedMs = performance.now();
    } while (records < maxRecords && records < waiting);
    table.end();
    const from = this.#from;
    this.#from = this.#reader.snapshot();
    for (const id of paused) this.#reader.setPaused(id, false);
    return { range: { from, to: this.#from, counts: Object.fromEntries(counts) }, records };
  }

  /** Reads into `table` exactly `counts` records of `splits`; it has none of them afterwards: `reopen` says where to go on. */
  async replay(table: TableLoader, splits: readonly SourceSplit[], counts: Readonly<Record<string, number>>): Promise<number> {
    await this.reopen([]);
    const wanted = new Map(Object.entries(counts).filter(([, count]) => count > 0));
    this.#reader.assign(splits.filter(({ id }) => wanted.has(id)));
    await this.#begin(table);
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
      this.#take(table, this.#rows.of(polled, taken));
      records += taken;
      if (taken === left) {
        wanted.delete(splitId);
        this.#reader.setPaused(splitId, true);
      } else wanted.set(splitId, left - taken);
    }
    table.end();
    return records;
  }

  /** Lets go of all splits and takes these. */
  async reopen(splits: readonly SourceSplit[]): Promise<void> {
    await this.#reader.close();
    this.#reader = await this.#parts.scan.plan.relation.source.openReader(this.#context);
    this.#open = 0;
    this.#from = [];
    if (splits.length > 0) this.assign(splits);
    this.#takeFinished();
  }

  async #begin(table: TableLoader): Promise<void> {
    for (const { name } of this.#times) this.latestMs.set(name, -Infinity);
    await table.begin();
  }

  async #wait(atMostMs: number): Promise<void> {
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(atMostMs, resolve);
    });
    await Promise.race([this.#reader.ready(), patience]);
    cancel();
    // What a closed reader says is there never comes.
    if (this.#isClosed)
      throw new MillraceError("JOB_STOPPING", `source "${this.#parts.scan.uid}"`, "was closed while it was read", "start the query again");
    // A source that is ready at once must not keep the process's I/O from its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #take(table: TableLoader, batch: Batch): void {
    for (const { name, read } of this.#times) {
      let latest = this.latestMs.get(name) as number;
      for (let k = 0; k < batch.count; k++) {
        const timeMs = read(batch.rows, batch.selection[k] as number, undefined);
        if (timeMs > latest) latest = timeMs;
      }
      this.latestMs.set(name, latest);
    }
    table.add(batch);
  }

  #takeFinished(): void {
    const finished = this.#reader.takeFinished();
    this.#open -= finished.length;
    this.finished.push(...finished);
  }

  #shrunk(splitId: string, missing: number): MillraceError {
    return new MillraceError(
      "DATAFRAME_INPUT_CHANGED",
      `source "${this.#parts.scan.uid}", ${splitId}`,
      `the batch that is run again had ${missing} records more than are there now`,
      "restore the input, or start the query anew with another checkpoint location",
    );
  }

  /** A batch is committed: for connectors that tell the outside. */
  async committed(): Promise<void> {
    await this.#reader.checkpointCompleted?.(this.#from);
  }

  /** What is being read fails. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#reader.close();
  }
}

function sum(lags: ReadonlyMap<string, number> | undefined): number {
  let all = 0;
  for (const lag of lags?.values() ?? []) all += lag;
  return all;
}
