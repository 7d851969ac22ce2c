// Rows grouped by a key: aggregates, windows, joins and functions with state per key.
import { parseDuration } from "../base/duration.ts";
import type { Declarations } from "../core/handles/declarations.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Schema } from "../core/schema/schema.ts";
import { type GroupAggregateParams, groupAggregate, resolveGroupAggregate } from "../operators/aggregate/group-aggregate.ts";
import type { AggregateResults, ValidAggregates } from "../operators/aggregate/call-types.ts";
import type { AggregateCalls } from "../operators/aggregate/call.ts";
import { aggregatesJson } from "../operators/aggregate/resolve.ts";
import type { JoinType } from "../operators/join/join-output.ts";
import type { BroadcastDeclarations } from "../operators/process/broadcast-state.ts";
import type { BroadcastFunctions } from "../operators/process/broadcast-process.ts";
import type { CoProcessFunctions, ProcessFunctions } from "../operators/process/keyed-process.ts";
import type { SideTypes } from "../operators/process/process-context.ts";
import type { SessionWindow, SlidingWindow, TumblingWindow, WindowSpec } from "../operators/window/window-spec.ts";
import {
  addBroadcast,
  addCoProcess,
  addProcess,
  addReduce,
  type BroadcastShape,
  type FunctionShape,
  type ReduceOptions,
} from "./functions.ts";
import { refuseUpserts, requireInserts } from "./changelogs.ts";
import type {
  IntervalJoinOptions,
  JoinFunction,
  JoinOptions,
  JoinPrefixes,
  JoinedRow,
  LateSides,
  ReferenceJoinOptions,
  RegularJoinOptions,
  WindowJoinOptions,
} from "./join-types.ts";
import { type JoinKind, type JoinShape, addJoin, intervalBound } from "./joins.ts";
import {
  type DedupeOptions,
  type TableOptions,
  type TopNOptions,
  addDedupe,
  addTable,
  addTopN,
  addWindowTopN,
  processingTtl,
} from "./ranks.ts";
import { addReferenceJoin } from "./reference-join.ts";
import type { SideRows, Stream } from "./stream.ts";
import { type OperatorOptions, type StreamRef, addNode, hashInput } from "./stream-ref.ts";
import { addHistory, type HistoryOptions } from "./tables.ts";
import { addLocalAggregate, type LocalFirst } from "./window-nodes.ts";
import { type StreamMaker, WindowedStream } from "./windowed-stream.ts";
import type { Duration } from "./windows.ts";

export interface AggregateOptions extends OperatorOptions {
  /** Leave out the rows that are replaced (update-before): for sinks that upsert. Default false. */
  readonly upsert?: boolean;
  /** Forget a key that got no row for this long. Default: never. */
  readonly ttl?: Duration;
  /** Adds rows up before they cross to the instance that owns their key. Default: not. */
  readonly localFirst?: LocalFirst;
  /** A key's changes wait and go out as one, `limit` after the first of them. Default: they go out at once. */
  readonly suppress?: SuppressOptions;
}

export interface SuppressOptions {
  readonly limit: Duration;
  /** `event` (the default): when event time or the clock has gone so far, whichever is first. `processing`: the clock alone. */
  readonly time?: "event" | "processing";
}

export class KeyedStream<Row, Keys extends keyof Row & string> {
  readonly ref: StreamRef;
  readonly fields: readonly Keys[];
  readonly #make: StreamMaker;

  constructor(ref: StreamRef, fields: readonly Keys[], make: StreamMaker) {
    this.ref = ref;
    this.fields = fields;
    this.#make = make;
  }

  get schema(): Schema<Row> {
    return this.ref.schema as Schema<Row>;
  }

  /** Windows over event time (or processing time), per key. */
  window<const W extends WindowSpec>(window: W): WindowedStream<Row, Keys, W> {
    return new WindowedStream(this.ref, this.fields, window, this.#make);
  }

  /** A running aggregate per key: a changelog with the latest result of each key. */
  aggregate<const Calls extends AggregateCalls>(
    calls: Calls & ValidAggregates<Row, Calls>,
    options: AggregateOptions = {},
  ): Stream<Pick<Row, Keys> & AggregateResults<Row, Calls>> {
    const { upsert = false, ttl, localFirst, suppress, ...rest } = options;
    refuseUpserts(this.ref, "aggregate");
    const params: GroupAggregateParams = {
      input: this.schema,
      key: keyLayout(this.schema, this.fields),
      calls,
      retracting: this.ref.changelog !== "append",
      updateBefore: !upsert,
      ...(localFirst === undefined ? {} : { partial: true }),
      ...(ttl === undefined ? {} : { ttl: processingTtl(ttl) }),
      ...(suppress === undefined
        ? {}
        : { suppress: { limitMs: parseDuration(suppress.limit, "suppress.limit"), time: suppress.time ?? "event" } }),
    };
    const { output } = resolveGroupAggregate(params);
    const custom = Object.values(calls).some((call) => call.kind === "custom");
    const read = Object.values(calls).flatMap((call) => [call.field, call.by].filter((name) => name !== undefined));
    const reads = [custom ? null : [...new Set([...this.fields, ...read])]];
    const from = localFirst === undefined ? this.ref : addLocalAggregate(this, localFirst, calls, reads);
    const ref = addNode(
      this.ref.graph,
      {
        kind: "aggregate",
        inputs: [hashInput(from, this.fields)],
        schema: output,
        changelog: upsert ? "upsert" : "retract",
        stateful: true,
        options: { aggregates: aggregatesJson(calls), key: this.fields, ...(suppress === undefined ? {} : { suppress: params.suppress }) },
        reads: localFirst === undefined ? reads : [null],
        body: { kind: "operator", create: groupAggregate(params), keyed: true },
      },
      rest,
    );
    return this.#make(ref);
  }

  /** Pairs of rows with equal keys in the same window, when the window closes. Late rows are in `.side("lateLeft")` and `.side("lateRight")`. */
  joinWindow<R, RK extends keyof R & string, T extends JoinType = "inner", LP extends string = "", RP extends string = "">(
    other: KeyedStream<R, RK>,
    window: TumblingWindow | SlidingWindow | SessionWindow,
    options?: WindowJoinOptions<T> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>, LateSides<Row, R>>;
  joinWindow<R, RK extends keyof R & string, Out, T extends JoinType = "inner">(
    other: KeyedStream<R, RK>,
    window: TumblingWindow | SlidingWindow | SessionWindow,
    options: WindowJoinOptions<T> & JoinFunction<Row, R, Out>,
  ): Stream<Out, LateSides<Row, R>>;
  joinWindow(
    other: KeyedStream<never, never>,
    window: TumblingWindow | SlidingWindow | SessionWindow,
    options: WindowJoinOptions<JoinType> & JoinShape = {},
  ): Stream<unknown, LateSides<unknown, unknown>> {
    const { grace, ...rest } = options;
    return this.#join(other, { kind: "window", window, graceMs: grace === undefined ? 0 : parseDuration(grace, "grace") }, rest);
  }

  /** Pairs of rows with equal keys whose times are at most so far apart. Late rows are in `.side("lateLeft")` and `.side("lateRight")`. */
  joinInterval<
    R,
    RK extends keyof R & string,
    T extends "inner" | "left" | "right" | "full" = "inner",
    LP extends string = "",
    RP extends string = "",
  >(
    other: KeyedStream<R, RK>,
    options: IntervalJoinOptions<T> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>, LateSides<Row, R>>;
  joinInterval<R, RK extends keyof R & string, Out, T extends "inner" | "left" | "right" | "full" = "inner">(
    other: KeyedStream<R, RK>,
    options: IntervalJoinOptions<T> & JoinFunction<Row, R, Out>,
  ): Stream<Out, LateSides<Row, R>>;
  joinInterval(
    other: KeyedStream<never, never>,
    options: IntervalJoinOptions<JoinType> & JoinShape,
  ): Stream<unknown, LateSides<unknown, unknown>> {
    const { lower, upper, ...rest } = options;
    return this.#join(other, { kind: "interval", lowerMs: intervalBound(lower, "lower"), upperMs: intervalBound(upper, "upper") }, rest);
  }

  /**
   * Each row with the row of a table that was valid at its time. The table is a stream keyed by its primary key; a change of it is
   * valid from its own time on. A row waits until the watermark has reached its time, so the result does not depend on arrival; rows
   * that come behind the watermark are in `.side("lateLeft")`.
   */
  joinTable<R, RK extends keyof R & string, T extends "inner" | "left" = "inner", LP extends string = "", RP extends string = "">(
    table: KeyedStream<R, RK>,
    options?: JoinOptions<T> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>, { readonly lateLeft: Row }>;
  joinTable<R, RK extends keyof R & string, Out, T extends "inner" | "left" = "inner">(
    table: KeyedStream<R, RK>,
    options: JoinOptions<T> & JoinFunction<Row, R, Out>,
  ): Stream<Out, { readonly lateLeft: Row }>;
  joinTable(
    table: KeyedStream<never, never>,
    options: JoinOptions<JoinType> & JoinShape = {},
  ): Stream<unknown, { readonly lateLeft: unknown }> {
    return this.#join(table, { kind: "temporal" }, options);
  }

  /** Each row with the row of a table as it is when the row arrives: nothing waits, and the result depends on arrival. */
  lookup<R, RK extends keyof R & string, T extends "inner" | "left" = "inner", LP extends string = "", RP extends string = "">(
    table: KeyedStream<R, RK>,
    options?: JoinOptions<T> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>>;
  lookup<R, RK extends keyof R & string, Out, T extends "inner" | "left" = "inner">(
    table: KeyedStream<R, RK>,
    options: JoinOptions<T> & JoinFunction<Row, R, Out>,
  ): Stream<Out>;
  lookup(table: KeyedStream<never, never>, options: JoinOptions<JoinType> & JoinShape = {}): Stream<unknown> {
    return this.#join(table, { kind: "lookup" }, options);
  }

  /** All pairs of rows with equal keys, as a changelog that follows both sides. State grows with the input unless `ttl` bounds it. */
  join<R, RK extends keyof R & string, T extends JoinType = "inner", LP extends string = "", RP extends string = "">(
    other: KeyedStream<R, RK>,
    options?: RegularJoinOptions<T, Row, R> & JoinPrefixes<LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>>;
  join<R, RK extends keyof R & string, Out, T extends JoinType = "inner">(
    other: KeyedStream<R, RK>,
    options: RegularJoinOptions<T, Row, R> & JoinFunction<Row, R, Out>,
  ): Stream<Out>;
  join(other: KeyedStream<never, never>, options: RegularJoinOptions<JoinType> & JoinShape = {}): Stream<unknown> {
    const { ttl, leftUnique, rightUnique, ...rest } = options;
    const ttlMs = ttl === undefined ? undefined : parseDuration(ttl, "ttl");
    return this.#join(other, { kind: "regular", ttlMs, leftUnique, rightUnique }, rest);
  }

  /**
   * Rows that refer to a table by their key, each with the row it refers to, as a table by the primary key of the rows: a change of a
   * row of the table changes all results that refer to it.
   */
  joinReference<R, RK extends keyof R & string, T extends "inner" | "left" = "inner", LP extends string = "", RP extends string = "">(
    table: KeyedStream<R, RK>,
    options: ReferenceJoinOptions<T, Row, LP, RP>,
  ): Stream<JoinedRow<Row, R, T, LP, RP>> {
    const { uid, parallelism, type = "inner", ...shape } = options;
    return this.#make(addReferenceJoin(this, table, { type, ...shape }, nodeOptions(uid, parallelism)));
  }

  /** Every version of each key's row, with the time from which and until which it was valid; a change counts from its row's time on. */
  history<From extends string = "validFrom", To extends string = "validTo">(
    options: HistoryOptions<From, To> = {},
  ): Stream<Row & { readonly [K in From]: number } & { readonly [K in To]: number | null }, { readonly late: Row }> {
    return this.#make(addHistory(this, options));
  }

  /** One row per key: the first, as an append-only stream, or the last, as a changelog. Rows that come too late are in `.side("late")`. */
  dedupe(options: DedupeOptions = {}): Stream<Row, { readonly late: Row }> {
    requireInserts(this.ref, "dedupe");
    return this.#make(addDedupe(this, options));
  }

  /** The first `limit` rows of each key by an order, as a changelog. */
  topN<R extends string = never>(
    limit: number,
    options: TopNOptions<Row> & { readonly rank?: R },
  ): Stream<Row & { readonly [K in R]: number }> {
    return this.#make(addTopN(this, limit, options));
  }

  /** The first `limit` rows of each key and window, when the window closes; over the result of a window. */
  windowTopN<R extends string = never>(
    limit: number,
    options: TopNOptions<Row> & { readonly rank?: R; readonly windowEnd?: keyof Row & string },
  ): Stream<Row & { readonly [K in R]: number }, { readonly late: Row }> {
    requireInserts(this.ref, "windowTopN");
    return this.#make(addWindowTopN(this, limit, options));
  }

  /** The latest row of each key as a changelog that retracts: a stream as a table. */
  toTable(options: TableOptions<Row> = {}): Stream<Row> {
    return this.#make(addTable(this, options));
  }

  /** The user's functions over the rows of each key, with state and timers. */
  process<Out, D extends Declarations = {}, Sides extends SideTypes = {}>(
    functions: ProcessFunctions<Row, Pick<Row, Keys>, Out, D, Sides>,
    shape: FunctionShape<Out, D, Sides>,
  ): Stream<Out, Sides> {
    return this.#make(addProcess(this, functions, shape));
  }

  /** The same over two streams that share state and timers per key. */
  processWith<R, RK extends keyof R & string, Out, D extends Declarations = {}, Sides extends SideTypes = {}>(
    other: KeyedStream<R, RK>,
    functions: CoProcessFunctions<Row, R, Pick<Row, Keys>, Out, D, Sides>,
    shape: FunctionShape<Out, D, Sides>,
  ): Stream<Out, Sides> {
    return this.#make(addCoProcess(this, other, functions, shape));
  }

  /** The same with maps that every instance holds and that the rows of `rules` change. */
  broadcast<Rule, Out, B extends BroadcastDeclarations, D extends Declarations = {}, Sides extends SideTypes = {}>(
    rules: Stream<Rule, SideRows>,
    functions: BroadcastFunctions<Row, Rule, Pick<Row, Keys>, Out, D, NoInfer<B>, Sides>,
    shape: BroadcastShape<Out, D, B, Sides>,
  ): Stream<Out, Sides> {
    return this.#make(addBroadcast(this, rules.ref, functions, shape));
  }

  /** Rows of each key reduced to one, step by step. */
  reduce(fn: (reduced: Row, row: Row) => Row, options: ReduceOptions = {}): Stream<Row> {
    requireInserts(this.ref, "reduce");
    return this.#make(addReduce(this, fn, options));
  }

  #join(
    other: { readonly ref: StreamRef; readonly fields: readonly string[] },
    how: JoinKind,
    options: JoinOptions<JoinType> & JoinShape,
  ): Stream<unknown, LateSides<unknown, unknown>> {
    const { uid, parallelism, type = "inner", ...shape } = options;
    return this.#make(addJoin(this, other, type, how, shape, nodeOptions(uid, parallelism)));
  }
}

function nodeOptions(uid: string | undefined, parallelism: number | undefined): OperatorOptions {
  return { ...(uid === undefined ? {} : { uid }), ...(parallelism === undefined ? {} : { parallelism }) };
}
