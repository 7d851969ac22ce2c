// Running aggregates per key without windows: every batch changes the results of its keys, and the changes go out as a changelog.
import { MillraceError } from "../../base/errors.ts";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { type AggregateSet, type BoundAggregates, columnsOf } from "./aggregate-set.ts";
import type { AggregateCalls } from "./call.ts";
import { Changes } from "./changes.ts";
import { GroupOutput } from "./group-output.ts";
import { resolveAggregates } from "./resolve.ts";
import { partialLayout } from "./partial-rows.ts";
import { resultSchema } from "./result-schema.ts";
import { SuppressedGroupAggregate, type Suppression } from "./suppressed-group-aggregate.ts";

export interface GroupAggregateParams {
  readonly input: Schema;
  /** The key of the input; without fields all rows are one group, on one instance. */
  readonly key: KeyLayout;
  readonly calls: AggregateCalls;
  /** The input takes rows back. A group whose rows are all taken back is deleted. */
  readonly retracting?: boolean;
  /** Each change comes with the row that it replaces (update-before). Default true; without it the output is an upsert stream. */
  readonly updateBefore?: boolean;
  /** One change per key and batch (`batch`, the default), or one per input row. */
  readonly emit?: "batch" | "row";
  readonly ttl?: TimeToLive;
  /** The input is what a local aggregate of the same parameters gives. */
  readonly partial?: boolean;
  /** Changes of a key wait, and go out as one. Default: they go out with each batch. */
  readonly suppress?: Suppression;
}

/** The aggregates and the rows of a group aggregate: the key's fields, then the results. */
export function resolveGroupAggregate(params: GroupAggregateParams): { readonly set: AggregateSet; readonly output: Schema } {
  const set = resolveAggregates(params.input, params.calls, { retracting: params.retracting ?? false });
  return { set, output: resultSchema(params.key, null, set.results) };
}

/** Throws what `resolveGroupAggregate` throws, and AGGREGATE_OPTION, at once. */
export function groupAggregate(params: GroupAggregateParams): OperatorFactory {
  const { set, output } = resolveGroupAggregate(params);
  const { input, key, suppress, updateBefore = true, partial = false, ttl } = params;
  if (suppress === undefined) return (context) => new GroupAggregate(context, params);
  checkSuppression(suppress, ttl);
  return (context) => new SuppressedGroupAggregate(context, { input, key, set, output, suppress, updateBefore, partial, ttl });
}

function checkSuppression({ limitMs }: Suppression, ttl: TimeToLive | undefined): void {
  const refuse = (problem: string, next: string): never => {
    throw new MillraceError("AGGREGATE_OPTION", "suppress", problem, next);
  };
  if (limitMs <= 0 || limitMs >= endOfTime)
    refuse("the limit is not a time that changes can wait", "give one such as 10 s, or leave suppress out");
  if (ttl !== undefined && ttl.ttlMs <= limitMs) {
    refuse("a group would be forgotten while its changes wait", "make ttl longer than the limit");
  }
}

class GroupAggregate implements Operator {
  readonly #set: AggregateSet;
  readonly #perRow: boolean;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #bound: BoundAggregates;
  readonly #changes: Changes;
  readonly #output: GroupOutput;
  readonly #before: Rows;
  readonly #partialFirst: number | null;
  readonly #one: Batch;
  readonly #oneRow = new Int32Array(1);
  #slots: Int32Array = new Int32Array(1024);
  /** The slots of the batch, each once, in order of appearance; and the last row of each. */
  #groups: Int32Array = new Int32Array(1024);
  #lastRows: Int32Array = new Int32Array(1024);
  #existed: Uint8Array = new Uint8Array(1024);
  /** Per slot, where it stands among the batch's groups, if that place holds it; else what an earlier batch left. */
  #position: Int32Array = new Int32Array(1024);

  constructor(context: OperatorContext, params: GroupAggregateParams) {
    const { set, output } = resolveGroupAggregate(params);
    const partial = params.partial === true ? partialLayout(params.key, set) : null;
    const key = partial?.key ?? params.key;
    this.#set = set;
    this.#perRow = params.emit === "row";
    this.#partialFirst = partial?.accumulators ?? null;
    this.#reader = new KeyReader(key);
    this.#table = context.keyed.table({
      name: "groups",
      key,
      value: set.stateSchema(),
      shown: { schema: set.results, show: (slots, count, rows) => this.#bound.results(slots, count, rows, 0, 0) },
      ...(params.ttl === undefined ? {} : { ttl: params.ttl }),
    });
    this.#bound = set.bind(this.#table.columns);
    this.#changes = new Changes(set.retracting);
    this.#output = new GroupOutput(output, this.#table, key.schema.fields.length, params.updateBefore ?? true, context.output());
    this.#before = new Rows(set.results, 1024);
    this.#one = new Batch(new Rows(params.input, 1));
  }

  process(batch: Batch): void {
    if (this.#perRow) {
      for (let k = 0; k < batch.count; k++) {
        this.#oneRow[0] = batch.selection[k] as number;
        this.#process(this.#one.set(batch.rows, this.#oneRow, 1));
      }
    } else this.#process(batch);
    this.#output.flush();
  }

  #process(batch: Batch): void {
    const { count } = batch;
    const table = this.#table;
    if (this.#slots.length < count) this.#grow(count);
    const created = table.findAll(this.#reader.read(batch), null, this.#slots, true);
    const groups = this.#collectGroups(batch, created);
    const before = this.#before;
    before.reset();
    before.ready.fill(1);
    before.ensure(groups);
    this.#bound.init(table.created, created);
    // New groups are empty here; what they would give is not looked at.
    this.#bound.results(this.#groups, groups, before, 0, 0);
    if (this.#set.retracting) {
      for (let g = 0; g < groups; g++) if (this.#bound.rowCount(this.#groups[g] as number) <= 0) this.#existed[g] = 0;
    }
    if (this.#partialFirst === null) this.#changes.apply(this.#bound, this.#slots, batch);
    else this.#bound.merge(this.#set.bind(columnsOf(batch.rows), this.#partialFirst), batch.selection, this.#slots, count);
    table.touchAll(this.#groups, groups);
    this.#output.emit(this.#bound, this.#groups, groups, before, this.#existed, batch.rows, this.#lastRows);
    if (this.#set.retracting) this.#deleteEmpty(groups);
  }

  // The groups that the batch changes, and which of them were there before.
  #collectGroups({ selection, count }: Batch, created: number): number {
    let groups = 0;
    for (let k = 0; k < count; k++) {
      const slot = this.#slots[k] as number;
      if (slot >= this.#position.length) this.#growSlots(slot + 1);
      let position = this.#position[slot] as number;
      if (position >= groups || this.#groups[position] !== slot) {
        position = groups++;
        this.#position[slot] = position;
        this.#existed[position] = 1;
        this.#groups[position] = slot;
      }
      this.#lastRows[position] = selection[k] as number;
    }
    for (let k = 0; k < created; k++) this.#existed[this.#position[this.#table.created[k] as number] as number] = 0;
    return groups;
  }

  #deleteEmpty(groups: number): void {
    for (let g = 0; g < groups; g++) {
      const slot = this.#groups[g] as number;
      // A count below zero is kept: the rows that are taken back are still to come.
      if (this.#bound.rowCount(slot) === 0) this.#table.delete(slot);
    }
  }

  #grow(count: number): void {
    this.#slots = new Int32Array(count * 2);
    this.#groups = new Int32Array(count * 2);
    this.#lastRows = new Int32Array(count * 2);
    this.#existed = new Uint8Array(count * 2);
  }

  #growSlots(count: number): void {
    const position = new Int32Array(Math.max(count, this.#position.length * 2));
    position.set(this.#position);
    this.#position = position;
  }
}
