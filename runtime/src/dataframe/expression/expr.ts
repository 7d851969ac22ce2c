// Column expressions as plain values: what a query says, before anything is known of its types.
import type { FieldSpec } from "../../core/schema/type-spec.ts";

/** A constant. Instants are given as `Date`. */
export type LiteralValue = null | boolean | number | bigint | string | Date;

/** Which input of a join a column belongs to. */
export type JoinSide = "left" | "right";

export type AggregateName =
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
  | "first"
  | "last"
  | "minBy"
  | "maxBy";

/** An aggregate over the rows of a group. */
export interface AggregateExpr {
  readonly kind: "aggregate";
  readonly name: AggregateName;
  /** Empty for `count(*)`; `minBy` and `maxBy` have the ordering expression second. */
  readonly args: readonly Expr[];
  readonly fraction?: number;
  /** Only rows for which it is true count. */
  readonly where?: Expr;
}

/** The window, or windows, that a row's time is in. Only as a grouping of its own. */
export interface WindowExpr {
  readonly kind: "window";
  readonly time: Expr;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

/** Rows that are at most a gap apart, per group. Only as a grouping of its own. */
export interface SessionExpr {
  readonly kind: "session";
  readonly time: Expr;
  readonly gapMs: number;
}

/** A function of the user's own over whole columns: called once per block of rows, with an array per argument. */
export interface UdfExpr {
  readonly kind: "udf";
  readonly name: string;
  readonly returns: FieldSpec;
  readonly call: (columns: readonly (readonly unknown[])[], count: number) => readonly unknown[];
  readonly args: readonly Expr[];
}

export type Expr =
  | { readonly kind: "column"; readonly name: string; readonly side?: JoinSide }
  | { readonly kind: "literal"; readonly value: LiteralValue }
  /** SQL text over the columns of the input; the analysis parses it. */
  | { readonly kind: "sql"; readonly text: string }
  /** A part of parsed SQL that has no form of its own here: rendered as it is, with the columns that it reads. */
  | { readonly kind: "raw"; readonly text: string; readonly reads: readonly string[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expr[] }
  /** Infix with two arguments, prefix with one. */
  | { readonly kind: "operator"; readonly symbol: string; readonly args: readonly Expr[] }
  /** `IS NULL` and `IS NOT NULL`. */
  | { readonly kind: "isNull"; readonly arg: Expr; readonly negated: boolean }
  | { readonly kind: "in"; readonly arg: Expr; readonly values: readonly Expr[]; readonly negated: boolean }
  | { readonly kind: "cast"; readonly to: string; readonly arg: Expr; readonly orNull: boolean }
  | {
      readonly kind: "case";
      readonly branches: readonly { readonly when: Expr; readonly value: Expr }[];
      readonly otherwise: Expr | undefined;
    }
  | AggregateExpr
  | WindowExpr
  | SessionExpr
  | UdfExpr;

/** The parts of an expression, one level down. */
export function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "column":
    case "literal":
    case "sql":
    case "raw":
      return [];
    case "call":
    case "operator":
    case "udf":
      return expr.args;
    case "isNull":
    case "cast":
      return [expr.arg];
    case "in":
      return [expr.arg, ...expr.values];
    case "case":
      return [...expr.branches.flatMap(({ when, value }) => [when, value]), ...(expr.otherwise === undefined ? [] : [expr.otherwise])];
    case "aggregate":
      return [...expr.args, ...(expr.where === undefined ? [] : [expr.where])];
    case "window":
    case "session":
      return [expr.time];
  }
}

/** The same expression with `change` applied to its parts, one level down. */
export function withParts(expr: Expr, change: (part: Expr) => Expr): Expr {
  switch (expr.kind) {
    case "column":
    case "literal":
    case "sql":
    case "raw":
      return expr;
    case "call":
    case "operator":
    case "udf":
      return { ...expr, args: expr.args.map(change) };
    case "isNull":
    case "cast":
      return { ...expr, arg: change(expr.arg) };
    case "in":
      return { ...expr, arg: change(expr.arg), values: expr.values.map(change) };
    case "case":
      return {
        ...expr,
        branches: expr.branches.map(({ when, value }) => ({ when: change(when), value: change(value) })),
        otherwise: expr.otherwise === undefined ? undefined : change(expr.otherwise),
      };
    case "aggregate":
      return { ...expr, args: expr.args.map(change), ...(expr.where === undefined ? {} : { where: change(expr.where) }) };
    case "window":
    case "session":
      return { ...expr, time: change(expr.time) };
  }
}

/** True where `test` holds for the expression or any part of it. */
export function anyPart(expr: Expr, test: (part: Expr) => boolean): boolean {
  return test(expr) || partsOf(expr).some((part) => anyPart(part, test));
}

/** The names of the columns that an expression reads. */
export function columnsRead(expr: Expr, into: Set<string> = new Set()): Set<string> {
  if (expr.kind === "column") into.add(expr.name);
  else if (expr.kind === "raw") for (const name of expr.reads) into.add(name);
  else for (const part of partsOf(expr)) columnsRead(part, into);
  return into;
}
