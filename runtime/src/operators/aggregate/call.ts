// Aggregate calls: what a user writes, `sum("price")`, as a value that is plain JSON and carries its kind and field names as types.
import type { AnyField, Field } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";

export type AggregateKind =
  | "count"
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "countDistinct"
  | "countDistinctApprox"
  | "percentile"
  | "collect"
  | "collectSet"
  | "stringAgg"
  | "first"
  | "last"
  | "minBy"
  | "maxBy"
  | "custom";

/**
 * One aggregate of a group. `FieldName` and `ByName` are the literal names of the fields it reads, `Result` the type that a
 * custom aggregate returns, `InRow` the row that it takes.
 */
export interface AggregateCall<
  Kind extends AggregateKind = AggregateKind,
  FieldName extends string = string,
  ByName extends string = string,
  Result = unknown,
  InRow = never,
> {
  readonly kind: Kind;
  readonly field?: FieldName;
  /** The field that orders rows, for minBy and maxBy. */
  readonly by?: ByName;
  /** Between 0 and 1, for percentile. */
  readonly fraction?: number;
  /** The largest relative error, for percentile. */
  readonly accuracy?: number;
  readonly separator?: string;
  /** How many values one group may hold; more fail with AGGREGATE_TOO_LARGE. */
  readonly limit?: number;
  readonly custom?: AnyCustomAggregate;
  /** Null where the group has no value, whatever the field's type: see `orNull`. */
  readonly orNull?: boolean;
  /** Types only. */
  readonly "~result"?: Result;
  readonly "~row"?: (row: InRow) => void;
}

/** Any aggregate calls, by the names of their results. */
export type AggregateCalls = Readonly<Record<string, AggregateCall<AggregateKind, string, string, unknown, never>>>;

/**
 * An aggregate of the user's own. Its accumulator is a value of the field `state`, stored with the job's state.
 * `add`, `retract` and `merge` return the new accumulator, which may be the old one, changed. `merge` must not return or keep
 * its second argument where that is mutable.
 */
export interface CustomAggregate<Row, State, Result> {
  /** The accumulator's type: a field, or a schema for an object. It may evolve as any state does. */
  readonly state: Field<State, boolean> | Schema<State>;
  /** The result's type. */
  readonly returns: Field<Result, boolean>;
  create(): State;
  /** `row` is valid during the call only: copy what is kept. */
  add(state: State, row: Row): State;
  /** Takes a row back. Without it the aggregate is refused over a changelog. */
  retract?(state: State, row: Row): State;
  merge(state: State, other: State): State;
  result(state: State): Result;
}

/** A custom aggregate whose types the compiler has already checked. */
export interface AnyCustomAggregate {
  readonly state: AnyField | Schema;
  readonly returns: AnyField;
  create(): unknown;
  add(state: never, row: never): unknown;
  retract?(state: never, row: never): unknown;
  merge(state: never, other: never): unknown;
  result(state: never): unknown;
}

/** How many rows the group has; with a field, how many of them have a value in it. */
export function count(): AggregateCall<"count", never, never>;
export function count<const F extends string>(field: F): AggregateCall<"count", F, never>;
export function count(field?: string): AggregateCall<"count", string, never> {
  return field === undefined ? { kind: "count" } : { kind: "count", field };
}

/** The sum: exact for integers (bigint for `int64()`) and decimals. A sum that leaves its type fails with AGGREGATE_OVERFLOW. */
export const sum = <const F extends string>(field: F): AggregateCall<"sum", F, never> => ({ kind: "sum", field });
/** The mean as a number; for decimals a decimal with at least 6 digits behind the point, rounded half away from zero. */
export const avg = <const F extends string>(field: F): AggregateCall<"avg", F, never> => ({ kind: "avg", field });
/** The least value. Texts compare by code points; not-a-number is greater than every number. */
export const min = <const F extends string>(field: F): AggregateCall<"min", F, never> => ({ kind: "min", field });
/** The greatest value. */
export const max = <const F extends string>(field: F): AggregateCall<"max", F, never> => ({ kind: "max", field });
/** How many different values, exactly; at most `limit` of them (default 1,000,000). */
export const countDistinct = <const F extends string>(
  field: F,
  options: { readonly limit?: number } = {},
): AggregateCall<"countDistinct", F, never> => ({
  kind: "countDistinct",
  field,
  ...options,
});
/** About how many different values: HyperLogLog with a standard error of 0.82 %, in at most 16 KiB per group. Inserts only. */
export const countDistinctApprox = <const F extends string>(field: F): AggregateCall<"countDistinctApprox", F, never> => ({
  kind: "countDistinctApprox",
  field,
});
/** About the value below which `fraction` of the values lie, by DDSketch: relative error at most `accuracy` (default 0.01). */
export const percentile = <const F extends string>(
  field: F,
  fraction: number,
  options: { readonly accuracy?: number } = {},
): AggregateCall<"percentile", F, never> => ({ kind: "percentile", field, fraction, ...options });
/** All values as a list in order of arrival, at most `limit` (default 1,000,000). */
export const collect = <const F extends string>(
  field: F,
  options: { readonly limit?: number } = {},
): AggregateCall<"collect", F, never> => ({
  kind: "collect",
  field,
  ...options,
});
/** The different values as a list in order of their first arrival, at most `limit` (default 1,000,000). */
export const collectSet = <const F extends string>(
  field: F,
  options: { readonly limit?: number } = {},
): AggregateCall<"collectSet", F, never> => ({
  kind: "collectSet",
  field,
  ...options,
});
/** All texts, joined by `separator` (default a comma). */
export const stringAgg = <const F extends string>(
  field: F,
  separator = ",",
  options: { readonly limit?: number } = {},
): AggregateCall<"stringAgg", F, never> => ({ kind: "stringAgg", field, separator, ...options });
/** The value of the row with the earliest time; of several, the first to arrive. */
export const first = <const F extends string>(field: F): AggregateCall<"first", F, never> => ({ kind: "first", field });
/** The value of the row with the latest time; of several, the last to arrive. */
export const last = <const F extends string>(field: F): AggregateCall<"last", F, never> => ({ kind: "last", field });
/** The value of `field` in the row with the least `by`; of several, the first to arrive. Rows without a `by` are ignored. */
export const minBy = <const F extends string, const B extends string>(field: F, by: B): AggregateCall<"minBy", F, B> => ({
  kind: "minBy",
  field,
  by,
});
/** The value of `field` in the row with the greatest `by`; of several, the first to arrive. */
export const maxBy = <const F extends string, const B extends string>(field: F, by: B): AggregateCall<"maxBy", F, B> => ({
  kind: "maxBy",
  field,
  by,
});
/** An aggregate of the user's own. */
export const custom = <Row, State, Result>(
  aggregate: CustomAggregate<Row, State, Result>,
): AggregateCall<"custom", never, never, Result, Row> => ({
  kind: "custom",
  custom: aggregate,
});
/** What `orNull` makes of a call. */
export type OrNull<Call> = Call & { readonly orNull: true };

/** The aggregates that have no value before the first row. */
type ValueKind = "sum" | "avg" | "min" | "max" | "percentile" | "stringAgg" | "first" | "last" | "minBy" | "maxBy";

/**
 * The same aggregate with a result that may be null. Every group has a row, so this differs only for an aggregate that is added to a job that
 * goes on from a snapshot: groups and windows of before have no value for it until their next row, and then give null instead of 0.
 */
export const orNull = <Call extends AggregateCall<ValueKind, string, string, unknown, never>>(call: Call): OrNull<Call> => ({
  ...call,
  orNull: true,
});
