// The analysis of joins: which side each column is of, what must be equal, and how far apart in time rows may be.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { anyPart, type Expr, type JoinSide, withParts } from "../expression/expr.ts";
import type { Relation } from "../relation/relation.ts";
import { type Analysis, columnOf } from "./analysis.ts";
import type { JoinCondition, Plan } from "./plan.ts";
import { intervalMs } from "./sql-interval.ts";

export async function analyzeJoin(
  analyzer: Analysis,
  left: Plan,
  right: Plan,
  relation: Extract<Relation, { kind: "join" }>,
): Promise<Plan> {
  const { type, using, name } = relation;
  for (const column of using) {
    columnOf(left.schema, column);
    columnOf(right.schema, column);
  }
  const condition =
    relation.condition === undefined ? undefined : await resolveSides(analyzer, relation.condition, left.schema, right.schema);
  const whole = [...using.map((column): Expr => equality(column)), ...(condition === undefined ? [] : [condition])];
  const taken = takeApart(whole.flatMap(conjuncts), left, right);
  if (whole.length === 0)
    throw new MillraceError("DATAFRAME_JOIN", "join", "it has no condition", "name the columns to join by, or give a condition");
  const schema = joinSchema(left.schema, right.schema, type, using);
  const times = new Map<string, number>();
  if (type !== "right") for (const [column, delayMs] of left.times) times.set(column, delayMs);
  if (type !== "left" && type !== "semi" && type !== "anti")
    for (const [column, delayMs] of right.times) if (schema.find(column) !== undefined) times.set(column, delayMs);
  const streaming = left.streaming || right.streaming;
  const join = { kind: "join", left, right, type, using, name, schema, streaming, times } as const;
  const { rest } = taken;
  if (!left.streaming || !right.streaming || rest === undefined) return { ...join, condition: taken };
  if (type !== "inner") {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      `a ${type} join of two streams with a condition beyond equalities and a bound in time`,
      "is not possible: whether a row has a partner would depend on it",
      "filter one side before, or use an inner join",
    );
  }
  // Pairs are found by their keys and times; what else must hold is asked of the pairs.
  return analyzer.filter({ ...join, condition: { ...taken, rest: undefined } }, withoutSides(rest));
}

function equality(column: string): Expr {
  const side = (which: JoinSide): Expr => ({ kind: "column", name: column, side: which });
  return { kind: "operator", symbol: "=", args: [side("left"), side("right")] };
}

// Columns without a side belong to the input that has them; one that both have is ambiguous.
async function resolveSides(analyzer: Analysis, expr: Expr, left: Schema, right: Schema): Promise<Expr> {
  const both = new Schema({ ...right.spec, ...left.spec });
  const parsed = await analyzer.resolve(expr, both, (parts) => {
    const name = parts.at(-1) as string;
    const qualifier = parts.length > 1 ? parts.at(-2) : undefined;
    if (qualifier === "l" || qualifier === "left") return { kind: "column", name, side: "left" };
    if (qualifier === "r" || qualifier === "right") return { kind: "column", name, side: "right" };
    return { kind: "column", name };
  });
  const place = (part: Expr): Expr => {
    if (part.kind !== "column") return withParts(part, place);
    if (part.side !== undefined) {
      columnOf(part.side === "left" ? left : right, part.name);
      return part;
    }
    const inLeft = left.find(part.name) !== undefined;
    if (inLeft && right.find(part.name) !== undefined)
      throw new MillraceError("DATAFRAME_JOIN", `column "${part.name}"`, "is on both sides of the join", "say l.name or r.name");
    return { ...part, side: inLeft ? "left" : "right" };
  };
  return place(parsed);
}

function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === "operator" && expr.symbol === "AND" ? expr.args.flatMap(conjuncts) : [expr];
}

function sidesOf(expr: Expr): ReadonlySet<JoinSide> {
  const sides = new Set<JoinSide>();
  anyPart(expr, (part) => {
    if (part.kind === "column" && part.side !== undefined) sides.add(part.side);
    return false;
  });
  return sides;
}

function isOnly(expr: Expr, side: JoinSide): boolean {
  const sides = sidesOf(expr);
  return sides.size === 1 && sides.has(side);
}

function withoutSides(expr: Expr): Expr {
  if (expr.kind === "column") return { kind: "column", name: expr.name };
  return withParts(expr, withoutSides);
}

function takeApart(parts: readonly Expr[], left: Plan, right: Plan): JoinCondition {
  const equal: { readonly left: Expr; readonly right: Expr }[] = [];
  const rest: Expr[] = [];
  const bound: { leftTime: string; rightTime: string; lowerMs: number; upperMs: number } = {
    leftTime: "",
    rightTime: "",
    lowerMs: -Infinity,
    upperMs: Infinity,
  };
  for (const part of parts) {
    if (part.kind === "operator" && part.symbol === "=" && part.args.length === 2) {
      const [a, b] = part.args as [Expr, Expr];
      if (isOnly(a, "left") && isOnly(b, "right")) {
        equal.push({ left: withoutSides(a), right: withoutSides(b) });
        continue;
      }
      if (isOnly(a, "right") && isOnly(b, "left")) {
        equal.push({ left: withoutSides(b), right: withoutSides(a) });
        continue;
      }
    }
    const difference = timeDifference(part, left, right);
    if (difference === undefined) rest.push(part);
    else {
      bound.leftTime = difference.leftTime;
      bound.rightTime = difference.rightTime;
      if (difference.least !== undefined) bound.lowerMs = Math.max(bound.lowerMs, difference.least);
      if (difference.most !== undefined) bound.upperMs = Math.min(bound.upperMs, difference.most);
    }
  }
  const [first, ...others] = rest;
  return {
    equal,
    timeBound: bound.leftTime === "" ? undefined : bound,
    rest:
      first === undefined ? undefined : others.reduce((all, one): Expr => ({ kind: "operator", symbol: "AND", args: [all, one] }), first),
  };
}

interface TimeTerm {
  readonly side: JoinSide;
  readonly name: string;
  readonly plusMs: number;
}

// A watermarked column, moved by constant intervals or not.
function timeTerm(expr: Expr, left: Plan, right: Plan): TimeTerm | undefined {
  if (expr.kind === "column" && expr.side !== undefined) {
    const times = expr.side === "left" ? left.times : right.times;
    return times.has(expr.name) ? { side: expr.side, name: expr.name, plusMs: 0 } : undefined;
  }
  if (expr.kind !== "operator" || expr.args.length !== 2 || (expr.symbol !== "+" && expr.symbol !== "-")) return undefined;
  const [base, moved] = expr.args as [Expr, Expr];
  const term = timeTerm(base, left, right);
  const byMs = intervalMs(moved);
  if (term === undefined || byMs === undefined) return undefined;
  return { ...term, plusMs: term.plusMs + (expr.symbol === "+" ? byMs : -byMs) };
}

/** What a comparison of the two event times says of the right one less the left one. Bounds are whole milliseconds. */
function timeDifference(
  expr: Expr,
  left: Plan,
  right: Plan,
): { readonly leftTime: string; readonly rightTime: string; readonly least?: number; readonly most?: number } | undefined {
  if (expr.kind !== "operator" || expr.args.length !== 2 || !["<", "<=", ">", ">="].includes(expr.symbol)) return undefined;
  const a = timeTerm(expr.args[0] as Expr, left, right);
  const b = timeTerm(expr.args[1] as Expr, left, right);
  if (a === undefined || b === undefined || a.side === b.side) return undefined;
  // Brought into the form: right + r  (symbol)  left + l.
  const rightFirst = a.side === "right";
  const [r, l] = rightFirst ? [a, b] : [b, a];
  const symbol = rightFirst ? expr.symbol : expr.symbol.replace(/[<>]/, (sign) => (sign === "<" ? ">" : "<"));
  const difference = l.plusMs - r.plusMs;
  const names = { leftTime: l.name, rightTime: r.name };
  switch (symbol) {
    case "<":
      return { ...names, most: difference - 1 };
    case "<=":
      return { ...names, most: difference };
    case ">":
      return { ...names, least: difference + 1 };
    default:
      return { ...names, least: difference };
  }
}

function joinSchema(left: Schema, right: Schema, type: string, using: readonly string[]): Schema {
  if (type === "semi" || type === "anti") return left;
  const spec: Record<string, FieldSpec> = {};
  for (const { name, spec: field } of left.fields) {
    const absent = (type === "right" || type === "full") && !using.includes(name);
    const usedNull = using.includes(name) && type !== "inner" && (field.nullable || (right.find(name)?.spec.nullable ?? false));
    spec[name] = { ...field, nullable: field.nullable || absent || usedNull };
  }
  for (const { name, spec: field } of right.fields) {
    if (using.includes(name)) continue;
    if (Object.hasOwn(spec, name)) {
      throw new MillraceError(
        "DATAFRAME_COLUMN_TAKEN",
        `column "${name}"`,
        "is on both sides of the join",
        "rename it on one side, or join by it",
      );
    }
    spec[name] = { ...field, nullable: field.nullable || type === "left" || type === "full" };
  }
  return new Schema(spec);
}
