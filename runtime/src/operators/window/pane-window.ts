// Aggregates over tumbling, sliding and cumulate windows that fire at their end: rows of a batch into panes, panes into windows.
import { Batch } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { type AggregateSet, type BoundAggregates, columnsOf } from "../aggregate/aggregate-set.ts";
import { Changes } from "../aggregate/changes.ts";
import { LateRows } from "../rows/late-rows.ts";
import { LateFirings } from "./late-firings.ts";
import { fate, PaneRows } from "./pane-rows.ts";
import { PaneStore } from "./pane-store.ts";
import { type Panes, panesOf } from "./panes.ts";
import { partialLayout } from "../aggregate/partial-rows.ts";
import { Progress } from "./progress.ts";
import { WindowOutput } from "./window-output.ts";
import { firingMode, resolveWindowAggregate, type WindowAggregateParams } from "./window-params.ts";
import type { AlignedWindow } from "./window-spec.ts";

/**
 * There are no timers: which panes have entries is asked of the table, and what fires follows from them and from how far time
 * has come. A window [s, e) fires when time reaches e - 1.
 */
export class PaneWindow implements Operator {
  readonly #context: OperatorContext;
  readonly #set: AggregateSet;
  readonly #layout: Panes;
  readonly #latenessMs: number;
  readonly #processingTime: boolean;
  readonly #reader: KeyReader;
  readonly #store: PaneStore;
  readonly #progress: Progress;
  readonly #rows: PaneRows;
  readonly #output: WindowOutput;
  readonly #late: LateRows;
  readonly #lateFirings: LateFirings;
  readonly #changes: Changes;
  /** Where the pane and the accumulators are in partial rows; null for plain rows. */
  readonly #partial: { readonly pane: number; readonly accumulators: number } | null;
  /** No window fires, and no pane is dropped, before time reaches this. Nothing is known of it after a restore. */
  #nextDueMs = -Infinity;
  #slots: Int32Array = new Int32Array(0);
  #times: Float64Array = new Float64Array(0);
  #sorted: { readonly onTime: Int32Array; readonly refires: Int32Array } = { onTime: new Int32Array(0), refires: new Int32Array(0) };

  constructor(context: OperatorContext, params: WindowAggregateParams, window: AlignedWindow) {
    const { set, output } = resolveWindowAggregate(params);
    this.#context = context;
    this.#set = set;
    this.#layout = panesOf(window);
    this.#processingTime = params.time === "processing";
    this.#latenessMs = this.#processingTime ? 0 : (params.latenessMs ?? 0);
    const { key, partial } = this.#keyOf(params);
    this.#partial = partial;
    this.#reader = new KeyReader(key);
    this.#store = new PaneStore(context, key, set);
    this.#progress = new Progress(context);
    this.#rows = new PaneRows(this.#layout, this.#progress, this.#latenessMs, context.uid);
    this.#output = new WindowOutput(output, key, true, context.output());
    this.#late = new LateRows(context, params.lateOutput);
    this.#lateFirings = new LateFirings(this.#layout, this.#store, set, key, this.#output, firingMode(params));
    this.#changes = new Changes(set.retracting);
  }

  #keyOf(params: WindowAggregateParams): {
    readonly key: KeyLayout;
    readonly partial: { readonly pane: number; readonly accumulators: number } | null;
  } {
    if (params.partial !== true) return { key: params.key, partial: null };
    const { key, pane, accumulators } = partialLayout(params.key, this.#set);
    return { key, partial: { pane, accumulators } };
  }

  process(batch: Batch): void {
    const keys = this.#reader.read(batch);
    const plain =
      this.#partial === null
        ? this.#rows.assign(this.#timesOf(batch), batch, keys)
        : this.#rows.take(batch.rows.column(this.#partial.pane).numbers, batch, keys);
    if (plain) {
      this.#noteDue(this.#rows.leastMs);
      this.#add(batch, this.#rows.panes);
      return;
    }
    this.#addSorted(batch);
    this.#output.flush();
  }

  // The rows' own times, or one time for all of them: now, but never in a window that has fired.
  #timesOf({ rows }: Batch): Float64Array {
    if (!this.#processingTime) return rows.times;
    if (this.#times.length < rows.size) this.#times = new Float64Array(Math.max(rows.size, 1024));
    this.#times.fill(Math.max(this.#context.clock.now(), this.#progress.greatestMs + 1), 0, rows.size);
    return this.#times;
  }

  // Adds rows whose keys the reader has just read to their panes.
  #add(batch: Batch, panes: Float64Array): void {
    const { count } = batch;
    if (this.#slots.length < count) this.#slots = new Int32Array(Math.max(count, 1024));
    const slots = this.#slots;
    this.#store.locate(this.#reader.keys, panes, slots);
    if (this.#partial === null) this.#changes.apply(this.#store.bound, slots, batch);
    else this.#store.bound.merge(this.#accumulatorsOf(batch, this.#partial.accumulators), batch.selection, slots, count);
    this.#store.table.touchAll(slots, count);
  }

  #accumulatorsOf({ rows }: Batch, first: number): BoundAggregates {
    return this.#set.bind(columnsOf(rows), first);
  }

  // The way of batches with rows that are late, fire a window again, or are in no window.
  #addSorted(batch: Batch): void {
    const { selection, count, rows } = batch;
    if (this.#sorted.onTime.length < count) this.#sorted = { onTime: new Int32Array(count * 2), refires: new Int32Array(count * 2) };
    const { onTime, refires } = this.#sorted;
    let onTimeCount = 0;
    let refireCount = 0;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const own = this.#rows.fates[k];
      if (own === fate.late) this.#late.add(batch, row);
      else if (own === fate.onTime) onTime[onTimeCount++] = row;
      else if (own === fate.refires) refires[refireCount++] = row;
    }
    this.#late.flush(batch);
    if (onTimeCount > 0) this.#addSome(new Batch(rows, onTime, onTimeCount));
    if (refireCount > 0) this.#refire(new Batch(rows, refires, refireCount));
  }

  #addSome(batch: Batch): void {
    this.#reader.read(batch);
    this.#assignAgain(batch);
    this.#noteDue(this.#rows.leastMs);
    this.#add(batch, this.#rows.panes);
  }

  #assignAgain(batch: Batch): void {
    if (this.#partial === null) this.#rows.assign(this.#timesOf(batch), batch, this.#reader.keys);
    else this.#rows.take(batch.rows.column(this.#partial.pane).numbers, batch, this.#reader.keys);
  }

  // Rows of windows that have fired and still take rows: those windows fire again for the rows' keys.
  #refire(batch: Batch): void {
    this.#reader.read(batch);
    this.#assignAgain(batch);
    const open = this.#store.table.namespaces();
    const panes = this.#rows.panes.slice(0, batch.count);
    this.#lateFirings.before(batch, open, (k) => this.#firedEnds(k, panes));
    // Later windows of the same rows are still to come.
    for (const pane of panes) this.#noteDue(pane);
    this.#reader.read(batch);
    this.#add(batch, panes);
    this.#lateFirings.after(batch, this.#store.table.namespaces());
  }

  // The ends of the windows of row k that have fired and are not gone.
  #firedEnds(k: number, panes: Float64Array): number[] {
    const reachedMs = this.#progress.of(this.#reader.keys.hashes[k] as number);
    return this.#layout.ends(panes[k] as number, reachedMs - this.#latenessMs + 1, reachedMs + 1);
  }

  // Rows came into this pane, and maybe into later ones, whose windows fire no earlier.
  #noteDue(paneMs: number): void {
    const next = this.#dueOf(paneMs, this.#progress.reachedMs);
    if (next < this.#nextDueMs) this.#nextDueMs = next;
  }

  // When time next matters to a pane: a window of it fires, or it is dropped.
  #dueOf(paneMs: number, reachedMs: number): number {
    const end = this.#layout.nextEnd(paneMs, reachedMs + 1);
    return end === Infinity ? this.#layout.lastEnd(paneMs) - 1 + this.#latenessMs : end - 1;
  }

  onWatermark(timeMs: number): void {
    // No row follows the end of the input, so windows of the clock end there too.
    if (!this.#processingTime || timeMs >= endOfTime) this.#reach(timeMs);
  }

  onProcessingTime(nowMs: number): void {
    if (this.#processingTime) this.#reach(nowMs - 1);
  }

  nextWakeMs(): number {
    if (!this.#processingTime) return Infinity;
    return this.#nextDueMs === -Infinity ? this.#context.clock.now() : this.#nextDueMs + 1;
  }

  #reach(timeMs: number): void {
    if (timeMs >= this.#nextDueMs) this.#fire(timeMs);
    this.#progress.advance(timeMs);
  }

  #fire(timeMs: number): void {
    const progress = this.#progress;
    const panes = this.#store.table.namespaces();
    const ends = new Set<number>();
    for (const pane of panes) for (const end of this.#layout.ends(pane, progress.leastMs + 1, timeMs + 1)) ends.add(end);
    const done = (pane: number): boolean => this.#layout.lastEnd(pane) - 1 + this.#latenessMs <= timeMs;
    for (const end of [...ends].sort((a, b) => a - b)) {
      const start = this.#layout.startOf(end);
      const filter = progress.uneven ? (hash: number): boolean => progress.of(hash) < end - 1 : null;
      // A pane goes with the last window that it is in.
      this.#store.visitWindow(
        panes.filter((pane) => pane >= start && pane < end),
        filter,
        (pane) => this.#layout.lastEnd(pane) === end && done(pane),
        (keys, aggregates, slots, count) => this.#output.emit(keys, aggregates, slots, count, start, end),
      );
    }
    // What stayed for late rows, or had fired for all its keys before a restore.
    for (const pane of panes) if (done(pane)) this.#store.drop(pane);
    this.#nextDueMs = this.#store.table.namespaces().reduce((least, pane) => Math.min(least, this.#dueOf(pane, timeMs)), Infinity);
    this.#output.flush();
  }
}
