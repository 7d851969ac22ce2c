// The open windows of each key in keyed state: one entry per window, with its bounds, its trigger's state and whatever its content needs.
import { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { any, boolean, float64 } from "../../core/schema/field.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { isNull } from "../../core/batch/column.ts";

const entryFields = {
  // Zeros in a new entry, so that it is told apart from one that is there.
  open$: boolean(),
  start$: float64(),
  end$: float64(),
  /** The time of the timer that removes the window, or looks again where the window grew since. */
  remove$: float64(),
  /** True once the window has given a result that stands. */
  fired$: boolean(),
  /** The latest time of the window's rows. */
  latest$: float64(),
  trigger$: any().nullable(),
};

/** Entries are addressed by (key, id): a window's end, 0 for the global window, and for a session a number of its own. */
export class WindowEntries {
  readonly table: KeyedMultiTable;
  readonly eventTimers: Timers;
  readonly processingTimers: Timers;
  readonly #first: number;

  /** `content` are the fields that a window's content needs; they are the table's first columns. */
  constructor(context: OperatorContext, key: KeyLayout, content: Schema) {
    const spec: Record<string, FieldSpec> = { ...content.spec };
    for (const [name, field] of Object.entries(entryFields)) spec[name] = field.spec;
    this.#first = content.fields.length;
    this.table = context.keyed.multiTable({ name: "windows", key, value: new Schema(spec), subKey: "number" });
    this.eventTimers = context.keyed.timers("event-timers", key, "event");
    this.processingTimers = context.keyed.timers("processing-timers", key, "processing");
  }

  #column(index: number): Column {
    return this.table.columns[this.#first + index] as Column;
  }

  #number(index: number, slot: number): number {
    return this.#column(index).numbers[slot] as number;
  }

  #setNumber(index: number, slot: number, value: number): void {
    this.#column(index).numbers[slot] = value;
  }

  /** Finds or makes the entry of a window; `isNew` tells which. */
  locate(keys: KeyBatch, k: number, id: number): number {
    return this.table.upsert(keys, k, 0, id);
  }

  isNew(slot: number): boolean {
    return this.#number(0, slot) === 0;
  }

  open(slot: number, startMs: number, endMs: number): void {
    this.#setNumber(0, slot, 1);
    this.setBounds(slot, startMs, endMs);
    this.#setNumber(3, slot, Infinity);
    this.#setNumber(4, slot, 0);
    this.#setNumber(5, slot, -Infinity);
    this.setTriggerState(slot, null);
  }

  startOf(slot: number): number {
    return this.#number(1, slot);
  }

  endOf(slot: number): number {
    return this.#number(2, slot);
  }

  setBounds(slot: number, startMs: number, endMs: number): void {
    this.#setNumber(1, slot, startMs);
    this.#setNumber(2, slot, endMs);
  }

  removalOf(slot: number): number {
    return this.#number(3, slot);
  }

  setRemoval(slot: number, timeMs: number): void {
    this.#setNumber(3, slot, timeMs);
  }

  hasFired(slot: number): boolean {
    return this.#number(4, slot) === 1;
  }

  setFired(slot: number, fired: boolean): void {
    this.#setNumber(4, slot, fired ? 1 : 0);
  }

  latestOf(slot: number): number {
    return this.#number(5, slot);
  }

  noteTime(slot: number, timeMs: number): void {
    if (timeMs > this.latestOf(slot)) this.#setNumber(5, slot, timeMs);
  }

  triggerState(slot: number): unknown {
    return this.#column(6).objects[slot] ?? null;
  }

  setTriggerState(slot: number, state: unknown): void {
    const column = this.#column(6);
    column.objects[slot] = state;
    if (state === null || state === undefined) column.setAbsent(slot, isNull);
    else if (column.nulls !== null) column.nulls[slot] = 0;
  }
}

/** A batch of one row, for contents that take batches. */
export class OneRow {
  readonly batch: Batch;
  readonly #selection = new Int32Array(1);

  constructor(batch: Batch) {
    this.batch = new Batch(batch.rows, this.#selection, 1);
  }

  at(batch: Batch, row: number): Batch {
    this.#selection[0] = row;
    return this.batch.set(batch.rows, this.#selection, 1);
  }
}
