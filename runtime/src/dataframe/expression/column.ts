// A column of a DataFrame: an expression with the TypeScript type of its values, and the operations on it.
import type { AggregateExpr, Expr, LiteralValue } from "./expr.ts";

/** What stands for a column of type `T` in an operation: another column, or a constant. */
export type Operand<T> = Column<T> | Column<NonNullable<T>> | (T & LiteralValue) | NonNullable<T>;

/** A numeric type: integers are numbers or bigints. */
type Numeric = number | bigint;

export function exprOf(value: unknown): Expr {
  return value instanceof Column ? (value as Column).expr : { kind: "literal", value: value as LiteralValue };
}

export class Column<out T = unknown> {
  /** The type of the values; exists for the compiler only. */
  declare readonly "~value": T;
  readonly expr: Expr;

  constructor(expr: Expr) {
    this.expr = expr;
  }

  plus(other: Operand<Numeric>): Column<T> {
    return binary("+", this, other);
  }
  minus(other: Operand<Numeric>): Column<T> {
    return binary("-", this, other);
  }
  times(other: Operand<Numeric>): Column<T> {
    return binary("*", this, other);
  }
  /** The quotient as a double, also of integers. Null where the divisor is zero. */
  dividedBy(other: Operand<Numeric>): Column<number | null> {
    const divisor: Expr = { kind: "call", name: "nullif", args: [exprOf(other), { kind: "literal", value: 0 }] };
    return new Column({ kind: "operator", symbol: "/", args: [{ kind: "cast", to: "DOUBLE", arg: this.expr, orNull: false }, divisor] });
  }
  /** The remainder; null where the divisor is zero. */
  modulo(other: Operand<Numeric>): Column<T | null> {
    return binary("%", this, other);
  }
  negated(): Column<T> {
    return new Column({ kind: "operator", symbol: "-", args: [this.expr] });
  }

  eq(other: Operand<unknown>): Column<boolean> {
    return binary("=", this, other);
  }
  /** Equality that knows null: two nulls are equal. */
  eqNullSafe(other: Operand<unknown>): Column<boolean> {
    return binary("IS NOT DISTINCT FROM", this, other);
  }
  ne(other: Operand<unknown>): Column<boolean> {
    return binary("<>", this, other);
  }
  lt(other: Operand<unknown>): Column<boolean> {
    return binary("<", this, other);
  }
  le(other: Operand<unknown>): Column<boolean> {
    return binary("<=", this, other);
  }
  gt(other: Operand<unknown>): Column<boolean> {
    return binary(">", this, other);
  }
  ge(other: Operand<unknown>): Column<boolean> {
    return binary(">=", this, other);
  }
  between(low: Operand<unknown>, high: Operand<unknown>): Column<boolean> {
    return this.ge(low).and(this.le(high));
  }
  isIn(...values: readonly (Column | LiteralValue)[]): Column<boolean> {
    return new Column({ kind: "in", arg: this.expr, values: values.map(exprOf), negated: false });
  }
  like(pattern: string): Column<boolean> {
    return binary("LIKE", this, pattern);
  }
  isNull(): Column<boolean> {
    return new Column({ kind: "isNull", arg: this.expr, negated: false });
  }
  isNotNull(): Column<boolean> {
    return new Column({ kind: "isNull", arg: this.expr, negated: true });
  }

  and(this: Column<boolean | null>, other: Column<boolean | null>): Column<boolean> {
    return binary("AND", this, other);
  }
  or(this: Column<boolean | null>, other: Column<boolean | null>): Column<boolean> {
    return binary("OR", this, other);
  }
  not(this: Column<boolean | null>): Column<boolean> {
    return new Column({ kind: "operator", symbol: "NOT", args: [this.expr] });
  }

  /** The value as another SQL type, such as `BIGINT` or `DECIMAL(10, 2)`; fails the batch where it does not convert. */
  cast<U = unknown>(type: string): Column<U> {
    return new Column({ kind: "cast", to: type, arg: this.expr, orNull: false });
  }
  /** As `cast`, and null where the value does not convert. */
  tryCast<U = unknown>(type: string): Column<U | null> {
    return new Column({ kind: "cast", to: type, arg: this.expr, orNull: true });
  }
  /** An instant moved by a duration, such as `1 hour`; negative with a minus in front. */
  plusInterval(duration: string): Column<T> {
    return new Column({
      kind: "operator",
      symbol: "+",
      args: [this.expr, { kind: "cast", to: "INTERVAL", arg: exprOf(duration), orNull: false }],
    });
  }
  /** A field of a struct. */
  field<U = unknown>(name: string): Column<U> {
    return new Column({ kind: "call", name: "struct_extract", args: [this.expr, exprOf(name)] });
  }
}

function binary<U>(symbol: string, left: Column, right: unknown): Column<U> {
  return new Column({ kind: "operator", symbol, args: [left.expr, exprOf(right)] });
}

/** An aggregate: a column that has one value per group. */
export class AggregateColumn<out T = unknown> extends Column<T> {
  declare readonly "~aggregate": true;

  /** The aggregate over the rows for which `condition` is true. */
  filter(condition: Column<boolean | null>): AggregateColumn<T> {
    return new AggregateColumn({ ...(this.expr as AggregateExpr), where: condition.expr });
  }
}

/** Windows as a grouping: the result has the window's start and end. */
export class WindowColumn extends Column<{ readonly start: number; readonly end: number }> {
  declare readonly "~window": true;
}

/** The columns of rows, by name. */
export type ColumnsOf<Row> = { readonly [K in keyof Row & string]-?: Column<Row[K]> };

/** Columns by the names they get. */
export type NamedColumns = Readonly<Record<string, Column>>;

/** The rows that named columns make. */
export type RowOfColumns<C extends NamedColumns> = { readonly [K in keyof C]: C[K] extends Column<infer T> ? T : never };

/** The columns of a relation as an object that answers to any name; which names there are is known when the query is analysed. */
export function columnsProxy<Row>(side?: "left" | "right"): ColumnsOf<Row> {
  return new Proxy({} as ColumnsOf<Row>, {
    get: (_target, name) =>
      typeof name === "string" ? new Column({ kind: "column", name, ...(side === undefined ? {} : { side }) }) : undefined,
  });
}
