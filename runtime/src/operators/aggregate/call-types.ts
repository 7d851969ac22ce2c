// What the compiler knows of aggregate calls: the type of each result, and which calls do not fit a row.
import type { Decimal } from "../../core/schema/decimal.ts";
import type { AggregateCall, AggregateCalls } from "./call.ts";

type FieldOf<Row, Name> = Name extends keyof Row ? Row[Name] : never;
/** Null where a field may be null or missing, nothing else. */
type NullOf<T> = T extends null | undefined ? null : never;
type Numeric = number | bigint | Decimal;

type SumOf<T> = (NonNullable<T> extends bigint ? bigint : NonNullable<T> extends Decimal ? Decimal : number) | NullOf<T>;
type AverageOf<T> = (NonNullable<T> extends Decimal ? Decimal : number) | NullOf<T>;

/** The type of a call's result over rows of type `Row`. */
export type AggregateResult<Row, Call> = ResultOf<Row, Call> | (Call extends { readonly orNull: true } ? null : never);

type ResultOf<Row, Call> =
  Call extends AggregateCall<infer Kind, infer Name, infer By, infer Result, infer _InRow>
    ? Kind extends "count" | "countDistinct" | "countDistinctApprox"
      ? number
      : Kind extends "sum"
        ? SumOf<FieldOf<Row, Name>>
        : Kind extends "avg"
          ? AverageOf<FieldOf<Row, Name>>
          : Kind extends "percentile"
            ? number | NullOf<FieldOf<Row, Name>>
            : Kind extends "min" | "max" | "first" | "last"
              ? NonNullable<FieldOf<Row, Name>> | NullOf<FieldOf<Row, Name>>
              : Kind extends "minBy" | "maxBy"
                ? NonNullable<FieldOf<Row, Name>> | NullOf<FieldOf<Row, Name>> | NullOf<FieldOf<Row, By>>
                : Kind extends "collect" | "collectSet"
                  ? readonly NonNullable<FieldOf<Row, Name>>[]
                  : Kind extends "stringAgg"
                    ? string | NullOf<FieldOf<Row, Name>>
                    : Result
    : never;

/** The row that aggregate calls give, without the key. */
export type AggregateResults<Row, Calls extends AggregateCalls> = { readonly [Name in keyof Calls]: AggregateResult<Row, Calls[Name]> };

/** Stands where a call does not fit, so that the compiler's message says why. */
export interface AggregateFault<Message extends string> {
  readonly "~fault": Message;
}

type CheckField<Row, Call, Name, Allowed, Message extends string> = [Name] extends [keyof Row]
  ? [NonNullable<Row[Name]>] extends [Allowed]
    ? Call
    : AggregateFault<Message>
  : AggregateFault<`"${Name & string}" is not a field of the row`>;

type CheckCall<Row, Call> =
  Call extends AggregateCall<infer Kind, infer Name, infer By, infer _Result, infer InRow>
    ? Kind extends "custom"
      ? [Row] extends [InRow]
        ? Call
        : AggregateFault<"the custom aggregate takes another row type">
      : [Name] extends [never]
        ? Call
        : Kind extends "sum" | "avg" | "percentile"
          ? CheckField<Row, Call, Name, Numeric, `${Kind} needs a numeric field`>
          : Kind extends "stringAgg"
            ? CheckField<Row, Call, Name, string, "stringAgg needs a text field">
            : Kind extends "min" | "max"
              ? CheckField<Row, Call, Name, Numeric | string | boolean, `${Kind} needs a field whose values have an order`>
              : Kind extends "countDistinct" | "countDistinctApprox" | "collectSet"
                ? CheckField<Row, Call, Name, Numeric | string | boolean | Uint8Array, `${Kind} needs a scalar field`>
                : Kind extends "minBy" | "maxBy"
                  ? CheckField<
                      Row,
                      CheckField<Row, Call, By, Numeric | string | boolean, `${Kind} needs an order by a field whose values have one`>,
                      Name,
                      unknown,
                      ""
                    >
                  : CheckField<Row, Call, Name, unknown, "">
    : AggregateFault<"this is not an aggregate">;

/**
 * `Calls` itself where every call fits rows of type `Row`. A function takes `calls: Calls & ValidAggregates<Row, Calls>`, so an
 * unknown field or a sum over texts is a compile error at the call.
 */
export type ValidAggregates<Row, Calls> = { readonly [Name in keyof Calls]: CheckCall<Row, Calls[Name]> };
