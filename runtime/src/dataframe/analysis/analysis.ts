// What the parts of the analysis share: looking columns up, changing expressions, and what they may ask of the analyzer.
import { MillraceError } from "../../base/errors.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { anyPart, type Expr, withParts } from "../expression/expr.ts";
import type { NamedExpr } from "../relation/relation.ts";
import type { Plan } from "./plan.ts";
import type { SqlEngine } from "./sql-engine.ts";
import type { ColumnNaming } from "./sql-tree.ts";

/** The analyzer as its parts see it. */
export interface Analysis {
  readonly engine: SqlEngine;
  /** The expression with SQL parsed and every column known. */
  resolve(expr: Expr, schema: Schema, naming?: ColumnNaming): Promise<Expr>;
  filter(input: Plan, condition: Expr): Plan;
  project(input: Plan, columns: readonly NamedExpr[]): Promise<Plan>;
}

/** The field, or DATAFRAME_COLUMN_UNKNOWN with the names there are. */
export function columnOf(schema: Schema, name: string): { readonly name: string; readonly spec: FieldSpec } {
  const found = schema.find(name);
  if (found !== undefined) return found;
  const known = schema.fields.map((field) => field.name).join(", ");
  throw new MillraceError("DATAFRAME_COLUMN_UNKNOWN", `column "${name}"`, "is not there", `use one of ${known}`);
}

export function misplaced(what: string, where: string, next: string): MillraceError {
  return new MillraceError("DATAFRAME_MISPLACED", what, `cannot be in ${where}`, next);
}

/** Changes an expression from its parts up. */
export function mapParts(expr: Expr, change: (part: Expr) => Expr): Expr {
  // The part itself is looked up before its own parts are made anew.
  const direct = change(expr);
  return direct !== expr ? direct : withParts(expr, (part) => mapParts(part, change));
}

/** The expression and all its parts. */
export function allParts(expr: Expr): readonly Expr[] {
  const parts: Expr[] = [];
  anyPart(expr, (part) => {
    parts.push(part);
    return false;
  });
  return parts;
}
