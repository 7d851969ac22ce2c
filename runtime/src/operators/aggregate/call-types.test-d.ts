// What the compiler must accept and refuse of aggregate calls. Nothing here runs: a wrong line fails the type check.
import type { Decimal } from "../../core/schema/decimal.ts";
import { decimal, float64, int53, int64, list, string } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import {
  type AggregateCalls,
  avg,
  collect,
  count,
  countDistinct,
  custom,
  first,
  max,
  maxBy,
  min,
  orNull,
  percentile,
  stringAgg,
  sum,
} from "./call.ts";
import type { AggregateResults, ValidAggregates } from "./call-types.ts";

const bids = schema({
  price: int64(),
  safe: int53(),
  cost: decimal(18, 2),
  score: float64().nullable(),
  name: string(),
  note: string().optional(),
  tags: list(string()),
});
type Bid = RowType<typeof bids>;

declare function aggregate<const Calls extends AggregateCalls>(calls: Calls & ValidAggregates<Bid, Calls>): AggregateResults<Bid, Calls>;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(equal: Equal<A, B>): void;

const longest = custom({
  state: int53(),
  returns: string().nullable(),
  create: () => 0,
  add: (most, row: { readonly name: string }) => Math.max(most, row.name.length),
  merge: (a, b) => Math.max(a, b),
  result: (most) => (most === 0 ? null : "x".repeat(most)),
});

const out = aggregate({
  n: count(),
  scored: count("score"),
  total: sum("price"),
  safe: sum("safe"),
  cost: sum("cost"),
  score: sum("score"),
  mean: avg("price"),
  meanCost: avg("cost"),
  best: max("price"),
  bestYet: orNull(max("price")),
  low: min("score"),
  kinds: countDistinct("name"),
  p99: percentile("safe", 0.99),
  p50: percentile("score", 0.5),
  names: collect("name"),
  notes: collect("note"),
  joined: stringAgg("name"),
  joinedNotes: stringAgg("note"),
  opening: first("tags"),
  note: first("note"),
  dearest: maxBy("name", "price"),
  scorer: maxBy("name", "score"),
  longest,
});

same<typeof out.n, number>(true);
same<typeof out.scored, number>(true);
same<typeof out.total, bigint>(true);
same<typeof out.safe, number>(true);
same<typeof out.cost, Decimal>(true);
same<typeof out.score, number | null>(true);
same<typeof out.mean, number>(true);
same<typeof out.meanCost, Decimal>(true);
same<typeof out.best, bigint>(true);
same<typeof out.bestYet, bigint | null>(true);
same<typeof out.low, number | null>(true);
same<typeof out.kinds, number>(true);
same<typeof out.p99, number>(true);
same<typeof out.p50, number | null>(true);
same<typeof out.names, readonly string[]>(true);
same<typeof out.notes, readonly string[]>(true);
same<typeof out.joined, string>(true);
same<typeof out.joinedNotes, string | null>(true);
same<typeof out.opening, readonly string[]>(true);
same<typeof out.note, string | null>(true);
same<typeof out.dearest, string>(true);
same<typeof out.scorer, string | null>(true);
same<typeof out.longest, string | null>(true);

// @ts-expect-error not a field
aggregate({ x: sum("prize") });
// @ts-expect-error a text has no sum
aggregate({ x: sum("name") });
// @ts-expect-error nor a mean
aggregate({ x: avg("note") });
// @ts-expect-error nor percentiles
aggregate({ x: percentile("name", 0.5) });
// @ts-expect-error a count is never null
aggregate({ x: orNull(count()) });
// @ts-expect-error a field is a field
aggregate({ x: orNull(max("prize")) });
// @ts-expect-error a list has no order
aggregate({ x: max("tags") });
// @ts-expect-error nor is it compared
aggregate({ x: countDistinct("tags") });
// @ts-expect-error the order must have one too
aggregate({ x: maxBy("name", "tags") });
// @ts-expect-error and be a field
aggregate({ x: maxBy("name", "nowhere") });
// @ts-expect-error numbers are not joined
aggregate({ x: stringAgg("safe") });
const ofOther = custom({
  state: int53(),
  returns: int53(),
  create: () => 0,
  add: (n, row: { readonly other: string }) => n + row.other.length,
  merge: (a) => a,
  result: (n) => n,
});
// @ts-expect-error the custom aggregate reads a field that the row does not have
aggregate({ x: ofOther });
