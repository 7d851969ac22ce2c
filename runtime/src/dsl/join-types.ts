// What joins of the DSL take and give: their options, and the type of their rows.
import type { Schema } from "../core/schema/schema.ts";
import type { JoinType } from "../operators/join/join-output.ts";
import type { OperatorOptions } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

type Prefixed<Row, P extends string> = { readonly [K in keyof Row & string as `${P}${K}`]: Row[K] };
type OrNull<Row> = { readonly [K in keyof Row]: Row[K] | null };

/** The row of a join that gives the fields of both sides; a side that may be absent is nullable. */
export type JoinedRow<Left, Right, T extends JoinType, LP extends string, RP extends string> = Prefixed<
  T extends "right" | "full" ? OrNull<Left> : Left,
  LP
> &
  (T extends "semi" | "anti" ? unknown : Prefixed<T extends "left" | "full" ? OrNull<Right> : Right, RP>);

/** Puts something in front of the fields of a side, for names that are in both. */
export interface JoinPrefixes<LP extends string, RP extends string> {
  readonly leftPrefix?: LP;
  readonly rightPrefix?: RP;
}

/** Makes the output by a function instead: a side that is absent is null. */
export interface JoinFunction<Left, Right, Out> {
  readonly output: Schema<Out>;
  readonly select: (left: Left | null, right: Right | null) => Out;
}

export interface JoinOptions<T extends JoinType> extends OperatorOptions {
  /** Default inner. */
  readonly type?: T;
}

export interface WindowJoinOptions<T extends JoinType> extends JoinOptions<T> {
  /** How much longer than the watermark says a window waits for late rows; what follows the join waits as long. Default none. */
  readonly grace?: Duration;
}

/** Rows of either side that came too late for a join. */
export type LateSides<Left, Right> = { readonly lateLeft: Left; readonly lateRight: Right };

export interface IntervalJoinOptions<T extends JoinType> extends JoinOptions<T> {
  /** A right row matches where left time + lower <= right time <= left time + upper. Negative durations are written as ms. */
  readonly lower: number;
  readonly upper: Duration;
}

export interface RegularJoinOptions<T extends JoinType, Left = never, Right = never> extends JoinOptions<T> {
  /** How long rows of each side are kept after they were written. Default: for ever. */
  readonly ttl?: Duration;
  /**
   * The primary key of a side, where it has one: a row is then found by it instead of by all of its values, and an insert of a key
   * that is there replaces its row. A side that upserts needs one, with the fields of the join in it.
   */
  readonly leftUnique?: readonly (keyof Left & string)[];
  readonly rightUnique?: readonly (keyof Right & string)[];
}

export interface ReferenceJoinOptions<T extends "inner" | "left", Left, LP extends string, RP extends string>
  extends JoinOptions<T>,
    JoinPrefixes<LP, RP> {
  /** The primary key of the rows that refer: the result is a table by it. */
  readonly primary: readonly [keyof Left & string, ...(keyof Left & string)[]];
}
