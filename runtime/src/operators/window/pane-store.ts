// The panes of aligned windows in keyed state: one entry per (pane, key), merged into windows when they fire.
import { Batch, identitySelection, Rows } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { AccumulatorBuffer, type AggregateSet, type BoundAggregates } from "../aggregate/aggregate-set.ts";
import { KeyIndex } from "./key-index.ts";

const chunkRows = 1024;

/** What a visitor of a window gets: numbers of keys in `keys`, which are also the slots of `aggregates`. */
export type WindowVisitor = (keys: KeyedTable | KeyIndex, aggregates: BoundAggregates, slots: Int32Array, count: number) => void;
/** Tells which entries take part, by the hash of their keys; null for all. */
export type HashFilter = ((hash: number) => boolean) | null;

export class PaneStore {
  readonly table: KeyedTable;
  readonly bound: BoundAggregates;
  readonly #set: AggregateSet;
  readonly #layout: KeyLayout;
  #merge: PaneMerge | undefined;
  #chosen: Int32Array = new Int32Array(chunkRows);
  #namespaces: Float64Array = new Float64Array(chunkRows);
  #found: Int32Array = new Int32Array(chunkRows);
  #targets: Int32Array = new Int32Array(chunkRows);

  constructor(context: OperatorContext, layout: KeyLayout, set: AggregateSet) {
    this.#set = set;
    this.#layout = layout;
    this.table = context.keyed.table({
      name: "panes",
      key: layout,
      value: set.stateSchema(),
      shown: { schema: set.results, show: (slots, count, rows) => this.bound.results(slots, count, rows, 0, 0) },
    });
    this.bound = set.bind(this.table.columns);
  }

  /** Finds or makes the entries of keys under panes; slot k belongs to key k. */
  locate(keys: KeyBatch, panes: Float64Array, slots: Int32Array): void {
    const created = this.table.findAll(keys, panes, slots, true);
    this.bound.init(this.table.created, created);
  }

  /** Shows every key of a window with its result, and deletes the panes for which `drop` is true. `panes` are the window's own. */
  visitWindow(panes: readonly number[], filter: HashFilter, drop: (paneMs: number) => boolean, visitor: WindowVisitor): void {
    const only = panes.length === 1 ? panes[0] : undefined;
    if (only !== undefined) {
      const dropped = drop(only);
      this.table.visitNamespace(only, (slots, count) => {
        const chosen = this.#withRows(this.bound, this.#chosen, this.#choose(slots, count, filter));
        if (chosen > 0) visitor(this.table, this.bound, this.#chosen, chosen);
        if (dropped) this.#delete(slots, count);
      });
      return;
    }
    this.#merge ??= new PaneMerge(this.#layout, this.#set);
    const merge = this.#merge;
    for (const pane of panes) {
      const dropped = drop(pane);
      this.table.visitNamespace(pane, (slots, count) => {
        const chosen = this.#choose(slots, count, filter);
        if (chosen > 0) merge.add(this.table, this.bound, this.#chosen, chosen);
        if (dropped) this.#delete(slots, count);
      });
    }
    merge.visit((slots, count) => {
      const chosen = this.#withRows(merge.buffer.bound, slots, count);
      if (chosen > 0) visitor(merge.index, merge.buffer.bound, this.#chosen, chosen);
    });
    merge.reset();
  }

  /**
   * Merges the panes of a window for some keys: entry k of the returned buffer is key k's. `present[k]` is 1 where the key has
   * rows in the window.
   */
  evaluate(keys: KeyBatch, panes: readonly number[], buffer: AccumulatorBuffer): Uint8Array {
    const { count } = keys;
    this.#ensure(count);
    const present = new Uint8Array(count);
    const slots = this.#targets;
    for (let k = 0; k < count; k++) slots[k] = k;
    buffer.reset();
    buffer.ensure(count);
    buffer.bound.init(slots, count);
    const targets = new Int32Array(count);
    for (const pane of panes) {
      this.#namespaces.fill(pane, 0, count);
      this.table.findAll(keys, this.#namespaces, this.#found, false);
      let found = 0;
      for (let k = 0; k < count; k++) {
        const slot = this.#found[k] as number;
        if (slot < 0) continue;
        present[k] = 1;
        targets[found] = k;
        this.#found[found++] = slot;
      }
      buffer.bound.merge(this.bound, this.#found, targets, found);
    }
    if (this.#set.retracting) for (let k = 0; k < count; k++) if (buffer.bound.rowCount(k) <= 0) present[k] = 0;
    return present;
  }

  /** Removes all entries of a pane. */
  drop(paneMs: number): void {
    this.table.visitNamespace(paneMs, (slots, count) => this.#delete(slots, count));
  }

  #delete(slots: Int32Array, count: number): void {
    for (let k = 0; k < count; k++) this.table.delete(slots[k] as number);
  }

  #choose(slots: Int32Array, count: number, filter: HashFilter): number {
    this.#ensure(count);
    if (filter === null) {
      // Entries are merged or shown as they are; in a merge an emptied pane still counts against the others.
      this.#chosen.set(count === slots.length ? slots : slots.subarray(0, count));
      return count;
    }
    let chosen = 0;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      if (filter(this.table.hashOf(slot))) this.#chosen[chosen++] = slot;
    }
    return chosen;
  }

  // The slots of groups that have rows; `slots` may be the array of the chosen itself.
  #withRows(aggregates: BoundAggregates, slots: Int32Array, count: number): number {
    if (slots === this.#chosen && !this.#set.retracting) return count;
    this.#ensure(count);
    let chosen = 0;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      if (aggregates.rowCount(slot) > 0) this.#chosen[chosen++] = slot;
    }
    return chosen;
  }

  #ensure(count: number): void {
    if (this.#chosen.length >= count) return;
    this.#chosen = new Int32Array(count * 2);
    this.#namespaces = new Float64Array(count * 2);
    this.#found = new Int32Array(count * 2);
    this.#targets = new Int32Array(count * 2);
  }
}

/** Keys of several panes, brought together outside of state. */
class PaneMerge {
  readonly index: KeyIndex;
  readonly buffer: AccumulatorBuffer;
  readonly #reader: KeyReader;
  readonly #keyRows: Rows;
  readonly #keyTargets: readonly number[];
  readonly #batch: Batch;
  #slots: Int32Array = new Int32Array(chunkRows);

  constructor(layout: KeyLayout, set: AggregateSet) {
    const ownLayout = keyLayout(
      layout.schema,
      layout.schema.fields.map(({ name }) => name),
    );
    this.index = new KeyIndex(ownLayout);
    this.buffer = new AccumulatorBuffer(set);
    this.#reader = new KeyReader(ownLayout);
    this.#keyRows = new Rows(layout.schema, chunkRows);
    this.#keyTargets = layout.schema.fields.map(({ index }) => index);
    this.#batch = new Batch(this.#keyRows);
  }

  /** Adds the accumulators of some entries of `table`. */
  add(table: KeyedTable, bound: BoundAggregates, slots: Int32Array, count: number): void {
    const rows = this.#keyRows;
    rows.reset();
    rows.ready.fill(1);
    rows.ensure(count);
    if (this.#slots.length < count) this.#slots = new Int32Array(count * 2);
    for (let k = 0; k < count; k++) table.copyKey(slots[k] as number, rows, k, this.#keyTargets);
    rows.size = count;
    const keys = this.#reader.read(this.#batch.set(rows, identitySelection(count), count));
    const created = this.index.findAll(keys, null, this.#slots);
    this.buffer.ensure(this.index.count);
    this.buffer.bound.init(this.index.created, created);
    this.buffer.bound.merge(bound, slots, this.#slots, count);
  }

  /** Shows all merged entries in chunks. */
  visit(visitor: (slots: Int32Array, count: number) => void): void {
    const chunk = new Int32Array(chunkRows);
    for (let at = 0; at < this.index.count; at += chunkRows) {
      const count = Math.min(chunkRows, this.index.count - at);
      for (let k = 0; k < count; k++) chunk[k] = at + k;
      visitor(chunk, count);
    }
  }

  reset(): void {
    this.index.reset();
    this.buffer.reset();
  }
}
