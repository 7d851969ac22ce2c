// Interval join: rows of two streams with equal keys whose times are at most so far apart.
import { MillraceError } from "../../base/errors.ts";
import type { Batch, Rows } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import { delayedWatermark } from "../../core/time/end-of-time.ts";
import { Sequence } from "../rows/sequence.ts";
import { IntervalSide } from "./interval-side.ts";
import { checkJoinKeys } from "./join-keys.ts";
import { JoinOutput, type JoinSides, type JoinType, keepsLeft, keepsRight } from "./join-output.ts";

export interface IntervalJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  readonly leftKey: KeyLayout;
  readonly rightKey: KeyLayout;
  readonly type: JoinType;
  /** A right row matches where left time + lower <= right time <= left time + upper; ms, either may be negative. */
  readonly lowerMs: number;
  readonly upperMs: number;
  /** Side outputs for rows behind the watermark; they are counted and dropped where there is none. */
  readonly lateLeft?: string;
  readonly lateRight?: string;
}

/**
 * Both inputs are append-only. A pair is given out when its second row comes, with the greater of the two times; a row without
 * a match when the watermark shows that none can come, with its own time (the output's watermark waits for that). A semi join gives a
 * left row out once, with its own time, as soon as there is a match; an anti join those that have none.
 * Throws INTERVAL_INVALID, JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function intervalJoin<Left, Right, Out>(params: IntervalJoinParams<Left, Right, Out>): OperatorFactory {
  const { lowerMs, upperMs } = params;
  if (!Number.isSafeInteger(lowerMs) || !Number.isSafeInteger(upperMs) || lowerMs > upperMs) {
    throw new MillraceError(
      "INTERVAL_INVALID",
      "interval join",
      `bounds of ${lowerMs} to ${upperMs} ms`,
      "use whole ms, the lower bound first",
    );
  }
  checkJoinKeys(params.leftKey, params.rightKey);
  return (context) => new IntervalJoin(context, params as unknown as IntervalJoinParams);
}

class IntervalJoin implements Operator {
  readonly holdsWatermarks: boolean;
  readonly #context: OperatorContext;
  readonly #delayMs: number;
  readonly #left: IntervalSide;
  readonly #right: IntervalSide;
  readonly #sequence: Sequence;
  /** Left rows alone are given out: those with a match, or those without. */
  readonly #filters: "semi" | "anti" | undefined;
  readonly #output: JoinOutput;

  constructor(context: OperatorContext, params: IntervalJoinParams) {
    const { lowerMs, upperMs, type } = params;
    this.#context = context;
    this.#filters = type === "semi" || type === "anti" ? type : undefined;
    this.#output = new JoinOutput(context, params, type);
    this.#sequence = new Sequence(context);
    // Half of the interval: a look-up reads at most three buckets, and few rows outside of the interval.
    const bucketMs = Math.max(1, Math.ceil((upperMs - lowerMs + 1) / 2));
    // As seen from a row of either side: how far before and after it the other's rows may be.
    this.#left = new IntervalSide(context, {
      name: "left",
      schema: params.left,
      key: params.leftKey,
      late: params.lateLeft,
      outer: keepsLeft(type),
      once: this.#filters !== undefined,
      lowerMs,
      upperMs,
      bucketMs,
    });
    this.#right = new IntervalSide(context, {
      name: "right",
      schema: params.right,
      key: params.rightKey,
      late: params.lateRight,
      outer: keepsRight(type),
      lowerMs: -upperMs,
      upperMs: -lowerMs,
      bucketMs,
    });
    this.#delayMs = Math.max(0, keepsLeft(type) || type === "semi" ? upperMs : 0, keepsRight(type) ? -lowerMs : 0);
    this.holdsWatermarks = this.#delayMs > 0;
  }

  process(batch: Batch, input: number): void {
    const own = input === 0 ? this.#left : this.#right;
    const other = input === 0 ? this.#right : this.#left;
    const { rows, selection, count } = batch;
    const watermarkMs = this.#context.watermarkMs();
    const keys = own.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      if (timeMs <= watermarkMs) {
        own.late.add(batch, row);
        continue;
      }
      const isNull = own.nulls.has(rows, row);
      const matched = !isNull && this.#probe(batch, input, other, keys, k, row, timeMs);
      // What a left row has found decides about it for good.
      if (this.#filters !== undefined && input === 0 && matched) this.#decide(batch.rows, row, timeMs);
      else if (!isNull && own.mayStillMatch(timeMs, watermarkMs)) own.add(batch, row, keys, k, matched, this.#sequence.take());
      else if (own.outer && !matched) this.#emitAlone(input, batch, row, timeMs);
    }
    this.#output.flush();
    own.late.flush(batch);
  }

  // A left row of a semi or an anti join has a match.
  #decide(rows: Rows, row: number, timeMs: number): void {
    if (this.#filters === "semi") this.#output.emit(rows, row, null, 0, timeMs);
  }

  #emitAlone(input: number, { rows }: Pick<Batch, "rows">, row: number, timeMs: number): void {
    if (input === 0) this.#output.emit(rows, row, null, 0, timeMs);
    else this.#output.emit(null, 0, rows, row, timeMs);
  }

  // Gives out the pairs of a new row with the rows of the other side that are there. True where there was one.
  #probe(batch: Batch, input: number, other: IntervalSide, keys: KeyBatch, k: number, row: number, timeMs: number): boolean {
    const fromMs = timeMs - other.upperMs;
    const toMs = timeMs - other.lowerMs;
    const { rows } = other.stored;
    let matched = false;
    for (let bucket = other.bucketOf(fromMs); bucket <= other.bucketOf(toMs); bucket++) {
      const { slots, count } = other.table.entriesOf(keys, k, bucket);
      for (let i = 0; i < count; i++) {
        const slot = slots[i] as number;
        const otherMs = other.timeOf(slot);
        if (otherMs < fromMs || otherMs > toMs) continue;
        matched = true;
        if (this.#filters !== undefined) {
          // One match of a left row is as good as many.
          if (input === 0) return true;
          this.#decide(rows, slot, otherMs);
          other.markMatched(slot);
          continue;
        }
        other.markMatched(slot);
        const pairMs = Math.max(timeMs, otherMs);
        if (input === 0) this.#output.emit(batch.rows, row, rows, slot, pairMs);
        else this.#output.emit(rows, slot, batch.rows, row, pairMs);
      }
    }
    return matched;
  }

  onWatermark(timeMs: number): void {
    this.#left.expire(timeMs, (slot) => this.#emitAlone(0, this.#left.stored, slot, this.#left.timeOf(slot)));
    this.#right.expire(timeMs, (slot) => this.#emitAlone(1, this.#right.stored, slot, this.#right.timeOf(slot)));
    this.#output.flush();
    if (this.holdsWatermarks) this.#context.forwardWatermark(delayedWatermark(timeMs, this.#delayMs));
  }
}
