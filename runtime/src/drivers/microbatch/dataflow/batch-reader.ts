// A source's reader held to batches: reads what a batch is to have, and gives it to the task only when the batch is planned.
import { MillraceError } from "../../../base/errors.ts";
import type { Clock } from "../../../base/clock.ts";
import type { SourceBatch, SourceReader, SourceSplit } from "../../../core/ports/source.ts";
import type { SourceRange } from "../log/batch-log.ts";
import { SplitQuotas } from "../run/split-quotas.ts";
import { type HeldBlock, holdBlock, recordsOf, splitOf } from "./held-block.ts";

const pollRecords = 4096;
/** How long a batch may be read before the process's I/O has a turn, ms. */
const turnMs = 4;
/** How long one wait for a source takes at most before it is asked again, ms. */
const waitMs = 20;

export interface BatchReaderParts {
  readonly uid: string;
  readonly clock: Clock;
  readonly open: () => Promise<SourceReader>;
  /** The run ends with what is there at its start. */
  readonly bounded: boolean;
  /** Ends for splits that have none of their own, and the same splits without them; undefined where none are needed or known. */
  readonly ends: () => SplitEnds | undefined;
}

export interface SplitEnds {
  set(splits: readonly SourceSplit[]): Promise<readonly SourceSplit[]>;
  clear(splits: readonly SourceSplit[]): readonly SourceSplit[];
}

export interface FillLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** How long is waited for more while the source says that there is some, ms. */
  readonly maxMs: number;
}

export interface Filled {
  readonly range: SourceRange;
  readonly records: number;
  /** The batch was closed by its limit of bytes. */
  readonly full: boolean;
}

type Held =
  | { readonly kind: "begun" | "finished"; readonly splitId: string }
  | { readonly kind: "block"; readonly splitId: string; readonly held: HeldBlock };

export class BatchReader implements SourceReader {
  readonly takeBegun?: () => readonly string[];
  readonly checkpointCompleted?: (splits: readonly SourceSplit[]) => Promise<void>;
  readonly uid: string;
  readonly #parts: BatchReaderParts;
  #inner: SourceReader;
  /** Assigned, and not given to the reader yet: that is done between batches, so that a batch's bounds say all about it. */
  #pending: SourceSplit[] = [];
  #open = 0;
  readonly #queue: Held[] = [];
  #begun: string[] = [];
  #finished: string[] = [];
  readonly #paused = new Set<string>();
  #waiting: PromiseWithResolvers<void> | undefined;
  #closed = false;

  private constructor(parts: BatchReaderParts, inner: SourceReader) {
    this.uid = parts.uid;
    this.#parts = parts;
    this.#inner = inner;
    if (inner.takeBegun !== undefined) this.takeBegun = () => take(this.#begun);
    if (inner.checkpointCompleted !== undefined) this.checkpointCompleted = async (splits) => this.#inner.checkpointCompleted?.(splits);
  }

  static async open(parts: BatchReaderParts): Promise<BatchReader> {
    return new BatchReader(parts, await parts.open());
  }

  assign(splits: readonly SourceSplit[]): void {
    this.#pending.push(...splits);
    this.#open += splits.length;
    this.#wake();
  }

  /** Nothing of the batch is left to be given. */
  get isDrained(): boolean {
    return this.#queue.length === 0;
  }

  /** Rows are left to be given; without them there may be the news that a split has ended. */
  get hasBlocks(): boolean {
    return this.#queue.some(({ kind }) => kind === "block");
  }

  /** How many splits have not ended, by themselves or at the end that the run has set. */
  get open(): number {
    return this.#open;
  }

  /** Nothing is there to be read, as far as the connector knows. */
  get caughtUp(): boolean {
    if (this.#open === 0) return true;
    const lags = this.#inner.lag();
    return this.#pending.length === 0 && lags !== undefined && lags.size >= this.#inner.snapshot().length && sum(lags) === 0;
  }

  /** Splits of which rows are at hand. */
  waitingSplits(): ReadonlySet<string> {
    return new Set(this.#queue.flatMap((each) => (each.kind === "block" ? [each.splitId] : [])));
  }

  /** Takes over new splits, and waits until the connector knows what is in each, or for `maxMs`. Called before `readBatch`. */
  async prepare(maxMs: number): Promise<void> {
    await this.#takeOver();
    const splits = this.#inner.snapshot().length;
    const startedMs = performance.now();
    for (;;) {
      const lags = this.#inner.lag();
      if (lags === undefined || lags.size >= splits || performance.now() - startedMs >= maxMs) return;
      await this.#wait();
    }
  }

  /** Reads what is there, within the limits, and holds it. */
  async readBatch(limits: FillLimits): Promise<Filled> {
    const { bounded } = this.#parts;
    const startedMs = performance.now();
    const before = this.#inner.snapshot();
    const lags = this.#inner.lag();
    const quotas = lags === undefined || limits.maxRecords === Infinity ? undefined : SplitQuotas.of(lags, limits.maxRecords);
    // What waits now is the batch; what comes while it is read is the next one's.
    const waiting = lags === undefined || bounded ? Infinity : sum(lags);
    const counts = new Map<string, number>();
    const paused: string[] = [];
    let records = 0;
    let sizeBytes = 0;
    let turnStartedMs = startedMs;
    // Also where nothing waits the reader is asked once: it may have to let go of what it has given.
    do {
      const size = Math.min(pollRecords, limits.maxRecords - records, quotas?.next ?? Infinity);
      if (size === 0) break;
      const block = this.#inner.poll(size);
      this.#note(block);
      if (block === null) {
        const more = bounded
          ? !this.caughtUp
          : lags !== undefined && performance.now() - startedMs < limits.maxMs && sum(this.#inner.lag()) > 0;
        if (!more) break;
        await this.#wait();
        continue;
      }
      const held = this.#hold(block, recordsOf(block));
      const splitId = splitOf(block);
      counts.set(splitId, (counts.get(splitId) ?? 0) + held.records);
      records += held.records;
      sizeBytes += held.sizeBytes;
      this.#noteFinished();
      if (quotas?.take(splitId, held.records) === true) {
        this.#inner.setPaused(splitId, true);
        paused.push(splitId);
      }
      if (performance.now() - turnStartedMs < turnMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnStartedMs = performance.now();
    } while (records < limits.maxRecords && records < waiting && sizeBytes < limits.maxBytes);
    for (const id of paused) if (!this.#paused.has(id)) this.#inner.setPaused(id, false);
    if (this.#queue.length > 0) this.#wake();
    const range = rangeOf(before, this.snapshot(), counts, this.#parts.ends());
    return { range, records, full: sizeBytes >= limits.maxBytes };
  }

  /** Reads exactly the records of an earlier batch, of the splits that this reader has, and goes on behind them. Returns these splits. */
  async replay({ from, to, counts }: SourceRange): Promise<readonly string[]> {
    const held = this.#pending;
    this.#pending = [];
    const begins = new Map(from.map((split) => [split.id, split]));
    const left = new Map(held.flatMap(({ id }) => ((counts[id] ?? 0) > 0 ? [[id, counts[id] as number] as const] : [])));
    this.#inner.assign([...left.keys()].flatMap((id) => begins.get(id) ?? []));
    const ids = [...left.keys()];
    while (left.size > 0) {
      const block = this.#inner.poll(Math.min(pollRecords, Math.max(...left.values())));
      if (block === null) {
        const gone = this.#inner.takeFinished().find((id) => left.has(id));
        if (gone !== undefined) throw this.#shrunk(gone, left.get(gone) as number);
        await this.#wait();
        continue;
      }
      this.#noteBegun();
      const splitId = splitOf(block);
      const wanted = left.get(splitId) ?? 0;
      const taken = Math.min(wanted, recordsOf(block));
      if (taken > 0) this.#hold(block, taken);
      if (taken < wanted) left.set(splitId, wanted - taken);
      else {
        left.delete(splitId);
        this.#inner.setPaused(splitId, true);
      }
    }
    await this.#inner.close();
    this.#inner = await this.#parts.open();
    const ends = new Map(to.map((split) => [split.id, split]));
    this.#pending = [...held.map((split) => (ids.includes(split.id) ? (ends.get(split.id) ?? split) : split)), ...this.#pending];
    if (this.#queue.length > 0) this.#wake();
    return ids;
  }

  poll(): SourceBatch | null {
    const free = this.#queue.findIndex((each) => each.kind === "block" && !this.#paused.has(each.splitId));
    // Splits wait for slower ones only as long as those have rows: the others' are in a later batch.
    const index = free < 0 ? this.#queue.findIndex((each) => each.kind === "block") : free;
    this.#tell(index < 0 ? this.#queue.length : index);
    const at = this.#queue.findIndex((each) => each.kind === "block" && (free < 0 || !this.#paused.has(each.splitId)));
    const [next] = at < 0 ? [] : this.#queue.splice(at, 1);
    if (next?.kind !== "block") return null;
    return next.held.block;
  }

  // What the first `count` entries say beside their blocks. That a split has ended is told when it has no block left.
  #tell(count: number): void {
    const kept: Held[] = [];
    for (const each of this.#queue.splice(0, count)) {
      if (each.kind === "begun") this.#begun.push(each.splitId);
      else if (each.kind === "finished" && !kept.some(({ splitId }) => splitId === each.splitId)) this.#finished.push(each.splitId);
      else kept.push(each);
    }
    this.#queue.unshift(...kept);
  }

  async ready(): Promise<void> {
    if (this.#queue.length > 0 || this.#closed) return;
    this.#waiting ??= Promise.withResolvers();
    await this.#waiting.promise;
  }

  /** Settles when the source may have something for a batch. */
  available(): Promise<void> {
    return this.#pending.length > 0 ? Promise.resolve() : this.#inner.ready();
  }

  /** Where the next batch begins. */
  snapshot(): readonly SourceSplit[] {
    const positions = this.#inner.snapshot();
    return [...(this.#parts.ends()?.clear(positions) ?? positions), ...this.#pending];
  }

  /** Not those of the block that was given last: its rows must count for event time before their split does no more. */
  takeFinished(): readonly string[] {
    return take(this.#finished);
  }

  setPaused(splitId: string, paused: boolean): void {
    if (paused) this.#paused.add(splitId);
    else this.#paused.delete(splitId);
    this.#inner.setPaused(splitId, paused);
  }

  lag(): ReadonlyMap<string, number> | undefined {
    return this.#inner.lag();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#inner.close();
  }

  #hold(block: SourceBatch, records: number): HeldBlock {
    const held = holdBlock(block, records);
    if (records > 0) this.#queue.push({ kind: "block", splitId: splitOf(block), held });
    return held;
  }

  // A split begins before its first block, and has ended after its last.
  #note(block: SourceBatch | null): void {
    this.#noteBegun();
    if (block === null) this.#noteFinished();
  }

  #noteBegun(): void {
    for (const splitId of this.#inner.takeBegun?.() ?? []) this.#queue.push({ kind: "begun", splitId });
  }

  #noteFinished(): void {
    for (const splitId of this.#inner.takeFinished()) {
      this.#open--;
      // An end that the run has set is not the split's: it goes on holding event time back.
      if (this.#parts.ends() === undefined) this.#queue.push({ kind: "finished", splitId });
    }
  }

  async #takeOver(): Promise<void> {
    const pending = [...this.#pending];
    if (pending.length === 0) return;
    const splits = (await this.#parts.ends()?.set(pending)) ?? pending;
    this.#pending = this.#pending.slice(pending.length);
    this.#inner.assign(splits);
  }

  async #wait(): Promise<void> {
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(waitMs, resolve);
    });
    await Promise.race([this.#inner.ready(), patience]);
    cancel();
    // A source that is ready at once must not keep the process's I/O from its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  #shrunk(splitId: string, missing: number): MillraceError {
    return new MillraceError(
      "BATCH_INPUT_CHANGED",
      `source "${this.uid}", ${splitId}`,
      `the batch that is run again had ${missing} records more than are there now`,
      "restore the input, or start the job from a savepoint with another checkpoint location",
    );
  }
}

// Only splits that the batch has records of.
function rangeOf(
  before: readonly SourceSplit[],
  after: readonly SourceSplit[],
  counts: ReadonlyMap<string, number>,
  ends: SplitEnds | undefined,
): SourceRange {
  const read = ({ id }: SourceSplit): boolean => (counts.get(id) ?? 0) > 0;
  return { from: (ends?.clear(before) ?? before).filter(read), to: after.filter(read), counts: Object.fromEntries(counts) };
}

function take(list: string[]): readonly string[] {
  return list.length === 0 ? list : list.splice(0);
}

function sum(lags: ReadonlyMap<string, number> | undefined): number {
  let all = 0;
  for (const lag of lags?.values() ?? []) all += lag;
  return all;
}
