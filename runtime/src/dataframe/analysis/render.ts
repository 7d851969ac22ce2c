// Expressions as SQL text.
import { assert } from "../../base/errors.ts";
import type { Expr, JoinSide, LiteralValue } from "../expression/expr.ts";
import { quoted, textLiteral } from "./sql-types.ts";

/** The aliases under which the inputs of a join are known. */
export const sideAlias: Readonly<Record<JoinSide, string>> = { left: "l", right: "r" };

/** What looks like a function and is a part of the grammar. */
const syntax: ReadonlySet<string> = new Set(["coalesce"]);

/** SQL of an expression in which nothing is left to resolve. */
export function renderExpr(expr: Expr): string {
  switch (expr.kind) {
    case "column":
      return expr.side === undefined ? quoted(expr.name) : `${sideAlias[expr.side]}.${quoted(expr.name)}`;
    case "literal":
      return renderLiteral(expr.value);
    case "raw":
      return `(${expr.text})`;
    case "call":
      return `${syntax.has(expr.name) ? expr.name : quoted(expr.name)}(${expr.args.map(renderExpr).join(", ")})`;
    case "operator":
      return expr.args.length === 1
        ? `(${expr.symbol} ${renderExpr(expr.args[0] as Expr)})`
        : `(${expr.args.map(renderExpr).join(` ${expr.symbol} `)})`;
    case "isNull":
      return `(${renderExpr(expr.arg)} IS ${expr.negated ? "NOT " : ""}NULL)`;
    case "in":
      return `(${renderExpr(expr.arg)} ${expr.negated ? "NOT " : ""}IN (${expr.values.map(renderExpr).join(", ")}))`;
    case "cast":
      return `${expr.orNull ? "TRY_CAST" : "CAST"}(${renderExpr(expr.arg)} AS ${expr.to})`;
    case "case": {
      const branches = expr.branches.map(({ when, value }) => `WHEN ${renderExpr(when)} THEN ${renderExpr(value)}`);
      const otherwise = expr.otherwise === undefined ? "" : ` ELSE ${renderExpr(expr.otherwise)}`;
      return `(CASE ${branches.join(" ")}${otherwise} END)`;
    }
    default:
      return assert(false, `an expression of kind ${expr.kind} has no SQL of its own`) as never;
  }
}

function renderLiteral(value: LiteralValue): string {
  if (value === null) return "NULL";
  if (value instanceof Date) return `TIMESTAMP ${textLiteral(value.toISOString().replace("Z", ""))}`;
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  if (typeof value === "bigint") return `${value}::BIGINT`;
  if (typeof value === "string") return textLiteral(value);
  if (Number.isSafeInteger(value)) return Math.abs(value) < 2 ** 31 ? String(value) : `${value}::BIGINT`;
  return Number.isFinite(value) ? `${value}::DOUBLE` : `${textLiteral(Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf")}::DOUBLE`;
}
