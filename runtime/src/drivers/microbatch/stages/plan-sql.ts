// The stateless parts of a plan as one SQL query: projections and filters are pushed into the scan by the kernel's own optimiser.
import { type Expr, withParts as withPartsOf } from "../../../dataframe/expression/expr.ts";
import type { Plan } from "../../../dataframe/analysis/plan.ts";
import { renderExpr, sideAlias } from "../../../dataframe/analysis/render.ts";
import { quoted } from "../../../dataframe/analysis/sql-types.ts";
import { castTo } from "./aggregate-sql.ts";

/** How a plan is cut into queries. */
export interface Boundary {
  /** The table that holds the rows of a node; undefined where the node is computed in place. */
  (plan: Plan): string | undefined;
  /** Whether a column of a node is read by anybody. */
  needs(plan: Plan, name: string): boolean;
}

/** A `SELECT` that gives the rows of `plan`, over the tables of its boundaries. */
export function planSql(plan: Plan, boundary: Boundary): string {
  const table = boundary(plan);
  if (table !== undefined) return `SELECT * FROM ${quoted(table)}`;
  const from = (input: Plan, alias = "t"): string => {
    const at = boundary(input);
    return at === undefined ? `(${planSql(input, boundary)}) AS ${alias}` : `${quoted(at)} AS ${alias}`;
  };
  const needed = plan.schema.fields.map(({ name }) => name).filter((name) => boundary.needs(plan, name));
  const columns = (): string => (needed.length === 0 ? "NULL::BOOLEAN AS none$" : needed.map(quoted).join(", "));
  switch (plan.kind) {
    case "project": {
      const items = plan.columns
        .filter(({ name }) => boundary.needs(plan, name))
        .map(({ name, expr }) => {
          if (expr.kind === "column") return expr.name === name ? quoted(name) : `${quoted(expr.name)} AS ${quoted(name)}`;
          return `${castTo(renderExpr(expr), plan.schema, name)} AS ${quoted(name)}`;
        });
      return `SELECT ${items.length === 0 ? "NULL::BOOLEAN AS none$" : items.join(", ")} FROM ${from(plan.input)}`;
    }
    case "filter":
      return `SELECT * FROM ${from(plan.input)} WHERE ${renderExpr(plan.condition)}`;
    case "watermark":
      return planSql(plan.input, boundary);
    case "union":
      return plan.inputs.map((input) => `SELECT ${columns()} FROM ${from(input)}`).join(" UNION ALL ");
    case "explode": {
      const kept = needed.filter((name) => name !== plan.as).map(quoted);
      const list = renderExpr(plan.list);
      const elements = plan.outer ? `CASE WHEN coalesce(len(${list}), 0) = 0 THEN [NULL] ELSE ${list} END` : list;
      return `SELECT ${[...kept, `unnest(${elements}) AS ${quoted(plan.as)}`].join(", ")} FROM ${from(plan.input)}`;
    }
    case "sort": {
      const keys = plan.keys.map(({ expr, descending, nullsFirst }) => {
        // Nulls come first in ascending order and last in descending order, unless the query says otherwise.
        const first = nullsFirst ?? !descending;
        return `${renderExpr(expr)} ${descending ? "DESC" : "ASC"} NULLS ${first ? "FIRST" : "LAST"}`;
      });
      return `SELECT * FROM ${from(plan.input)} ORDER BY ${keys.join(", ")}`;
    }
    case "limit":
      return plan.input.kind === "sort" && boundary(plan.input) === undefined
        ? `${planSql(plan.input, boundary)} LIMIT ${plan.count}`
        : `SELECT * FROM ${from(plan.input)} LIMIT ${plan.count}`;
    case "dedupe":
      return plan.columns.length === plan.schema.fields.length
        ? `SELECT DISTINCT * FROM ${from(plan.input)}`
        : `SELECT DISTINCT ON (${plan.columns.map(quoted).join(", ")}) * FROM ${from(plan.input)}`;
    case "join":
      return joinSql(plan, needed, from(plan.left, sideAlias.left), from(plan.right, sideAlias.right));
    default:
      throw new Error(`assertion failed: a ${plan.kind} is computed by the kernel`);
  }
}

const joinWords = {
  inner: "INNER JOIN",
  left: "LEFT JOIN",
  right: "RIGHT JOIN",
  full: "FULL JOIN",
  semi: "SEMI JOIN",
  anti: "ANTI JOIN",
} as const;

function joinSql(plan: Extract<Plan, { kind: "join" }>, needed: readonly string[], left: string, right: string): string {
  const { type, using, condition } = plan;
  const parts = condition.equal.map(({ left: l, right: r }) => `${onSide(l, "left")} = ${onSide(r, "right")}`);
  const { timeBound, rest } = condition;
  if (timeBound !== undefined) {
    const difference = `(epoch_ms(r.${quoted(timeBound.rightTime)}) - epoch_ms(l.${quoted(timeBound.leftTime)}))`;
    if (timeBound.lowerMs !== -Infinity) parts.push(`${difference} >= ${timeBound.lowerMs}`);
    if (timeBound.upperMs !== Infinity) parts.push(`${difference} <= ${timeBound.upperMs}`);
  }
  if (rest !== undefined) parts.push(renderExpr(rest));
  const items = needed.map((name) => {
    const column = quoted(name);
    if (using.includes(name))
      return type === "right" || type === "full" ? `coalesce(l.${column}, r.${column}) AS ${column}` : `l.${column} AS ${column}`;
    return plan.left.schema.find(name) === undefined ? `r.${column} AS ${column}` : `l.${column} AS ${column}`;
  });
  return `SELECT ${items.length === 0 ? "NULL::BOOLEAN AS none$" : items.join(", ")} FROM ${left} ${joinWords[type]} ${right} ON ${parts.join(" AND ")}`;
}

/** SQL of an expression whose columns are all of one side of a join. */
export function onSide(expr: Expr, side: "left" | "right"): string {
  const place = (part: Expr): Expr => (part.kind === "column" ? { ...part, side } : part);
  return renderExpr(mapColumns(expr, place));
}

function mapColumns(expr: Expr, change: (part: Expr) => Expr): Expr {
  return expr.kind === "column" ? change(expr) : withPartsOf(expr, (part) => mapColumns(part, change));
}
