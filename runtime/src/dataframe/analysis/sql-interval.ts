// Constant intervals in expressions as milliseconds.
import type { Expr } from "../expression/expr.ts";
import { sqlDuration } from "./sql-tree.ts";

const units: Readonly<Record<string, number>> = {
  to_milliseconds: 1,
  to_seconds: 1000,
  to_minutes: 60_000,
  to_hours: 3_600_000,
  to_days: 86_400_000,
  to_weeks: 604_800_000,
};

/** The length of an interval that does not depend on a row or a calendar; undefined for any other expression. */
export function intervalMs(expr: Expr): number | undefined {
  if (expr.kind === "cast" && expr.to === "INTERVAL" && expr.arg.kind === "literal" && typeof expr.arg.value === "string") {
    const negative = expr.arg.value.trim().startsWith("-");
    const ms = sqlDuration(expr.arg.value.trim().replace(/^-/, ""));
    return negative ? -ms : ms;
  }
  if (expr.kind !== "call") return undefined;
  const unit = units[expr.name];
  const count = expr.args[0] === undefined ? undefined : constant(expr.args[0]);
  return unit === undefined || count === undefined ? undefined : unit * count;
}

function constant(expr: Expr): number | undefined {
  if (expr.kind === "literal") return typeof expr.value === "number" ? expr.value : undefined;
  if (expr.kind === "cast") return constant(expr.arg);
  if (expr.kind === "call" && expr.name === "trunc" && expr.args[0] !== undefined) return constant(expr.args[0]);
  return undefined;
}
