// Fires windows again for rows that came after their end but within the allowed lateness: for the rows' keys only.
import { Batch, rowKind, type Rows } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import { AccumulatorBuffer, type AggregateSet } from "../aggregate/aggregate-set.ts";
import { KeyIndex } from "./key-index.ts";
import type { PaneStore } from "./pane-store.ts";
import type { Panes } from "./panes.ts";
import type { WindowOutput } from "./window-output.ts";
import type { FiringMode } from "./window-params.ts";

interface Firing {
  readonly startMs: number;
  readonly endMs: number;
  /** One row of the batch for each key of the window. */
  readonly rows: Int32Array;
  readonly keys: KeyIndex;
  /** What the window had given for the keys; only where it is to be taken back. */
  readonly before: AccumulatorBuffer | null;
  readonly presentBefore: Uint8Array | null;
}

/** `before` is called ahead of adding the rows, `after` behind it: the difference is what goes out. */
export class LateFirings {
  readonly #layout: Panes;
  readonly #store: PaneStore;
  readonly #set: AggregateSet;
  readonly #key: KeyLayout;
  readonly #output: WindowOutput;
  readonly #mode: FiringMode;
  readonly #reader: KeyReader;
  readonly #after: AccumulatorBuffer;
  #firings: readonly Firing[] = [];

  constructor(layout: Panes, store: PaneStore, set: AggregateSet, key: KeyLayout, output: WindowOutput, mode: FiringMode) {
    this.#layout = layout;
    this.#store = store;
    this.#set = set;
    this.#key = key;
    this.#output = output;
    this.#mode = mode;
    this.#reader = new KeyReader(key);
    this.#after = new AccumulatorBuffer(set);
  }

  /** `endsOf(k)` gives the windows that row k fires again, `open` the panes that have entries. */
  before(batch: Batch, open: readonly number[], endsOf: (k: number) => readonly number[]): void {
    const positions = new Map<number, number[]>();
    for (let k = 0; k < batch.count; k++) {
      for (const end of endsOf(k)) {
        const found = positions.get(end);
        if (found === undefined) positions.set(end, [batch.selection[k] as number]);
        else found.push(batch.selection[k] as number);
      }
    }
    this.#firings = [...positions]
      .sort(([a], [b]) => a - b)
      .map(([endMs, rows]) => this.#firing(batch.rows, Int32Array.from(rows), this.#layout.startOf(endMs), endMs, open));
  }

  #firing(rows: Rows, selection: Int32Array, startMs: number, endMs: number, open: readonly number[]): Firing {
    const index = new KeyIndex(this.#key);
    const numbers = new Int32Array(selection.length);
    index.findAll(this.#reader.read(new Batch(rows, selection, selection.length)), null, numbers);
    const first = new Int32Array(index.count);
    for (let k = selection.length - 1; k >= 0; k--) first[numbers[k] as number] = selection[k] as number;
    if (this.#mode !== "changelog") return { startMs, endMs, rows: first, keys: index, before: null, presentBefore: null };
    const before = new AccumulatorBuffer(this.#set, index.count);
    const presentBefore = this.#store.evaluate(this.#keysOf(rows, first), inWindow(open, startMs, endMs), before);
    return { startMs, endMs, rows: first, keys: index, before, presentBefore };
  }

  #keysOf(rows: Rows, selection: Int32Array): KeyBatch {
    return this.#reader.read(new Batch(rows, selection, selection.length));
  }

  after(batch: Batch, open: readonly number[]): void {
    for (const firing of this.#firings) {
      const panes = inWindow(open, firing.startMs, firing.endMs);
      const present = this.#store.evaluate(this.#keysOf(batch.rows, firing.rows), panes, this.#after);
      for (let k = 0; k < firing.keys.count; k++) this.#emit(firing, k, present[k] === 1);
    }
    this.#firings = [];
  }

  #emit({ startMs, endMs, keys, before, presentBefore }: Firing, k: number, present: boolean): void {
    const window = { startMs, endMs, timeMs: endMs - 1 };
    const after = this.#after.bound;
    if (this.#mode === "append") {
      if (present) this.#output.emitOne(keys, k, after, k, window, rowKind.insert);
    } else if (before === null || presentBefore === null) {
      this.#output.emitOne(keys, k, after, k, window, present ? rowKind.updateAfter : rowKind.delete);
    } else if (presentBefore[k] !== 1) {
      if (present) this.#output.emitOne(keys, k, after, k, window, rowKind.insert);
    } else if (present) {
      this.#output.emitOne(keys, k, before.bound, k, window, rowKind.updateBefore);
      this.#output.emitOne(keys, k, after, k, window, rowKind.updateAfter);
    } else this.#output.emitOne(keys, k, before.bound, k, window, rowKind.delete);
  }
}

function inWindow(panes: readonly number[], startMs: number, endMs: number): readonly number[] {
  return panes.filter((pane) => pane >= startMs && pane < endMs);
}
