// The functions that make columns: constants, SQL, conditions, windows, aggregates, functions of the user's own.
import { parseDuration } from "../../base/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Decimal } from "../../core/schema/decimal.ts";
import type { Field } from "../../core/schema/field.ts";
import { AggregateColumn, Column, exprOf, WindowColumn } from "./column.ts";
import type { AggregateName, Expr, LiteralValue } from "./expr.ts";

/** Milliseconds, or text such as `10 s`. */
export type Duration = number | string;

/** A column by its name. */
export function col<T = unknown>(name: string): Column<T> {
  return new Column({ kind: "column", name });
}

/** A constant. */
export function lit<const T extends LiteralValue>(value: T): Column<T> {
  return new Column({ kind: "literal", value });
}

/** SQL over the columns of the input: `expr<number>("price * 100")`. */
export function expr<T = unknown>(sql: string): Column<T> {
  return new Column({ kind: "sql", text: sql });
}

/** A function of the SQL dialect by its name: `call("upper", c.name)`. */
export function call<T = unknown>(name: string, ...args: readonly (Column | LiteralValue)[]): Column<T> {
  return new Column({ kind: "call", name, args: args.map(exprOf) });
}

/** The first value that is not null. */
export function coalesce<T>(...columns: readonly (Column<T> | LiteralValue)[]): Column<NonNullable<T>> {
  return new Column({ kind: "call", name: "coalesce", args: columns.map(exprOf) });
}

/** The type of a constant among others of its kind: a text and not this text. */
type Widened<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T extends bigint ? bigint : T;

/** `when(c.price.gt(100), "dear").when(c.price.gt(10), "fair").otherwise("cheap")`; null where no condition holds. */
export function when<T>(condition: Column<boolean | null>, value: Column<T> | (T & LiteralValue)): Cases<Widened<T>> {
  return new Cases([{ when: condition.expr, value: exprOf(value) }]);
}

export class Cases<T> extends Column<T | null> {
  readonly #branches: readonly { readonly when: Expr; readonly value: Expr }[];

  constructor(branches: readonly { readonly when: Expr; readonly value: Expr }[]) {
    super({ kind: "case", branches, otherwise: undefined });
    this.#branches = branches;
  }

  when(condition: Column<boolean | null>, value: Column<T> | (T & LiteralValue)): Cases<T> {
    return new Cases([...this.#branches, { when: condition.expr, value: exprOf(value) }]);
  }

  otherwise(value: Column<T> | (T & LiteralValue)): Column<T> {
    return new Column({ kind: "case", branches: this.#branches, otherwise: exprOf(value) });
  }
}

/**
 * Windows of event time as a grouping: of one size, side by side, or one every `slide`. The result has `<name>_start` and
 * `<name>_end`. A row whose time is null is in no window.
 */
export function window(time: Column, size: Duration, slide?: Duration, offset?: Duration): WindowColumn {
  const sizeMs = parseDuration(size, "window size");
  const slideMs = slide === undefined ? sizeMs : parseDuration(slide, "window slide");
  const offsetMs = offset === undefined ? 0 : parseDuration(offset, "window offset");
  if (sizeMs < 1 || slideMs < 1 || slideMs > sizeMs || sizeMs / slideMs > 10_000) {
    throw new MillraceError(
      "DATAFRAME_WINDOW",
      "window",
      `a size of ${sizeMs} ms with a slide of ${slideMs} ms is not possible`,
      "give a slide between 1 ms and the size, and no more than 10,000 windows per row",
    );
  }
  return new WindowColumn({ kind: "window", time: time.expr, sizeMs, slideMs, offsetMs });
}

/** Sessions as a grouping: rows of a group that are less than `gap` apart. */
export function sessionWindow(time: Column, gap: Duration): WindowColumn {
  const gapMs = parseDuration(gap, "session gap");
  if (gapMs < 1) throw new MillraceError("DATAFRAME_WINDOW", "session window", "its gap is zero", "give a gap of at least 1 ms");
  return new WindowColumn({ kind: "session", time: time.expr, gapMs });
}

function aggregate<T>(name: AggregateName, args: readonly Column[], fraction?: number): AggregateColumn<T> {
  return new AggregateColumn({
    kind: "aggregate",
    name,
    args: args.map((arg) => arg.expr),
    ...(fraction === undefined ? {} : { fraction }),
  });
}

/** How many rows, or how many that have a value in `column`. */
export const count = (column?: Column): AggregateColumn<number> => aggregate("count", column === undefined ? [] : [column]);
export const sum = <T>(column: Column<T>): AggregateColumn<T> => aggregate("sum", [column]);
/** The mean: a double, or for decimals a decimal. */
export const avg = <T>(column: Column<T>): AggregateColumn<NonNullable<T> extends Decimal ? Decimal : number> => aggregate("avg", [column]);
export const min = <T>(column: Column<T>): AggregateColumn<T> => aggregate("min", [column]);
export const max = <T>(column: Column<T>): AggregateColumn<T> => aggregate("max", [column]);
export const countDistinct = (column: Column): AggregateColumn<number> => aggregate("countDistinct", [column]);
/** By HyperLogLog: within about 1 %. */
export const approxCountDistinct = (column: Column): AggregateColumn<number> => aggregate("countDistinctApprox", [column]);
/** The value below which a fraction of the rows lie, within 1 %. */
export const percentile = (column: Column, fraction: number): AggregateColumn<number> => aggregate("percentile", [column], fraction);
export const collectList = <T>(column: Column<T>): AggregateColumn<readonly T[]> => aggregate("collect", [column]);
export const collectSet = <T>(column: Column<T>): AggregateColumn<readonly T[]> => aggregate("collectSet", [column]);
export const first = <T>(column: Column<T>): AggregateColumn<T> => aggregate("first", [column]);
export const last = <T>(column: Column<T>): AggregateColumn<T> => aggregate("last", [column]);
export const minBy = <T>(column: Column<T>, by: Column): AggregateColumn<T> => aggregate("minBy", [column, by]);
export const maxBy = <T>(column: Column<T>, by: Column): AggregateColumn<T> => aggregate("maxBy", [column, by]);

/**
 * A function of one's own over whole columns: it is called once per block of rows with an array per argument, and returns an
 * array of as many results.
 * `const domain = udf("domain", string(), (urls: readonly string[]) => urls.map((url) => new URL(url).host))`.
 */
export function udf<T, Args extends readonly unknown[]>(
  name: string,
  returns: Field<T, boolean>,
  fn: (...columns: { readonly [K in keyof Args]: readonly Args[K][] }) => readonly T[],
): (...args: { readonly [K in keyof Args]: Column<Args[K]> }) => Column<T> {
  const apply = (columns: readonly (readonly unknown[])[], size: number): readonly unknown[] => {
    const made = (fn as (...all: readonly (readonly unknown[])[]) => readonly unknown[])(...columns);
    if (Array.isArray(made) && made.length === size) return made;
    throw new MillraceError(
      "FUNCTION_FAILED",
      `function "${name}"`,
      `it returned ${Array.isArray(made) ? `${made.length} results` : "no array"} for ${size} rows`,
      "return an array with one result per row",
    );
  };
  return (...args) =>
    new Column<T>({ kind: "udf", name, returns: returns.spec, call: apply, args: args.map((arg) => (arg as Column).expr) });
}
