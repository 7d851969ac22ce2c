// Aggregates rows before the exchange, so that one row per (key, pane) crosses it instead of all of them.
import type { Batch } from "../../core/batch/batch.ts";
import { copyValue } from "../../core/batch/copy.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { Column } from "../../core/batch/column.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { AccumulatorBuffer, type AggregateSet } from "../aggregate/aggregate-set.ts";
import type { AggregateCalls } from "../aggregate/call.ts";
import { Changes } from "../aggregate/changes.ts";
import { resolveAggregates } from "../aggregate/resolve.ts";
import { KeyIndex } from "./key-index.ts";
import { type Panes, panesOf } from "./panes.ts";
import { partialLayout, type PartialLayout } from "../aggregate/partial-rows.ts";
import type { AlignedWindow } from "./window-spec.ts";

export interface LocalAggregateParams {
  readonly input: Schema;
  readonly key: KeyLayout;
  readonly calls: AggregateCalls;
  readonly retracting?: boolean;
  /** The windows behind the exchange; undefined for a group aggregate. Event time only. */
  readonly window?: AlignedWindow;
  /**
   * Results go out at the end of every batch (`batch`, the default), or are held until a watermark, a barrier or `entriesMax`
   * (`watermark`): fewer rows for more delay.
   */
  readonly flush?: "batch" | "watermark";
  /** How many (key, pane) pairs are held at most. Default 65,536. */
  readonly entriesMax?: number;
}

const defaultEntriesMax = 65_536;

/** The rows that a local aggregate gives. */
export function localAggregateSchema(params: LocalAggregateParams): Schema {
  return partialLayout(params.key, resolveAggregates(params.input, params.calls, { retracting: params.retracting ?? false })).schema;
}

/** A factory of local aggregates: in front of a window or group aggregate with `partial: true`. It has no state of its own. */
export function localAggregate(params: LocalAggregateParams): OperatorFactory {
  const set = resolveAggregates(params.input, params.calls, { retracting: params.retracting ?? false });
  return (context) => new LocalAggregate(context, params, set);
}

class LocalAggregate implements Operator {
  readonly #reader: KeyReader;
  readonly #index: KeyIndex;
  readonly #buffer: AccumulatorBuffer;
  readonly #changes: Changes;
  readonly #panes: Panes | null;
  readonly #builder: RowsBuilder;
  readonly #layout: PartialLayout;
  readonly #keyTargets: readonly number[];
  readonly #entriesMax: number;
  readonly #holds: boolean;
  /** The latest time of each entry's rows. */
  #times: Float64Array = new Float64Array(1024);
  #namespaces: Float64Array = new Float64Array(1024);
  #slots: Int32Array = new Int32Array(1024);

  constructor(context: OperatorContext, params: LocalAggregateParams, set: AggregateSet) {
    this.#reader = new KeyReader(params.key);
    this.#index = new KeyIndex(params.key);
    this.#buffer = new AccumulatorBuffer(set);
    this.#changes = new Changes(set.retracting);
    this.#panes = params.window === undefined ? null : panesOf(params.window);
    this.#layout = partialLayout(params.key, set);
    this.#keyTargets = this.#layout.key.fieldIndexes;
    this.#builder = new RowsBuilder(this.#layout.schema, context.output());
    this.#entriesMax = params.entriesMax ?? defaultEntriesMax;
    this.#holds = params.flush === "watermark";
  }

  process(batch: Batch): void {
    const { count } = batch;
    const keys = this.#reader.read(batch);
    this.#ensure(count);
    this.#assign(batch);
    const created = this.#index.findAll(keys, this.#namespaces, this.#slots);
    this.#buffer.ensure(this.#index.count);
    this.#buffer.bound.init(this.#index.created, created);
    this.#noteTimes(batch, created);
    this.#changes.apply(this.#buffer.bound, this.#slots, batch);
    if (!this.#holds || this.#index.count >= this.#entriesMax) this.#flush();
  }

  #assign({ rows, selection, count }: Batch): void {
    const panes = this.#panes;
    if (panes === null) {
      this.#namespaces.fill(0, 0, count);
      return;
    }
    const { times } = rows;
    let start = Number.NaN;
    let end = Number.NaN;
    for (let k = 0; k < count; k++) {
      const timeMs = times[selection[k] as number] as number;
      if (!(timeMs >= start && timeMs < end)) {
        panes.locate(timeMs);
        ({ start, end } = panes);
      }
      this.#namespaces[k] = start;
    }
  }

  #noteTimes({ rows, selection, count }: Batch, created: number): void {
    const times = this.#times;
    for (let k = 0; k < created; k++) times[this.#index.created[k] as number] = -Infinity;
    for (let k = 0; k < count; k++) {
      const slot = this.#slots[k] as number;
      const timeMs = rows.times[selection[k] as number] as number;
      if (timeMs > (times[slot] as number)) times[slot] = timeMs;
    }
  }

  #ensure(count: number): void {
    if (this.#slots.length < count) {
      this.#slots = new Int32Array(count * 2);
      this.#namespaces = new Float64Array(count * 2);
    }
    if (this.#times.length < this.#index.count + count) {
      const grown = new Float64Array((this.#index.count + count) * 2);
      grown.set(this.#times);
      this.#times = grown;
    }
  }

  // Time goes no further before the rows that it closes windows over are out.
  onWatermark(): void {
    this.#flush();
  }

  prepareSnapshot(): void {
    this.#flush();
  }

  end(): void {
    this.#flush();
  }

  #flush(): void {
    const builder = this.#builder;
    const { columns } = this.#buffer;
    const { rows } = builder;
    const { pane, accumulators } = this.#layout;
    for (let entry = 0; entry < this.#index.count; entry++) {
      const row = builder.next(this.#times[entry] as number);
      this.#index.copyKey(entry, rows, row, this.#keyTargets);
      (rows.columns[pane] as Column).numbers[row] = this.#index.namespaceOf(entry);
      for (let f = 0; f < columns.length; f++) copyValue(columns[f] as Column, entry, rows.columns[accumulators + f] as Column, row);
      builder.flushIfFull();
    }
    builder.flush();
    this.#index.reset();
    this.#buffer.reset();
  }
}
