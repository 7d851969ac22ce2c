// The aggregate of a DataFrame query: groups whose results go out by the output mode, once per trigger and not once per row.
import { Batch } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { Schema } from "../../core/schema/schema.ts";
import { type AggregateSet, type BoundAggregates, columnsOf } from "../aggregate/aggregate-set.ts";
import type { AggregateCalls } from "../aggregate/call.ts";
import { countSpec } from "../aggregate/count.ts";
import { resolveAggregates } from "../aggregate/resolve.ts";
import { Progress } from "../window/progress.ts";
import { ChangedGroups } from "./changed-groups.ts";
import { completeUpTo, type GroupLife, namespaceOf } from "./group-life.ts";
import { FrameOutput, frameSchema } from "./frame-output.ts";

/**
 * `append`: a group's result goes out once, when the watermark says that it is complete, and the group is forgotten.
 * `update`: at each trigger the results of the groups that changed; complete groups are forgotten.
 * `complete`: at each trigger the results of all groups; none is ever forgotten, and no row is late.
 */
export type OutputMode = "append" | "update" | "complete";

export interface FrameAggregateParams {
  /** The key's fields, the bound (`frameBound`), and what the aggregates read. With `partial`: of before the partial aggregation. */
  readonly input: Schema;
  /** The fields of the grouping besides the one that bounds a group's life; without any, a window's rows are one group. */
  readonly key: readonly string[];
  readonly life: GroupLife;
  readonly calls: AggregateCalls;
  readonly mode: OutputMode;
  /** The input holds accumulators: `framePartialSchema`. */
  readonly partial?: boolean;
}

/** The field of the input that holds a window's start or a group's instant, ms. */
export const frameBound = "bound$";

export interface ResolvedFrameAggregate {
  readonly set: AggregateSet;
  readonly key: KeyLayout;
  /** The rows that the operator takes. */
  readonly input: Schema;
  readonly output: Schema;
  readonly bound: number;
  /** The first column of the accumulators in partial rows. */
  readonly firstAccumulator: number;
}

/** The schemas of an aggregate. Throws what `resolveAggregates` and `keyLayout` throw. */
export function resolveFrameAggregate(params: FrameAggregateParams): ResolvedFrameAggregate {
  const set = resolveAggregates(params.input, params.calls);
  const keySchema = params.input.pick(params.key);
  const partial = new Schema({ ...keySchema.spec, [frameBound]: countSpec, ...set.accumulators.spec });
  const input = params.partial === true ? partial : params.input;
  const key = keyLayout(input, params.key);
  return {
    set,
    key,
    input,
    output: frameSchema(params.life, key, set),
    bound: input.field(frameBound).index,
    firstAccumulator: params.key.length + 1,
  };
}

/** Throws what `resolveFrameAggregate` throws, at once. */
export function frameAggregate(params: FrameAggregateParams): OperatorFactory {
  resolveFrameAggregate(params);
  return (context) => new FrameAggregate(context, params);
}

class FrameAggregate implements Operator {
  readonly #context: OperatorContext;
  readonly #params: FrameAggregateParams;
  readonly #resolved: ResolvedFrameAggregate;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #bound: BoundAggregates;
  readonly #output: FrameOutput;
  readonly #progress: Progress;
  readonly #changed: ChangedGroups;
  #namespaces: Float64Array = new Float64Array(1024);
  #selection: Int32Array = new Int32Array(1024);
  #slots: Int32Array = new Int32Array(1024);

  constructor(context: OperatorContext, params: FrameAggregateParams) {
    const resolved = resolveFrameAggregate(params);
    this.#context = context;
    this.#params = params;
    this.#resolved = resolved;
    this.#reader = new KeyReader(resolved.key);
    this.#table = context.keyed.table({ name: "groups", key: resolved.key, value: resolved.set.stateSchema() });
    this.#bound = resolved.set.bind(this.#table.columns);
    this.#output = new FrameOutput(resolved.output, params.life, resolved.key, context.output());
    this.#progress = new Progress(context);
    this.#changed = new ChangedGroups(resolved.key);
  }

  process(batch: Batch): void {
    const count = this.#sort(batch);
    if (count === 0) return;
    const { rows } = batch;
    const selection = this.#selection;
    const accepted = count === batch.count ? batch : new Batch(rows, selection, count);
    const keys = this.#reader.read(accepted);
    if (this.#slots.length < count) this.#slots = new Int32Array(count * 2);
    const slots = this.#slots;
    const created = this.#table.findAll(keys, this.#namespaces, slots, true);
    this.#bound.init(this.#table.created, created);
    if (this.#params.partial === true) {
      const { set, firstAccumulator } = this.#resolved;
      this.#bound.merge(set.bind(columnsOf(rows), firstAccumulator), accepted.selection, slots, count);
    } else this.#bound.update(slots, accepted);
    this.#table.touchAll(slots, count);
    if (this.#params.mode === "update") this.#changed.note(batch, accepted.selection, count, this.#namespaces);
  }

  // Fills selection and namespaces with the rows whose groups are not complete yet, and returns how many there are.
  #sort(batch: Batch): number {
    const { rows, selection, count } = batch;
    const { life, mode } = this.#params;
    if (this.#selection.length < count) {
      this.#selection = new Int32Array(count * 2);
      this.#namespaces = new Float64Array(count * 2);
    }
    const bounds = rows.column(this.#resolved.bound);
    const takesAll = mode === "complete" || life.kind === "always";
    const even = !this.#progress.uneven;
    const keys = takesAll || even ? undefined : this.#reader.read(batch);
    const reached = completeUpTo(life, this.#progress.reachedMs);
    let accepted = 0;
    let late = 0;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const namespace = namespaceOf(life, bounds.numbers[row] as number);
      if (!takesAll) {
        const limit = keys === undefined ? reached : completeUpTo(life, this.#progress.of(keys.hashes[k] as number));
        if (namespace <= limit) {
          late++;
          continue;
        }
      }
      this.#selection[accepted] = row;
      this.#namespaces[accepted] = namespace;
      accepted++;
    }
    if (late > 0) this.#context.metrics.count("late_records_dropped", late);
    return accepted;
  }

  /** The trigger: results of `update` and `complete` go out. */
  prepareSnapshot(): void {
    this.#emitChanged();
    if (this.#params.mode === "complete") {
      this.#table.visitAll((slots, count) => this.#output.emit(this.#table, this.#bound, slots, count));
    }
    this.#output.flush();
  }

  onWatermark(timeMs: number): void {
    const { mode, life } = this.#params;
    // What changed is shown before it is forgotten.
    this.#emitChanged();
    this.#progress.advance(timeMs);
    if (mode === "complete") return this.#output.flush();
    // After a restore key groups may have come further than this: their groups are gone already, so nothing goes out twice.
    for (const namespace of this.#table.namespaces(completeUpTo(life, timeMs))) {
      this.#table.visitNamespace(namespace, (slots, count) => {
        if (mode === "append") this.#output.emit(this.#table, this.#bound, slots, count);
        for (let k = 0; k < count; k++) this.#table.delete(slots[k] as number);
      });
    }
    this.#output.flush();
  }

  #emitChanged(): void {
    if (this.#params.mode !== "update") return;
    const { slots, count } = this.#changed.take(this.#table);
    this.#output.emit(this.#table, this.#bound, slots, count);
    this.#output.flush();
  }
}
