// Windows that keep all their rows, for a function of the user's own over each window.
import { messageOf } from "../../base/errors.ts";
import { type Batch, isRetraction, Rows } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedMultiTable } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { Schema } from "../../core/schema/schema.ts";
import { RowIdentity } from "../rows/row-identity.ts";
import { Sequence } from "../rows/sequence.ts";
import { StoredRows, storedSchema } from "../rows/stored-rows.ts";
import { triggerOf } from "./builtin-triggers.ts";
import { type KeyedWindowParams, KeyedWindow, type WindowContent } from "./keyed-window.ts";
import type { WindowEntries } from "./window-entries.ts";
import { checkWindow } from "./window-spec.ts";

/** One firing of one window, as the user's function sees it. */
export interface FiredWindow<Key> {
  readonly key: Key;
  /** -Infinity and Infinity for the global window. */
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Called for every firing with all rows of the window, in order of arrival, as objects that may be kept. Rows that it emits have
 * the time just before the window's end unless it gives another. It runs synchronously.
 */
export type WindowFunction<Key, Row, Out> = (
  window: FiredWindow<Key>,
  rows: Iterable<Row>,
  emit: (row: Out, timeMs?: number) => void,
) => void;

/** A window function whose types the compiler has checked where it was given. */
export type AnyWindowFunction = (window: never, rows: never, emit: never) => void;

export interface WindowProcessParams extends KeyedWindowParams {
  /** The rows that the function emits. */
  readonly output: Schema;
  readonly process: AnyWindowFunction;
}

/** Throws WINDOW_INVALID or TRIGGER_INVALID at once. A function that fails makes a bad row with code FUNCTION_FAILED. */
export function windowProcess(params: WindowProcessParams): OperatorFactory {
  checkWindow(params.window);
  triggerOf(params.trigger ?? { kind: "eventTime" }, params.window.kind === "session");
  return (context) => new KeyedWindow(context, params, new RowsContent(context, params));
}

class RowsContent implements WindowContent {
  readonly schema: Schema = new Schema({});
  readonly #context: OperatorContext;
  readonly #params: WindowProcessParams;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #sequence: Sequence;
  readonly #builder: RowsBuilder;
  readonly #view: RowView;
  readonly #identity: RowIdentity;
  readonly #keyRows: Rows;
  readonly #keyView: RowView;
  readonly #keyTargets: readonly number[];
  #entries: WindowEntries | undefined;

  constructor(context: OperatorContext, params: WindowProcessParams) {
    this.#context = context;
    this.#params = params;
    const value = storedSchema(params.input, { time: float64() });
    this.#table = context.keyed.multiTable({ name: "rows", key: params.key, value, subKey: "number" });
    this.#stored = new StoredRows(params.input, this.#table);
    this.#sequence = new Sequence(context);
    this.#builder = new RowsBuilder(params.output, context.output());
    this.#view = rowView(params.input);
    this.#identity = new RowIdentity(params.input);
    this.#keyRows = new Rows(params.key.schema, 1);
    this.#keyView = rowView(params.key.schema);
    this.#keyTargets = params.key.schema.fields.map(({ index }) => index);
  }

  attach(entries: WindowEntries): void {
    this.#entries = entries;
  }

  init(): void {}

  add(keys: KeyBatch, k: number, id: number, _slot: number, batch: Batch): void {
    const row = batch.selection[0] as number;
    if (isRetraction(batch.rows.kindOf(row))) this.#remove(keys, k, id, batch.rows, row);
    else this.#store(keys, k, id, batch.rows, row, batch.rows.times[row] as number);
  }

  #store(keys: KeyBatch, k: number, id: number, rows: Rows, row: number, timeMs: number): void {
    const slot = this.#table.upsert(keys, k, id, this.#sequence.take());
    this.#stored.store(rows, row, slot);
    this.#stored.note(0).numbers[slot] = timeMs;
    this.#table.touch(slot);
  }

  // Takes the first equal row out.
  #remove(keys: KeyBatch, k: number, id: number, rows: Rows, row: number): void {
    this.#identity.look(rows, row);
    const { slots, count } = this.#table.entriesOf(keys, k, id);
    for (let i = 0; i < count; i++) {
      if (!this.#identity.matches(this.#stored.rows, slots[i] as number)) continue;
      this.#table.delete(slots[i] as number);
      return;
    }
  }

  // Rows get new numbers where they go, because a window's rows are told apart by them.
  merge(keys: KeyBatch, k: number, id: number, _slot: number, otherId: number): void {
    const { slots, count } = this.#table.entriesOf(keys, k, otherId);
    if (count === 0) return;
    const moved = new Rows(this.#params.input, count);
    moved.ready.fill(1);
    const copies = new StoredRows(this.#params.input, moved);
    for (let i = 0; i < count; i++) {
      copies.store(this.#stored.rows, slots[i] as number, i);
      moved.times[i] = this.#stored.note(0).numbers[slots[i] as number] as number;
    }
    this.#table.deleteAll(keys, k, otherId);
    for (let i = 0; i < count; i++) this.#store(keys, k, id, moved, i, moved.times[i] as number);
  }

  clear(keys: KeyBatch, k: number, id: number): void {
    this.#table.deleteAll(keys, k, id);
  }

  withdraw(): void {}

  fire(keys: KeyBatch, k: number, id: number, slot: number): void {
    const entries = this.#entries as WindowEntries;
    const { slots, count } = this.#table.entriesOf(keys, k, id);
    if (count === 0) return;
    const rows = this.#rowsAt(slots, count);
    const startMs = entries.startOf(slot);
    const endMs = entries.endOf(slot);
    const window = { key: this.#keyAt(slot), startMs, endMs };
    const timeMs = endMs === Infinity ? entries.latestOf(slot) : endMs - 1;
    try {
      (this.#params.process as unknown as WindowFunction<unknown, unknown, unknown>)(window, rows, (row, ownMs) =>
        this.#builder.append(row, ownMs ?? timeMs),
      );
    } catch (cause) {
      this.#context.badRow({ code: "FUNCTION_FAILED", reason: `the window function failed: ${messageOf(cause)}`, row: window, cause });
    }
    entries.setFired(slot, true);
  }

  #rowsAt(slots: Int32Array, count: number): readonly unknown[] {
    const rows: unknown[] = [];
    for (let i = 0; i < count; i++) {
      this.#view.point(this.#stored.rows, slots[i] as number);
      rows.push({ ...this.#view });
    }
    return rows;
  }

  #keyAt(slot: number): unknown {
    this.#keyRows.reset();
    this.#keyRows.ready.fill(1);
    (this.#entries as WindowEntries).table.copyKey(slot, this.#keyRows, 0, this.#keyTargets);
    this.#keyView.point(this.#keyRows, 0);
    return { ...this.#keyView };
  }

  flush(): void {
    this.#builder.flush();
  }
}
