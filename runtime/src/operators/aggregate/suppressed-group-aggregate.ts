// Running aggregates whose changes wait: a key's changes go out as one, a time limit after the first of them.
import type { Batch } from "../../core/batch/batch.ts";
import { noTime, Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { isMissing, present } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, Timers, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { type AggregateSet, type BoundAggregates, columnsOf } from "./aggregate-set.ts";
import { Changes } from "./changes.ts";
import { GroupOutput } from "./group-output.ts";
import { partialLayout } from "./partial-rows.ts";

/** How long the changes of a key wait. */
export interface Suppression {
  readonly limitMs: number;
  /** `event`: until event time or the clock has gone so far, whichever is first, so that an idle input keeps nothing back; or the clock alone. */
  readonly time: "event" | "processing";
}

export interface SuppressedGroupParams {
  readonly input: Schema;
  readonly key: KeyLayout;
  readonly set: AggregateSet;
  readonly output: Schema;
  readonly suppress: Suppression;
  readonly updateBefore: boolean;
  readonly ttl: TimeToLive | undefined;
  /** The input is what a local aggregate gives. */
  readonly partial: boolean;
}

// What of a group was given out.
const given = { nothing: 0, kept: 1, result: 2 } as const;
const numberSpec = (value: number): FieldSpec => ({
  type: { kind: "float64" },
  nullable: false,
  optional: false,
  aliases: [],
  default: value,
});
const ownFields: RowSpec = {
  // State from before changes waited: what was given out is the result as it stands.
  given$: numberSpec(given.result),
  pending$: numberSpec(0),
  eventDue$: numberSpec(0),
  clockDue$: numberSpec(0),
  lastRow$: numberSpec(0),
};

export class SuppressedGroupAggregate implements Operator {
  readonly #context: OperatorContext;
  readonly #set: AggregateSet;
  readonly #suppress: Suppression;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #eventTimers: Timers;
  readonly #clockTimers: Timers;
  readonly #bound: BoundAggregates;
  readonly #kept: readonly Column[];
  readonly #given: Column;
  readonly #pending: Column;
  readonly #eventDue: Column;
  readonly #clockDue: Column;
  readonly #lastRow: Column;
  readonly #changes: Changes;
  readonly #output: GroupOutput;
  readonly #partialFirst: number | null;
  readonly #one = new Int32Array(1);
  readonly #first = new Int32Array(1);
  readonly #existed = new Uint8Array(1);
  readonly #before: Rows;
  readonly #timed: Rows;
  #slots: Int32Array = new Int32Array(1024);
  /** How far event time has come for those who follow. */
  #reachedMs = noTime;

  constructor(context: OperatorContext, params: SuppressedGroupParams) {
    const { set, output } = params;
    const partial = params.partial ? partialLayout(params.key, set) : null;
    const key = partial?.key ?? params.key;
    this.#context = context;
    this.#set = set;
    this.#suppress = params.suppress;
    this.#partialFirst = partial?.accumulators ?? null;
    this.#reader = new KeyReader(key);
    const kept: Record<string, FieldSpec> = {};
    // Missing until something is given out.
    for (const { name, spec } of set.results.fields) kept[`${name}$$`] = { ...spec, optional: true };
    this.#table = context.keyed.table({
      name: "groups",
      key,
      value: set.stateSchema({ ...kept, ...ownFields }),
      shown: { schema: set.results, show: (slots, count, rows) => this.#bound.results(slots, count, rows, 0, 0) },
      ...(params.ttl === undefined ? {} : { ttl: params.ttl }),
    });
    const { columns } = this.#table;
    const first = set.accumulators.fields.length;
    const own = first + set.results.fields.length;
    this.#bound = set.bind(columns);
    this.#kept = columns.slice(first, own);
    [this.#given, this.#pending, this.#eventDue, this.#clockDue, this.#lastRow] = columns.slice(own) as [
      Column,
      Column,
      Column,
      Column,
      Column,
    ];
    this.#eventTimers = context.keyed.timers("event-limits", key, "event");
    this.#clockTimers = context.keyed.timers("clock-limits", key, "processing");
    this.#changes = new Changes(set.retracting);
    this.#output = new GroupOutput(output, this.#table, key.schema.fields.length, params.updateBefore, context.output());
    this.#before = new Rows(set.results, 1);
    this.#timed = new Rows(params.input, 1);
  }

  process(batch: Batch): void {
    const { count, rows, selection } = batch;
    const table = this.#table;
    if (this.#slots.length < count) this.#slots = new Int32Array(count * 2);
    const slots = this.#slots;
    const keys = this.#reader.read(batch);
    this.#create(table.created, table.findAll(keys, null, slots, true));
    for (let k = 0; k < count; k++) {
      const timeMs = rows.times[selection[k] as number] as number;
      const slot = slots[k] as number;
      if (this.#pending.numbers[slot] === 0) this.#begin(keys, k, slot, timeMs);
      this.#lastRow.numbers[slot] = timeMs;
    }
    if (this.#partialFirst === null) this.#changes.apply(this.#bound, slots, batch);
    else this.#bound.merge(this.#set.bind(columnsOf(rows), this.#partialFirst), selection, slots, count);
    // A group that was empty begins anew: nothing of what its accumulators went through may show.
    if (this.#set.retracting)
      for (let k = 0; k < count; k++) if (this.#bound.rowCount(slots[k] as number) === 0) this.#init(slots[k] as number);
    table.touchAll(slots, count);
  }

  #create(slots: Int32Array, count: number): void {
    this.#bound.init(slots, count);
    for (let c = 0; c < count; c++) {
      const slot = slots[c] as number;
      for (const column of this.#kept) column.setAbsent(slot, isMissing);
      this.#given.numbers[slot] = given.nothing;
      this.#pending.numbers[slot] = 0;
      this.#eventDue.numbers[slot] = 0;
      this.#clockDue.numbers[slot] = 0;
    }
  }

  #init(slot: number): void {
    this.#one[0] = slot;
    this.#bound.init(this.#one, 1);
  }

  // The first change since the last that went out.
  #begin(keys: KeyBatch, k: number, slot: number, timeMs: number): void {
    const { limitMs, time } = this.#suppress;
    if (this.#given.numbers[slot] === given.result) this.#keep(slot, this.#bound.rowCount(slot) > 0);
    this.#pending.numbers[slot] = 1;
    const clockDueMs = this.#context.clock.now() + limitMs;
    this.#clockDue.numbers[slot] = clockDueMs;
    this.#clockTimers.register(keys, k, 0, clockDueMs);
    if (time === "processing" || timeMs === noTime) {
      this.#eventDue.numbers[slot] = endOfTime;
      return;
    }
    // A late row's change waits as long as any other.
    const eventDueMs = Math.max(timeMs, this.#reached()) + limitMs;
    this.#eventDue.numbers[slot] = eventDueMs;
    this.#eventTimers.register(keys, k, 0, eventDueMs);
  }

  // The end of time is where a drained input leads; rows that come out then still have a time of their own.
  #reached(): number {
    const nowMs = this.#context.watermarkMs();
    return nowMs < endOfTime ? Math.max(nowMs, this.#reachedMs) : this.#reachedMs;
  }

  #keep(slot: number, exists: boolean): void {
    this.#given.numbers[slot] = exists ? given.kept : given.nothing;
    if (!exists) return;
    this.#one[0] = slot;
    // Results are written where no older one may show through.
    for (const column of this.#kept) if (column.nulls !== null) column.nulls[slot] = present;
    this.#bound.resultsInto(this.#one, 1, this.#kept, slot);
  }

  onWatermark(timeMs: number): void {
    this.#eventTimers.fire(timeMs, (keys, _namespace, dueMs) => {
      const slot = this.#due(keys, this.#eventDue, dueMs);
      if (slot < 0) return;
      this.#clockTimers.delete(keys, 0, 0, this.#clockDue.numbers[slot] as number);
      // Whoever follows has not seen this time yet, so the change is late for nobody.
      this.#give(slot, dueMs);
    });
    // No row follows the end of the input.
    if (timeMs >= endOfTime) this.#fireClock(Infinity);
    else this.#reachedMs = timeMs;
    this.#output.flush();
  }

  onProcessingTime(nowMs: number): void {
    this.#fireClock(nowMs);
    this.#output.flush();
  }

  #fireClock(untilMs: number): void {
    this.#clockTimers.fire(untilMs, (keys, _namespace, dueMs) => {
      const slot = this.#due(keys, this.#clockDue, dueMs);
      if (slot < 0) return;
      const eventDueMs = this.#eventDue.numbers[slot] as number;
      if (eventDueMs !== endOfTime) this.#eventTimers.delete(keys, 0, 0, eventDueMs);
      this.#give(slot, this.#reached() + 1);
    });
  }

  nextWakeMs(): number {
    return this.#clockTimers.nextMs();
  }

  // The group whose changes a timer is for; -1 where they are gone, as by the end of the group's life.
  #due(keys: KeyBatch, column: Column, dueMs: number): number {
    const slot = this.#table.find(keys, 0, 0, false);
    return slot >= 0 && this.#pending.numbers[slot] === 1 && column.numbers[slot] === dueMs ? slot : -1;
  }

  /** What was given out is replaced by what is, at the time of the last row, or the earliest that is not late. */
  #give(slot: number, earliestMs: number): void {
    const lastMs = this.#lastRow.numbers[slot] as number;
    this.#timed.times[0] = lastMs === noTime ? noTime : Math.max(lastMs, earliestMs);
    const had = this.#given.numbers[slot] === given.kept;
    this.#existed[0] = had ? 1 : 0;
    const before = this.#before;
    before.reset();
    before.ready.fill(1);
    if (had) for (let f = 0; f < this.#kept.length; f++) copyValue(this.#kept[f] as Column, slot, before.columns[f] as Column, 0);
    this.#one[0] = slot;
    this.#output.emit(this.#bound, this.#one, 1, before, this.#existed, this.#timed, this.#first);
    this.#pending.numbers[slot] = 0;
    // A count below zero is kept: the rows that are taken back are still to come.
    if (this.#bound.rowCount(slot) === 0) {
      this.#table.delete(slot);
      return;
    }
    this.#keep(slot, this.#bound.rowCount(slot) > 0);
    this.#table.touch(slot);
  }
}
