// A DataFrame: a query over bounded or unbounded input, typed by its rows and evaluated only when it is written somewhere.
import { parseDuration } from "../base/duration.ts";
import { MillraceError } from "../base/errors.ts";
import { type Column, columnsProxy, type ColumnsOf, type NamedColumns, type RowOfColumns } from "./expression/column.ts";
import type { Expr } from "./expression/expr.ts";
import type { Duration } from "./expression/functions.ts";
import type { OutputMode } from "../operators/frame/frame-aggregate.ts";
import type { BatchQuery, FrameSink, StreamQuery, Trigger } from "./query.ts";
import { GroupedData, type KeyRow, namedExprs } from "./grouped-data.ts";
import type { JoinType, NamedExpr, Relation, SortKey } from "./relation/relation.ts";

type Name<Row> = keyof Row & string;
type Prettify<T> = { readonly [K in keyof T]: T[K] };
/** `T` with every value nullable: the side of an outer join that may be missing. */
type Nullable<T> = { readonly [K in keyof T]: T[K] | null };

/** The rows of a join: columns that both sides have under one name must be named in `using`, or renamed before. */
export type JoinedRow<L, R, K, T extends JoinType> = T extends "semi" | "anti"
  ? L
  : T extends "left"
    ? Prettify<L & Nullable<Omit<R, K & keyof R>>>
    : T extends "right"
      ? Prettify<Nullable<Omit<L, K & keyof L>> & R>
      : T extends "full"
        ? Prettify<Pick<L, K & keyof L> & Nullable<Omit<L, K & keyof L>> & Nullable<Omit<R, K & keyof R>>>
        : Prettify<L & Omit<R, K & keyof R>>;

/** One column to sort by; ascending unless it says otherwise; nulls are the least. */
export interface Ordering<Row> {
  readonly by: Name<Row>;
  readonly descending?: boolean;
  readonly nullsFirst?: boolean;
}

export interface JoinOptions {
  /** The stable name of a join that keeps state. */
  readonly name?: string;
}

export class DataFrame<Row = unknown> {
  /** The type of the rows; exists for the compiler only. */
  declare readonly "~row": Row;
  readonly relation: Relation;

  constructor(relation: Relation) {
    this.relation = relation;
  }

  /** Some columns by name, or columns made from them: `select((c) => ({ who: c.bidder, euros: c.price.dividedBy(100) }))`. */
  select<C extends NamedColumns>(make: (columns: ColumnsOf<Row>) => C): DataFrame<RowOfColumns<C>>;
  select<K extends Name<Row>>(...names: readonly K[]): DataFrame<Pick<Row, K>>;
  select(...what: readonly unknown[]): unknown {
    const [make] = what;
    const columns =
      typeof make === "function"
        ? namedExprs((make as (columns: ColumnsOf<Row>) => NamedColumns)(columnsProxy<Row>()))
        : (what as readonly string[]).map((name) => ({ name, expr: { kind: "column", name } as const }));
    return new DataFrame({ kind: "project", input: this.relation, columns });
  }

  /** `SELECT` items in SQL: `selectExpr("bidder", "price / 100 AS euros", "*")`. The row type is the caller's claim. */
  selectExpr<Out = Record<string, unknown>>(...items: readonly string[]): DataFrame<Out> {
    return new DataFrame({ kind: "selectSql", input: this.relation, items });
  }

  withColumn<K extends string, T>(
    name: K,
    make: (columns: ColumnsOf<Row>) => Column<T>,
  ): DataFrame<Prettify<Omit<Row, K> & { readonly [P in K]: T }>> {
    return this.#with([{ name, expr: make(columnsProxy<Row>()).expr }]);
  }

  withColumnRenamed<K extends Name<Row>, N extends string>(
    from: K,
    to: N,
  ): DataFrame<Prettify<Omit<Row, K> & { readonly [P in N]: Row[K] }>> {
    return this.#with([], { [from]: to });
  }

  drop<K extends Name<Row>>(...names: readonly K[]): DataFrame<Omit<Row, K>> {
    return this.#with([], {}, names);
  }

  #with<Out>(
    columns: readonly { readonly name: string; readonly expr: Expr }[],
    renamed: Readonly<Record<string, string>> = {},
    dropped: readonly string[] = [],
  ): DataFrame<Out> {
    return new DataFrame({ kind: "withColumns", input: this.relation, columns, renamed, dropped });
  }

  /** The rows for which a condition is true: a function of the columns, or SQL. */
  filter(condition: string | ((columns: ColumnsOf<Row>) => Column<boolean | null>)): DataFrame<Row> {
    const expr: Expr = typeof condition === "string" ? { kind: "sql", text: condition } : condition(columnsProxy<Row>()).expr;
    return new DataFrame({ kind: "filter", input: this.relation, condition: expr });
  }

  /** The same as `filter`. */
  where(condition: string | ((columns: ColumnsOf<Row>) => Column<boolean | null>)): DataFrame<Row> {
    return this.filter(condition);
  }

  /**
   * Event time: `column` holds it, and rows may be up to `delay` behind the latest. Before a batch the watermark is the latest time
   * of all batches before it, less the delay.
   */
  withWatermark(column: Name<Row>, delay: Duration): DataFrame<Row> {
    return new DataFrame({ kind: "watermark", input: this.relation, column, delayMs: parseDuration(delay, "watermark delay") });
  }

  /** Groups by columns, or by columns made from them, windows included; without any, all rows are one group. */
  groupBy<C extends NamedColumns>(make: (columns: ColumnsOf<Row>) => C): GroupedData<Row, KeyRow<C>>;
  groupBy<K extends Name<Row>>(...names: readonly K[]): GroupedData<Row, Pick<Row, K>>;
  groupBy(...what: readonly unknown[]): unknown {
    const [make] = what;
    const keys =
      typeof make === "function"
        ? namedExprs((make as (columns: ColumnsOf<Row>) => NamedColumns)(columnsProxy<Row>()))
        : (what as readonly string[]).map((name) => ({ name, expr: { kind: "column", name } as const }));
    return this.#grouped(keys);
  }

  #grouped<Keys>(keys: readonly NamedExpr[]): GroupedData<Row, Keys> {
    return new GroupedData<Row, Keys>(this.relation, keys, <R>(relation: Relation) => new DataFrame<R>(relation));
  }

  /** Aggregates over all rows. */
  agg<C extends Readonly<Record<string, Column>>>(make: (columns: ColumnsOf<Row>) => C): DataFrame<Prettify<RowOfColumns<C>>> {
    return this.#grouped<unknown>([]).agg(make) as DataFrame<Prettify<RowOfColumns<C>>>;
  }

  /**
   * Rows of both sides that belong together: by columns of the same name, which then occur once, or by a condition. A join of two
   * streams needs equalities; with watermarks on both and a bound on their times its state stays bounded.
   */
  join<R, K extends Name<Row> & Name<R>, T extends JoinType = "inner">(
    other: DataFrame<R>,
    using: readonly K[],
    type?: T,
    options?: JoinOptions,
  ): DataFrame<JoinedRow<Row, R, K, T>>;
  join<R, T extends JoinType = "inner">(
    other: DataFrame<R>,
    on: (left: ColumnsOf<Row>, right: ColumnsOf<R>) => Column<boolean | null>,
    type?: T,
    options?: JoinOptions,
  ): DataFrame<JoinedRow<Row, R, never, T>>;
  join<R>(other: DataFrame<R>, on: unknown, type: JoinType = "inner", options: JoinOptions = {}): unknown {
    const condition =
      typeof on === "function"
        ? (on as (left: ColumnsOf<Row>, right: ColumnsOf<R>) => Column<boolean | null>)(columnsProxy<Row>("left"), columnsProxy<R>("right"))
            .expr
        : undefined;
    return new DataFrame({
      kind: "join",
      left: this.relation,
      right: other.relation,
      type,
      using: condition === undefined ? (on as readonly string[]) : [],
      condition,
      ...options,
    });
  }

  /** The rows of both, duplicates included; columns go by name. */
  union(other: DataFrame<Row>): DataFrame<Row> {
    return new DataFrame({ kind: "union", inputs: [this.relation, other.relation] });
  }

  /** Each row once. */
  distinct(options: JoinOptions = {}): DataFrame<Row> {
    return new DataFrame({ kind: "dedupe", input: this.relation, columns: [], withinWatermark: false, ...options });
  }

  /** One row per value of the named columns (of all, without any). With the event-time column among them, state is bounded. */
  dropDuplicates(...columns: readonly Name<Row>[]): DataFrame<Row> {
    return new DataFrame({ kind: "dedupe", input: this.relation, columns, withinWatermark: false });
  }

  /** As `dropDuplicates`, where duplicates come no further apart than the watermark's delay. */
  dropDuplicatesWithinWatermark(...columns: readonly Name<Row>[]): DataFrame<Row> {
    return new DataFrame({ kind: "dedupe", input: this.relation, columns, withinWatermark: true });
  }

  /** Sorted rows: in batches, and of streams in complete mode. */
  orderBy(...keys: readonly (Name<Row> | Ordering<Row>)[]): DataFrame<Row> {
    const sorted = keys.map((key): SortKey => {
      const { by, descending = false, nullsFirst } = typeof key === "string" ? { by: key } : (key as Ordering<Row>);
      return { expr: { kind: "column", name: by }, descending, nullsFirst };
    });
    return new DataFrame({ kind: "sort", input: this.relation, keys: sorted });
  }

  /** The first `count` rows. */
  limit(count: number): DataFrame<Row> {
    if (!Number.isSafeInteger(count) || count < 0)
      throw new MillraceError("OPTION_INVALID", "limit", `${count} is not a number of rows`, "give a whole number from 0 on");
    return new DataFrame({ kind: "limit", input: this.relation, count });
  }

  /** One row per element of a list, in column `as`; `outer` keeps rows whose list is empty or null, with null. */
  explode<K extends string, T>(
    as: K,
    list: (columns: ColumnsOf<Row>) => Column<readonly T[] | null>,
    options: { readonly outer?: boolean } = {},
  ): DataFrame<Prettify<Omit<Row, K> & { readonly [P in K]: T }>> {
    return new DataFrame({
      kind: "explode",
      input: this.relation,
      list: list(columnsProxy<Row>()).expr,
      as,
      outer: options.outer ?? false,
    });
  }

  /** The query that writes what the DataFrame gives to a sink, batch by batch. A driver runs it. */
  writeStream(sink: FrameSink<Row>, options: WriteStreamOptions = {}): StreamQuery {
    const { name = "query", mode = "append", trigger = {} } = options;
    return { kind: "stream", name, relation: this.relation, sink: sink as FrameSink<never>, mode, trigger: triggerOf(trigger) };
  }

  /** The query that writes the DataFrame once. A driver runs it. */
  write(sink: FrameSink<Row>, options: { readonly name?: string } = {}): BatchQuery {
    return { kind: "batch", name: options.name ?? "query", relation: this.relation, sink: sink as FrameSink<never> };
  }
}

/** When batches run; default: one after the other, while there is input. */
export type TriggerOptions = { readonly processingTime?: Duration } | { readonly availableNow: true } | { readonly once: true };

export interface WriteStreamOptions {
  /** Names the query's folder in its checkpoint location. Default `query`. */
  readonly name?: string;
  /** Default `append`. */
  readonly mode?: OutputMode;
  readonly trigger?: TriggerOptions;
}

function triggerOf(options: TriggerOptions): Trigger {
  if ("availableNow" in options) return { kind: "availableNow" };
  if ("once" in options) return { kind: "once" };
  return {
    kind: "processingTime",
    intervalMs: options.processingTime === undefined ? 0 : parseDuration(options.processingTime, "trigger interval"),
  };
}
