// Window join over sessions: rows of both sides of a key, as long as no gap between two of them is longer than allowed.
import type { Batch } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { delayedWatermark } from "../../core/time/end-of-time.ts";
import { Sequence } from "../rows/sequence.ts";
import { JoinOutput, type JoinType, keepsLeft, keepsRight } from "./join-output.ts";
import type { WindowJoinParams } from "./window-join.ts";
import { WindowSide } from "./window-side.ts";

const sessionValue = schema({ first: float64(), last: float64() });

/**
 * A row at t spans [t, t + gap); spans that overlap or touch are one session, as in Flink. Rows are kept per key, sessions as
 * their first and last time; the few sessions of a key that are open at once are told apart by those.
 */
export class SessionJoin implements Operator {
  readonly holdsWatermarks: boolean;
  readonly #context: OperatorContext;
  readonly #gapMs: number;
  readonly #graceMs: number;
  readonly #type: JoinType;
  readonly #sides: readonly [WindowSide, WindowSide];
  readonly #sessions: KeyedMultiTable;
  readonly #timers: Timers;
  readonly #sequence: Sequence;
  readonly #output: JoinOutput;

  constructor(context: OperatorContext, params: WindowJoinParams, gapMs: number) {
    this.#context = context;
    this.#gapMs = gapMs;
    this.#graceMs = params.graceMs ?? 0;
    this.holdsWatermarks = this.#graceMs > 0;
    this.#type = params.type;
    this.#sides = [
      new WindowSide(context, { name: "left", schema: params.left, key: params.leftKey, late: params.lateLeft }),
      new WindowSide(context, { name: "right", schema: params.right, key: params.rightKey, late: params.lateRight }),
    ];
    this.#sessions = context.keyed.multiTable({ name: "sessions", key: params.leftKey, value: sessionValue, subKey: "number" });
    this.#timers = context.keyed.timers("windows", params.leftKey, "event");
    this.#sequence = new Sequence(context);
    this.#output = new JoinOutput(context, params, params.type);
  }

  process(batch: Batch, input: number): void {
    const side = this.#sides[input] as WindowSide;
    const kept = input === 0 ? keepsLeft(this.#type) : keepsRight(this.#type);
    const keys = side.read(batch);
    const { rows, selection, count } = batch;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const isNull = side.nulls.has(rows, row);
      if (isNull && !kept) continue;
      if (this.#extend(keys, k, rows.times[row] as number)) side.add(batch, row, keys, k, 0, this.#sequence.take());
      else side.late.add(batch, row);
    }
    side.late.flush(batch);
  }

  // Lets a row's time into the sessions of its key. False where its session has closed.
  #extend(keys: KeyBatch, k: number, timeMs: number): boolean {
    const sessions = this.#sessions;
    const { slots, count } = sessions.entriesOf(keys, k, 0);
    const [firsts, lasts] = [this.#first, this.#last];
    let kept = -1;
    let first = timeMs;
    let last = timeMs;
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const slotFirst = firsts[slot] as number;
      const slotLast = lasts[slot] as number;
      if (timeMs > slotLast + this.#gapMs || timeMs + this.#gapMs < slotFirst) continue;
      // The row bridges this session and the one before: they were apart without it, and are one now.
      if (kept >= 0) this.#drop(keys, k, kept, lasts[kept] as number);
      kept = slot;
      first = Math.min(first, slotFirst);
      last = Math.max(last, slotLast);
    }
    if (kept < 0) return this.#open(keys, k, timeMs);
    const id = sessions.subKeyOf(kept) as number;
    const keptLast = lasts[kept] as number;
    firsts[kept] = first;
    lasts[kept] = last;
    sessions.touch(kept);
    if (last === keptLast) return true;
    this.#timers.delete(keys, k, id, this.#closingMs(keptLast));
    this.#timers.register(keys, k, id, this.#closingMs(last));
    return true;
  }

  #drop(keys: KeyBatch, k: number, slot: number, last: number): void {
    this.#timers.delete(keys, k, this.#sessions.subKeyOf(slot) as number, this.#closingMs(last));
    this.#sessions.delete(slot);
  }

  #open(keys: KeyBatch, k: number, timeMs: number): boolean {
    // Written so that it holds for a row without a time too.
    if (!(this.#closingMs(timeMs) > this.#context.watermarkMs())) return false;
    const id = this.#sequence.take();
    const slot = this.#sessions.upsert(keys, k, 0, id);
    this.#first[slot] = timeMs;
    this.#last[slot] = timeMs;
    this.#timers.register(keys, k, id, this.#closingMs(timeMs));
    return true;
  }

  get #first(): Float64Array {
    return (this.#sessions.columns[0] as { numbers: Float64Array }).numbers;
  }

  get #last(): Float64Array {
    return (this.#sessions.columns[1] as { numbers: Float64Array }).numbers;
  }

  #closingMs(lastMs: number): number {
    return lastMs + this.#gapMs - 1 + this.#graceMs;
  }

  onWatermark(timeMs: number): void {
    this.#timers.fire(timeMs, (keys, id) => this.#close(keys, id));
    this.#output.flush();
    if (this.holdsWatermarks) this.#context.forwardWatermark(delayedWatermark(timeMs, this.#graceMs));
  }

  #close(keys: KeyBatch, id: number): void {
    const session = this.#sessions.find(keys, 0, 0, id);
    if (session < 0) throw new Error(`session ${id} has a timer but no entry`);
    const first = this.#first[session] as number;
    const last = this.#last[session] as number;
    this.#sessions.delete(session);
    this.#output.inWindow({ startMs: first, endMs: last + this.#gapMs });
    this.#join(this.#members(0, keys, first, last), this.#members(1, keys, first, last), last + this.#gapMs - 1);
    for (const input of [0, 1] as const) {
      for (const slot of this.#members(input, keys, first, last)) this.#sides[input].table.delete(slot);
    }
  }

  #members(input: 0 | 1, keys: KeyBatch, first: number, last: number): number[] {
    const side = this.#sides[input];
    const { slots, count } = side.table.entriesOf(keys, 0, 0);
    const members: number[] = [];
    for (let i = 0; i < count; i++) {
      const timeMs = side.timeOf(slots[i] as number);
      if (timeMs >= first && timeMs <= last) members.push(slots[i] as number);
    }
    return members;
  }

  #join(leftSlots: readonly number[], rightSlots: readonly number[], timeMs: number): void {
    const [left, right] = this.#sides;
    const leftRows = left.stored.rows;
    const rightRows = right.stored.rows;
    const isNull =
      leftSlots[0] !== undefined
        ? left.nulls.has(leftRows, leftSlots[0])
        : rightSlots[0] !== undefined && right.nulls.has(rightRows, rightSlots[0]);
    const matched = leftSlots.length > 0 && rightSlots.length > 0 && !isNull;
    if (matched && this.#type !== "anti" && this.#type !== "semi") {
      for (const i of leftSlots) for (const j of rightSlots) this.#output.emit(leftRows, i, rightRows, j, timeMs);
      return;
    }
    if (matched ? this.#type === "semi" : keepsLeft(this.#type))
      for (const slot of leftSlots) this.#output.emit(leftRows, slot, null, 0, timeMs);
    if (!matched && keepsRight(this.#type)) for (const slot of rightSlots) this.#output.emit(null, 0, rightRows, slot, timeMs);
  }
}
