// Regular join of two changelogs: its output is at any time the join of what the two inputs have said so far.
import { type Batch, type Rows, isRetraction, rowKind } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { TimeToLive } from "../../core/ports/state.ts";
import { ChangelogSide } from "./changelog-side.ts";
import { checkJoinKeys } from "./join-keys.ts";
import { JoinOutput, type JoinSides, type JoinType, keepsLeft, keepsRight } from "./join-output.ts";

export interface RegularJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  readonly leftKey: KeyLayout;
  readonly rightKey: KeyLayout;
  readonly type: JoinType;
  /**
   * The primary key of a side, where it has one: rows are then found by it, and an insert of a key that is there replaces its row.
   * Without one, rows are told apart by all of their values and counted.
   */
  readonly leftUnique?: KeyLayout;
  readonly rightUnique?: KeyLayout;
  /** How long rows of a side are kept since they were written. Default: for ever. A row that is gone matches nothing, and nothing retracts its results. */
  readonly leftTtl?: TimeToLive;
  readonly rightTtl?: TimeToLive;
}

/**
 * Takes append-only streams and retracting changelogs; a side with a unique key also upserts, as long as a row's join key stays.
 * Gives out inserts and deletes. The algorithm is that of Flink's StreamingJoinOperator: rows of a side that is given out alone
 * (or is semi- or anti-joined) count their matches. Throws JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function regularJoin<Left, Right, Out>(params: RegularJoinParams<Left, Right, Out>): OperatorFactory {
  checkJoinKeys(params.leftKey, params.rightKey);
  return (context) => new RegularJoin(context, params as unknown as RegularJoinParams);
}

class RegularJoin implements Operator {
  readonly #sides: readonly [ChangelogSide, ChangelogSide];
  readonly #filters: boolean;
  readonly #output: JoinOutput;

  constructor(context: OperatorContext, params: RegularJoinParams) {
    const { type } = params;
    this.#filters = type === "semi" || type === "anti";
    this.#output = new JoinOutput(context, params, type);
    this.#sides = [
      new ChangelogSide(context, {
        name: "left",
        schema: params.left,
        key: params.leftKey,
        unique: params.leftUnique,
        ttl: params.leftTtl,
        alone: keepsLeft(type),
        counts: keepsLeft(type) || type === "semi",
      }),
      new ChangelogSide(context, {
        name: "right",
        schema: params.right,
        key: params.rightKey,
        unique: params.rightUnique,
        ttl: params.rightTtl,
        alone: keepsRight(type),
        counts: keepsRight(type),
      }),
    ];
  }

  process(batch: Batch, input: number): void {
    const side = this.#sides[input] as ChangelogSide;
    const { rows, selection, count } = batch;
    const keys = side.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      const retraction = isRetraction(rows.kindOf(row));
      if (side.nulls.has(rows, row)) {
        // Matches nothing, now or ever, so there is nothing to keep.
        if (side.alone) this.#emitAlone(input, rows, row, timeMs, retraction);
      } else if (retraction) this.#retract(keys, k, input, rows, row, timeMs);
      else this.#insert(keys, k, input, rows, row, timeMs);
    }
    this.#output.flush();
  }

  #insert(keys: KeyBatch, k: number, input: number, rows: Rows, row: number, timeMs: number): void {
    const side = this.#sides[input] as ChangelogSide;
    const replaced = side.unique ? side.find(keys, k, rows, row, false) : -1;
    if (replaced >= 0) {
      if (side.holds(replaced, rows, row)) return side.touch(replaced);
      this.#takeBack(keys, k, input, side.rows, replaced, timeMs, replaced);
    }
    const matches = this.#joinWithOther(keys, k, input, rows, row, timeMs, 1);
    side.add(keys, k, rows, row, matches);
  }

  #retract(keys: KeyBatch, k: number, input: number, rows: Rows, row: number, timeMs: number): void {
    const side = this.#sides[input] as ChangelogSide;
    const slot = side.find(keys, k, rows, row, true);
    // Not there: it has outlived its time, or the input took back what it never gave.
    if (slot < 0) return;
    // With a unique key the retraction may be a bare key: what is taken back is what was given.
    if (side.unique) this.#takeBack(keys, k, input, side.rows, slot, timeMs, slot);
    else this.#takeBack(keys, k, input, rows, row, timeMs, slot);
  }

  #takeBack(keys: KeyBatch, k: number, input: number, rows: Rows, row: number, timeMs: number, slot: number): void {
    this.#joinWithOther(keys, k, input, rows, row, timeMs, -1);
    (this.#sides[input] as ChangelogSide).remove(slot);
  }

  // Gives out or takes back what a row of side `input` makes with the other side's rows. Returns how many matches it has there.
  #joinWithOther(keys: KeyBatch, k: number, input: number, rows: Rows, row: number, timeMs: number, sign: 1 | -1): number {
    const side = this.#sides[input] as ChangelogSide;
    const other = this.#sides[1 - input] as ChangelogSide;
    const { slots, count } = other.entriesOf(keys, k);
    let matches = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const copies = other.copiesOf(slot);
      matches += copies;
      const before = other.counts ? other.addMatch(slot, sign) : 0;
      const turns = other.counts && (sign === 1 ? before === 0 : before === 1);
      for (let copy = 0; copy < copies; copy++) {
        // The other row stood alone until now, or does so from now on; in a semi join it appears or disappears.
        if (turns && this.#filters) this.#emitAlone(1 - input, other.rows, slot, timeMs, other.alone === (sign === 1));
        else if (turns && sign === 1) this.#emitAlone(1 - input, other.rows, slot, timeMs, true);
        if (!this.#filters) this.#emitPair(input, rows, row, other.rows, slot, timeMs, sign === -1);
        if (turns && sign === -1 && !this.#filters) this.#emitAlone(1 - input, other.rows, slot, timeMs, false);
      }
    }
    const given = this.#filters ? side.counts && (matches === 0) === side.alone : matches === 0 && side.alone;
    if (given) this.#emitAlone(input, rows, row, timeMs, sign === -1);
    return matches;
  }

  #emitPair(input: number, rows: Rows, row: number, other: Rows, slot: number, timeMs: number, retraction: boolean): void {
    const kind = retraction ? rowKind.delete : rowKind.insert;
    if (input === 0) this.#output.emit(rows, row, other, slot, timeMs, kind);
    else this.#output.emit(other, slot, rows, row, timeMs, kind);
  }

  #emitAlone(input: number, rows: Rows, row: number, timeMs: number, retraction: boolean): void {
    const kind = retraction ? rowKind.delete : rowKind.insert;
    if (input === 0) this.#output.emit(rows, row, null, 0, timeMs, kind);
    else this.#output.emit(null, 0, rows, row, timeMs, kind);
  }
}
