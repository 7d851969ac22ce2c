// Windows that keep aggregates of their rows.
import { type Batch, rowKind, type RowKind } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { copyValue } from "../../core/batch/copy.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import type { AggregateSet, BoundAggregates } from "../aggregate/aggregate-set.ts";
import { Changes } from "../aggregate/changes.ts";
import type { WindowContent } from "./keyed-window.ts";
import type { WindowEntries } from "./window-entries.ts";
import { WindowOutput } from "./window-output.ts";
import { type FiringMode, firingMode, resolveWindowAggregate, type WindowAggregateParams } from "./window-params.ts";
import { hasBounds } from "./window-spec.ts";

export class AggregateContent implements WindowContent {
  readonly schema: Schema;
  readonly #set: AggregateSet;
  readonly #mode: FiringMode;
  readonly #output: WindowOutput;
  readonly #changes: Changes;
  readonly #context: OperatorContext;
  readonly #eventTime: boolean;
  readonly #bounded: boolean;
  /** Where the result that stands is kept in an entry, so that it can be taken back. */
  readonly #keepsResult: boolean;
  readonly #one = new Int32Array(1);
  readonly #other = new Int32Array(1);
  #bound: BoundAggregates | undefined;
  #emitted: readonly Column[] = [];
  #entries: WindowEntries | undefined;

  constructor(context: OperatorContext, params: WindowAggregateParams) {
    const { set, output } = resolveWindowAggregate(params);
    this.#context = context;
    this.#set = set;
    this.#mode = firingMode(params);
    this.#keepsResult = this.#mode === "changelog" || (this.#mode === "upsert" && params.window.kind === "session");
    this.#eventTime = params.time !== "processing";
    this.#bounded = hasBounds(params.window);
    this.#output = new WindowOutput(output, params.key, this.#bounded, context.output());
    this.#changes = new Changes(set.retracting);
    const emitted: Record<string, FieldSpec> = {};
    // Empty until the window first fires.
    if (this.#keepsResult) for (const { name, spec } of set.results.fields) emitted[`${name}$$`] = { ...spec, optional: true };
    this.schema = new Schema({ ...set.accumulators.spec, ...emitted });
  }

  attach(entries: WindowEntries): void {
    this.#entries = entries;
    const { columns } = entries.table;
    this.#bound = this.#set.bind(columns);
    const first = this.#set.accumulators.fields.length;
    this.#emitted = columns.slice(first, this.schema.fields.length);
  }

  #aggregates(): BoundAggregates {
    return this.#bound as BoundAggregates;
  }

  init(slot: number): void {
    this.#one[0] = slot;
    this.#aggregates().init(this.#one, 1);
    for (const column of this.#emitted) column.setAbsent(slot, 2);
  }

  add(_keys: KeyBatch, _k: number, _id: number, slot: number, batch: Batch): void {
    this.#one[0] = slot;
    this.#changes.apply(this.#aggregates(), this.#one, batch);
  }

  merge(_keys: KeyBatch, _k: number, _id: number, slot: number, _otherId: number, otherSlot: number): void {
    this.#one[0] = slot;
    this.#other[0] = otherSlot;
    this.#aggregates().merge(this.#aggregates(), this.#other, this.#one, 1);
  }

  clear(_keys: KeyBatch, _k: number, _id: number, slot: number): void {
    this.#one[0] = slot;
    this.#aggregates().init(this.#one, 1);
  }

  fire(_keys: KeyBatch, _k: number, _id: number, slot: number): void {
    const entries = this.#entries as WindowEntries;
    const fired = entries.hasFired(slot);
    if (this.#aggregates().rowCount(slot) <= 0) {
      if (fired) this.withdraw(slot);
      entries.setFired(slot, false);
      return;
    }
    if (this.#mode === "append") this.#emit(slot, rowKind.insert);
    else {
      if (fired && this.#mode === "changelog") this.#emitKept(slot, rowKind.updateBefore);
      this.#emit(slot, fired ? rowKind.updateAfter : rowKind.insert);
    }
    entries.setFired(slot, true);
    if (!this.#keepsResult) return;
    this.#one[0] = slot;
    // Results are written where no older one may show through.
    for (const column of this.#emitted) if (column.nulls !== null) column.nulls[slot] = 0;
    this.#aggregates().resultsInto(this.#one, 1, this.#emitted, slot);
  }

  withdraw(slot: number): void {
    if (this.#mode === "append") return;
    if (this.#keepsResult) this.#emitKept(slot, rowKind.delete);
    else this.#emit(slot, rowKind.delete);
  }

  #window(slot: number): { readonly startMs: number; readonly endMs: number; readonly timeMs: number } {
    const entries = this.#entries as WindowEntries;
    const startMs = entries.startOf(slot);
    const endMs = entries.endOf(slot);
    if (this.#bounded) return { startMs, endMs, timeMs: endMs - 1 };
    return { startMs, endMs, timeMs: this.#eventTime ? entries.latestOf(slot) : this.#context.clock.now() };
  }

  #emit(slot: number, kind: RowKind): void {
    const { table } = this.#entries as WindowEntries;
    this.#output.emitOne(table, slot, this.#aggregates(), slot, this.#window(slot), kind);
  }

  #emitKept(slot: number, kind: RowKind): void {
    const { table } = this.#entries as WindowEntries;
    this.#output.emitWith(table, slot, this.#window(slot), kind, (rows, row, first) => {
      for (let f = 0; f < this.#emitted.length; f++) copyValue(this.#emitted[f] as Column, slot, rows.columns[first + f] as Column, row);
    });
  }

  flush(): void {
    this.#output.flush();
  }
}
