// Window join over tumbling and sliding windows: a row is kept once, in its pane, and windows are made of panes.
import type { Batch } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { Timers } from "../../core/ports/state.ts";
import { delayedWatermark } from "../../core/time/end-of-time.ts";
import { Sequence } from "../rows/sequence.ts";
import { JoinOutput, type JoinType, keepsLeft, keepsRight } from "./join-output.ts";
import type { WindowJoinParams } from "./window-join.ts";
import { WindowSide } from "./window-side.ts";

/*
 * size 6, slide 4: panes of gcd(6, 4) = 2, named by their start.
 *
 *   panes    | 0 | 2 | 4 | 6 | 8 |10 |
 *   window 0 |-----------|
 *   window 4         |-----------|
 *
 * When window 0 closes, its panes below 4 belong to no later window and are dropped. A key has at most one timer per window, and
 * registers the next window's when this one closes with rows left.
 */
export interface PaneWindows {
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

export class PaneJoin implements Operator {
  readonly holdsWatermarks: boolean;
  readonly #context: OperatorContext;
  readonly #windows: PaneWindows;
  readonly #paneMs: number;
  readonly #graceMs: number;
  readonly #type: JoinType;
  readonly #sides: readonly [WindowSide, WindowSide];
  readonly #timers: Timers;
  readonly #sequence: Sequence;
  readonly #output: JoinOutput;

  constructor(context: OperatorContext, params: WindowJoinParams, windows: PaneWindows) {
    this.#context = context;
    this.#windows = windows;
    this.#paneMs = greatestCommonDivisor(windows.sizeMs, windows.slideMs);
    this.#graceMs = params.graceMs ?? 0;
    this.holdsWatermarks = this.#graceMs > 0;
    this.#type = params.type;
    this.#sides = [
      new WindowSide(context, { name: "left", schema: params.left, key: params.leftKey, late: params.lateLeft }),
      new WindowSide(context, { name: "right", schema: params.right, key: params.rightKey, late: params.lateRight }),
    ];
    this.#timers = context.keyed.timers("windows", params.leftKey, "event");
    this.#sequence = new Sequence(context);
    this.#output = new JoinOutput(context, params, params.type);
  }

  process(batch: Batch, input: number): void {
    const side = this.#sides[input] as WindowSide;
    const kept = input === 0 ? keepsLeft(this.#type) : keepsRight(this.#type);
    const keys = side.read(batch);
    const { rows, selection, count } = batch;
    const { sizeMs, slideMs, offsetMs } = this.#windows;
    const closedMs = this.#context.watermarkMs() - this.#graceMs;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      const last = onGrid(timeMs, slideMs, offsetMs);
      // Where the slide is longer than the size, a row may fall between two windows.
      if (timeMs - last >= sizeMs) continue;
      const first = this.#firstOpen(timeMs, closedMs);
      // Written so that it holds for a row without a time too: nothing compares there.
      if (!(first <= last)) {
        side.late.add(batch, row);
        continue;
      }
      if (!kept && side.nulls.has(rows, row)) continue;
      side.add(batch, row, keys, k, onGrid(timeMs, this.#paneMs, offsetMs), this.#sequence.take());
      this.#timers.register(keys, k, first, first + sizeMs - 1 + this.#graceMs);
    }
    side.late.flush(batch);
  }

  // The start of the first window on the grid that holds `timeMs` and is not closed yet.
  #firstOpen(timeMs: number, closedMs: number): number {
    const { sizeMs, slideMs, offsetMs } = this.#windows;
    const earliest = Math.max(Math.floor(timeMs) - sizeMs + 1, closedMs - sizeMs + 2);
    return Math.ceil((earliest - offsetMs) / slideMs) * slideMs + offsetMs;
  }

  onWatermark(timeMs: number): void {
    this.#timers.fire(timeMs, (keys, start) => this.#close(keys, start));
    this.#output.flush();
    if (this.holdsWatermarks) this.#context.forwardWatermark(delayedWatermark(timeMs, this.#graceMs));
  }

  #close(keys: KeyBatch, start: number): void {
    const { sizeMs, slideMs } = this.#windows;
    const end = start + sizeMs;
    this.#output.inWindow({ startMs: start, endMs: end });
    this.#join(keys, start, end);
    // The panes that no later window shares.
    const doneMs = Math.min(end, start + slideMs);
    for (const { table } of this.#sides) {
      for (let pane = start; pane < doneMs; pane += this.#paneMs) table.deleteAll(keys, 0, pane);
    }
    if (this.#firstRow(this.#sides[0], keys, doneMs, end) < 0 && this.#firstRow(this.#sides[1], keys, doneMs, end) < 0) return;
    this.#timers.register(keys, 0, start + slideMs, end + slideMs - 1 + this.#graceMs);
  }

  // The slot of some row of a side in the panes [from, to), -1 when there is none.
  #firstRow({ table }: WindowSide, keys: KeyBatch, from: number, to: number): number {
    for (let pane = from; pane < to; pane += this.#paneMs) {
      const { slots, count } = table.entriesOf(keys, 0, pane);
      if (count > 0) return slots[0] as number;
    }
    return -1;
  }

  #join(keys: KeyBatch, start: number, end: number): void {
    const [left, right] = this.#sides;
    const leftSlot = this.#firstRow(left, keys, start, end);
    const rightSlot = this.#firstRow(right, keys, start, end);
    const isNull =
      leftSlot >= 0 ? left.nulls.has(left.stored.rows, leftSlot) : rightSlot >= 0 && right.nulls.has(right.stored.rows, rightSlot);
    const matched = leftSlot >= 0 && rightSlot >= 0 && !isNull;
    if (!matched) {
      if (keepsLeft(this.#type)) this.#alone(0, keys, start, end);
      if (keepsRight(this.#type)) this.#alone(1, keys, start, end);
    } else if (this.#type === "semi") this.#alone(0, keys, start, end);
    else if (this.#type !== "anti") this.#pairs(keys, start, end);
  }

  #alone(input: 0 | 1, keys: KeyBatch, start: number, end: number): void {
    const { table, stored } = this.#sides[input];
    for (let pane = start; pane < end; pane += this.#paneMs) {
      const { slots, count } = table.entriesOf(keys, 0, pane);
      for (let i = 0; i < count; i++) {
        if (input === 0) this.#output.emit(stored.rows, slots[i] as number, null, 0, end - 1);
        else this.#output.emit(null, 0, stored.rows, slots[i] as number, end - 1);
      }
    }
  }

  // The two sides are tables of their own, so slots of the left stay valid while the right is looked up.
  #pairs(keys: KeyBatch, start: number, end: number): void {
    const [left, right] = this.#sides;
    for (let leftPane = start; leftPane < end; leftPane += this.#paneMs) {
      const { slots: leftSlots, count: leftCount } = left.table.entriesOf(keys, 0, leftPane);
      if (leftCount === 0) continue;
      for (let rightPane = start; rightPane < end; rightPane += this.#paneMs) {
        const { slots: rightSlots, count: rightCount } = right.table.entriesOf(keys, 0, rightPane);
        for (let i = 0; i < leftCount; i++) {
          for (let j = 0; j < rightCount; j++) {
            this.#output.emit(left.stored.rows, leftSlots[i] as number, right.stored.rows, rightSlots[j] as number, end - 1);
          }
        }
      }
    }
  }
}

/** The greatest point of the grid `offset + n * step` that is not above `value`. */
export function onGrid(value: number, step: number, offset: number): number {
  return Math.floor((value - offset) / step) * step + offset;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
