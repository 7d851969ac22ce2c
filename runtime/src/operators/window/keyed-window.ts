// Windows whose firing depends on their key: sessions, the global window, and any window with a trigger of its own.
// Aligned windows that fire at their end only have a faster way, in pane-window.ts.
import { MillraceError } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { LateRows } from "../rows/late-rows.ts";
import { triggerOf } from "./builtin-triggers.ts";
import { type Panes, panesOf } from "./panes.ts";
import { Progress } from "./progress.ts";
import type { Trigger, TriggerAction, TriggerSpec } from "./trigger.ts";
import { TriggerCall } from "./trigger-call.ts";
import { OneRow, WindowEntries } from "./window-entries.ts";
import { type AlignedWindow, type GlobalWindow, isAligned, type SessionWindow } from "./window-spec.ts";

/** What is kept of a window's rows, and what a firing makes of it. `k` is the position of the window's key in `keys`. */
export interface WindowContent {
  /** The fields it needs in a window's entry. They are the first columns of the table. */
  readonly schema: Schema;
  /** Called once, before anything else, with the entries that hold those fields. */
  attach(entries: WindowEntries): void;
  init(slot: number): void;
  /** Adds a row; `batch` holds just it. */
  add(keys: KeyBatch, k: number, id: number, slot: number, batch: Batch): void;
  /** Adds what another session has. It is deleted afterwards. */
  merge(keys: KeyBatch, k: number, id: number, slot: number, otherId: number, otherSlot: number): void;
  fire(keys: KeyBatch, k: number, id: number, slot: number): void;
  /** A session that has given a result takes other bounds, or becomes part of another: the result does not stand. */
  withdraw(slot: number): void;
  /** Forgets the rows; the window stays. */
  clear(keys: KeyBatch, k: number, id: number, slot: number): void;
  flush(): void;
}

export interface KeyedWindowParams {
  readonly input: Schema;
  readonly key: KeyLayout;
  readonly window: AlignedWindow | SessionWindow | GlobalWindow;
  readonly time?: "event" | "processing";
  readonly latenessMs?: number;
  readonly lateOutput?: string;
  readonly trigger?: TriggerSpec;
}

export class KeyedWindow implements Operator {
  readonly #context: OperatorContext;
  readonly #content: WindowContent;
  readonly #entries: WindowEntries;
  readonly #reader: KeyReader;
  readonly #progress: Progress;
  readonly #trigger: Trigger;
  readonly #call: TriggerCall;
  readonly #late: LateRows;
  readonly #view: RowView;
  readonly #processingTime: boolean;
  readonly #latenessMs: number;
  /** Null for sessions and for the global window. */
  readonly #panes: Panes | null;
  /** Infinity where windows are not sessions. */
  readonly #gapMs: number;
  #one: OneRow | undefined;

  constructor(context: OperatorContext, params: KeyedWindowParams, content: WindowContent) {
    const { window } = params;
    this.#context = context;
    this.#content = content;
    this.#entries = new WindowEntries(context, params.key, content.schema);
    content.attach(this.#entries);
    this.#reader = new KeyReader(params.key);
    this.#progress = new Progress(context);
    this.#processingTime = params.time === "processing";
    this.#trigger = triggerOf(params.trigger ?? { kind: "eventTime" }, window.kind === "session");
    this.#call = new TriggerCall(this.#entries, params.time ?? "event", context.clock);
    this.#late = new LateRows(context, params.lateOutput);
    this.#view = rowView(params.input);
    this.#latenessMs = this.#processingTime ? 0 : (params.latenessMs ?? 0);
    this.#panes = isAligned(window) ? panesOf(window) : null;
    this.#gapMs = window.kind === "session" ? window.gapMs : Infinity;
  }

  process(batch: Batch): void {
    const keys = this.#reader.read(batch);
    const nowMs = this.#processingTime ? Math.max(this.#context.clock.now(), this.#progress.greatestMs + 1) : 0;
    this.#one ??= new OneRow(batch);
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      const timeMs = this.#processingTime ? nowMs : (batch.rows.times[row] as number);
      const taken = this.#gapMs !== Infinity ? this.#toSession(keys, k, batch, row, timeMs) : this.#toWindows(keys, k, batch, row, timeMs);
      if (!taken) this.#late.add(batch, row);
    }
    this.#late.flush(batch);
    this.#content.flush();
  }

  // False where the row is too late for all of its windows.
  #toWindows(keys: KeyBatch, k: number, batch: Batch, row: number, timeMs: number): boolean {
    if (this.#panes === null) {
      this.#add(keys, k, 0, -Infinity, Infinity, batch, row, timeMs);
      return true;
    }
    this.#checkTime(timeMs);
    this.#panes.locate(timeMs);
    const pane = this.#panes.start;
    // The last end that is too late by now.
    const goneMs = this.#processingTime ? -Infinity : this.#progress.of(keys.hashes[k] as number) - this.#latenessMs + 1;
    const ends = this.#panes.ends(pane, goneMs, Infinity);
    for (const end of ends) this.#add(keys, k, end, this.#panes.startOf(end), end, batch, row, timeMs);
    return ends.length > 0 || this.#panes.lastEnd(pane) === -Infinity;
  }

  #add(keys: KeyBatch, k: number, id: number, startMs: number, endMs: number, batch: Batch, row: number, timeMs: number): void {
    const slot = this.#entries.locate(keys, k, id);
    if (this.#entries.isNew(slot)) this.#open(keys, k, id, slot, startMs, endMs);
    this.#addRow(keys, k, id, slot, batch, row, timeMs);
  }

  #open(keys: KeyBatch, k: number, id: number, slot: number, startMs: number, endMs: number): void {
    this.#entries.open(slot, startMs, endMs);
    this.#content.init(slot);
    this.#scheduleRemoval(keys, k, id, slot);
  }

  #addRow(keys: KeyBatch, k: number, id: number, slot: number, batch: Batch, row: number, timeMs: number): void {
    this.#content.add(keys, k, id, slot, (this.#one as OneRow).at(batch, row));
    this.#entries.noteTime(slot, timeMs);
    this.#view.point(batch.rows, row);
    const call = this.#call.of(keys, k, id, slot, this.#progress.of(keys.hashes[k] as number));
    const action = this.#trigger.onRow(this.#view, timeMs, call);
    call.keep();
    this.#act(action, keys, k, id, slot);
    this.#entries.table.touch(slot);
  }

  #act(action: TriggerAction, keys: KeyBatch, k: number, id: number, slot: number): void {
    if (action === "fire" || action === "fireAndPurge") this.#content.fire(keys, k, id, slot);
    if (action === "purge" || action === "fireAndPurge") this.#content.clear(keys, k, id, slot);
  }

  // A row opens a session of its own from its time on; those that it touches become one with it.
  #toSession(keys: KeyBatch, k: number, batch: Batch, row: number, timeMs: number): boolean {
    this.#checkTime(timeMs);
    const { table } = this.#entries;
    let startMs = timeMs;
    let endMs = timeMs + this.#gapMs;
    const { slots, count } = table.entriesOf(keys, k, 0);
    let slot = -1;
    let others: number[] | null = null;
    for (let i = 0; i < count; i++) {
      const other = slots[i] as number;
      const otherStart = this.#entries.startOf(other);
      const otherEnd = this.#entries.endOf(other);
      if (otherStart > timeMs + this.#gapMs || otherEnd < timeMs) continue;
      startMs = Math.min(startMs, otherStart);
      endMs = Math.max(endMs, otherEnd);
      if (slot < 0) slot = other;
      else (others ??= []).push(other);
    }
    if (slot < 0) {
      const reachedMs = this.#progress.of(keys.hashes[k] as number);
      if (!this.#processingTime && endMs - 1 + this.#latenessMs <= reachedMs) return false;
      // No other session of the key holds this instant, so its number is free.
      this.#add(keys, k, Math.floor(timeMs), startMs, endMs, batch, row, timeMs);
      return true;
    }
    const id = table.subKeyOf(slot) as number;
    this.#grow(keys, k, id, slot, startMs, endMs, others);
    this.#addRow(keys, k, id, slot, batch, row, timeMs);
    return true;
  }

  // Gives a session new bounds, and what other sessions hold.
  #grow(keys: KeyBatch, k: number, id: number, slot: number, startMs: number, endMs: number, others: readonly number[] | null): void {
    const entries = this.#entries;
    if (entries.startOf(slot) === startMs && entries.endOf(slot) === endMs) return;
    this.#withdraw(slot);
    entries.setBounds(slot, startMs, endMs);
    // Its timer may be gone already, when time had reached its earlier end.
    if (entries.removalOf(slot) <= this.#reached(keys, k)) this.#scheduleRemoval(keys, k, id, slot);
    if (others === null) return;
    const states = [slot, ...others].map((other) => entries.triggerState(other));
    for (const other of others) {
      this.#withdraw(other);
      entries.noteTime(slot, entries.latestOf(other));
      this.#content.merge(keys, k, id, slot, entries.table.subKeyOf(other) as number, other);
      entries.table.delete(other);
    }
    const call = this.#call.of(keys, k, id, slot, this.#progress.of(keys.hashes[k] as number));
    call.state = this.#trigger.merge?.(states, call);
    call.keep();
  }

  #withdraw(slot: number): void {
    if (!this.#entries.hasFired(slot)) return;
    this.#content.withdraw(slot);
    this.#entries.setFired(slot, false);
  }

  #reached(keys: KeyBatch, k: number): number {
    return this.#processingTime ? this.#context.clock.now() : this.#progress.of(keys.hashes[k] as number);
  }

  // The window goes when time reaches its end, or in event time that much later as late rows are allowed.
  #removalOf(slot: number): number {
    const end = this.#entries.endOf(slot);
    return this.#processingTime ? end : end - 1 + this.#latenessMs;
  }

  #scheduleRemoval(keys: KeyBatch, k: number, id: number, slot: number): void {
    const timeMs = this.#removalOf(slot);
    if (timeMs === Infinity) return;
    (this.#processingTime ? this.#entries.processingTimers : this.#entries.eventTimers).register(keys, k, id, timeMs);
    this.#entries.setRemoval(slot, timeMs);
  }

  onWatermark(timeMs: number): void {
    const isEnd = timeMs >= endOfTime;
    if (!this.#processingTime || isEnd) this.#progress.advance(timeMs);
    this.#entries.eventTimers.fire(timeMs, (keys, _namespace, atMs) => this.#onTimer(keys, _namespace, atMs, true));
    // No row follows the end of the input, so windows of the clock end there too. The global window has no end.
    if (this.#processingTime && isEnd && !this.#isGlobal) this.#fireProcessingTimers(timeMs);
    this.#content.flush();
  }

  onProcessingTime(nowMs: number): void {
    this.#fireProcessingTimers(nowMs);
    if (this.#processingTime) this.#progress.advance(nowMs - 1);
    this.#content.flush();
  }

  #fireProcessingTimers(untilMs: number): void {
    this.#entries.processingTimers.fire(untilMs, (keys, _namespace, atMs) => this.#onTimer(keys, _namespace, atMs, false));
  }

  get #isGlobal(): boolean {
    return this.#panes === null && this.#gapMs === Infinity;
  }

  nextWakeMs(): number {
    return this.#entries.processingTimers.nextMs();
  }

  #onTimer(keys: KeyBatch, id: number, timeMs: number, isEventTime: boolean): void {
    const { table } = this.#entries;
    const slot = table.find(keys, 0, 0, id);
    // The window may be gone, or part of another session.
    if (slot < 0) return;
    const call = this.#call.of(keys, 0, id, slot, this.#progress.of(keys.hashes[0] as number));
    const action = isEventTime ? this.#trigger.onEventTime(timeMs, call) : this.#trigger.onProcessingTime(timeMs, call);
    call.keep();
    this.#act(action, keys, 0, id, slot);
    if (isEventTime === !this.#processingTime && timeMs === this.#entries.removalOf(slot)) {
      if (this.#removalOf(slot) <= timeMs) {
        this.#content.clear(keys, 0, id, slot);
        table.delete(slot);
        return;
      }
      this.#scheduleRemoval(keys, 0, id, slot);
    }
    table.touch(slot);
  }

  #checkTime(timeMs: number): void {
    if (timeMs >= -Number.MAX_SAFE_INTEGER && timeMs <= Number.MAX_SAFE_INTEGER) return;
    throw new MillraceError(
      "ROW_WITHOUT_TIME",
      `window "${this.#context.uid}"`,
      "a row has no event time",
      "assign timestamps and watermarks before the window, or use processing time",
    );
  }
}
